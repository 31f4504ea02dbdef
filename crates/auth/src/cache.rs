//! Which passwords were right a short while ago. A mail client logs in many times an hour with the same password; the
//! slow hash protects what is stored on disk, and need not be paid again for what this process has just seen.
//!
//! It holds no password and no hash that is of use elsewhere: HMAC-SHA-256 under a key that is made at start and never
//! leaves the process, over credential and password together, so that a changed password is unknown at once.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use columba_types::limits::PASSWORD_CACHE_ENTRIES;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Secret;

/// A set of recently accepted pairs of credentials and password, bounded in size and time.
pub(crate) struct Cache {
    key: Zeroizing<[u8; 32]>,
    generations: Mutex<Generations>,
}

/// Two sets that take turns: a pair is known for one to two times the life of a set, and dropping is cheap.
struct Generations {
    current: HashSet<[u8; 32]>,
    previous: HashSet<[u8; 32]>,
    begun: Instant,
    life: Duration,
}

impl Generations {
    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.begun);
        if age >= 2 * self.life {
            self.current.clear();
        }
        if age >= self.life || self.current.len() >= PASSWORD_CACHE_ENTRIES {
            self.previous = std::mem::take(&mut self.current);
            self.begun = now;
        }
    }
}

impl Cache {
    /// A cache that knows nothing for longer than `longest`. `None` when that is no time at all, and when the operating
    /// system gives no random octets: better no cache than a guessable key.
    pub(crate) fn new(longest: Duration) -> Option<Self> {
        if longest.is_zero() {
            return None;
        }
        let mut key = Zeroizing::new([0u8; 32]);
        getrandom::fill(&mut *key).ok()?;
        let (current, previous) = (HashSet::new(), HashSet::new());
        let generations = Generations { current, previous, begun: Instant::now(), life: longest / 2 };
        Some(Self { key, generations: Mutex::new(generations) })
    }

    /// Whether just this password was right for just these credentials lately.
    pub(crate) fn knows(&self, credentials: &[String], password: &Secret, now: Instant) -> bool {
        let Some(tag) = self.tag(credentials, password) else { return false };
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn(now);
        generations.current.contains(&tag) || generations.previous.contains(&tag)
    }

    /// Remembers a pair that was right.
    pub(crate) fn remember(&self, credentials: &[String], password: &Secret, now: Instant) {
        let Some(tag) = self.tag(credentials, password) else { return };
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn(now);
        generations.current.insert(tag);
    }

    fn tag(&self, credentials: &[String], password: &Secret) -> Option<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).ok()?;
        for field in credentials.iter().map(String::as_bytes).chain([password.octets()]) {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        Some(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(60);

    fn credentials(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn knows_just_the_pair_it_was_told() {
        let (cache, now) = (Cache::new(LONGEST).unwrap(), Instant::now());
        cache.remember(&credentials("a"), &Secret::from("b"), now);
        assert!(cache.knows(&credentials("a"), &Secret::from("b"), now));
        for (stored, password) in [("a", "c"), ("c", "b"), ("ab", ""), ("", "ab")] {
            assert!(!cache.knows(&credentials(stored), &Secret::from(password), now), "{stored} {password}");
        }
        let two = vec!["a".to_owned(), "b".to_owned()];
        assert!(!cache.knows(&two, &Secret::from(""), now));
    }

    #[test]
    fn forgets_after_two_lives_at_most() {
        let (cache, begun) = (Cache::new(LONGEST).unwrap(), Instant::now());
        cache.remember(&credentials("a"), &Secret::from("b"), begun);
        let known = |lives: u32| cache.knows(&credentials("a"), &Secret::from("b"), begun + lives * LONGEST / 2);
        assert!(known(1));
        assert!(!known(2));
    }

    #[test]
    fn no_time_is_no_cache() {
        assert!(Cache::new(Duration::ZERO).is_none());
    }

    #[test]
    fn a_silent_night_is_no_longer_life() {
        let (cache, begun) = (Cache::new(LONGEST).unwrap(), Instant::now());
        cache.remember(&credentials("a"), &Secret::from("b"), begun);
        assert!(!cache.knows(&credentials("a"), &Secret::from("b"), begun + 10 * LONGEST));
    }

    #[test]
    fn never_grows_beyond_two_sets() {
        let (cache, now) = (Cache::new(LONGEST).unwrap(), Instant::now());
        for n in 0..2 * PASSWORD_CACHE_ENTRIES + 10 {
            cache.remember(&credentials(&n.to_string()), &Secret::from("b"), now);
        }
        let generations = cache.generations.lock().unwrap();
        assert!(generations.current.len() + generations.previous.len() <= 2 * PASSWORD_CACHE_ENTRIES);
    }
}
