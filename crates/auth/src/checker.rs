//! Checks passwords on threads of its own, so that no connection waits for another's hash, and tells every refusal at the
//! same time after its check began. Which account it is about never comes here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use columba_types::limits::{PASSWORD_BYTES, PASSWORD_CACHE, PASSWORD_CHECKS, REFUSAL_DELAY};
use futures_channel::oneshot;

use crate::cache::Cache;
use crate::credential::{self, DUMMY};
use crate::{Scheme, Secret, check_credential};

/// What a check came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether the password is the account's.
    pub accepted: bool,
    /// Credentials to store instead: what was there is weaker than what Columba makes. Only when accepted.
    pub replace: Option<Vec<String>>,
}

impl Verdict {
    const REFUSED: Self = Self { accepted: false, replace: None };
    const ACCEPTED: Self = Self { accepted: true, replace: None };
}

struct Job {
    credentials: Vec<String>,
    password: Secret,
    reply: oneshot::Sender<Verdict>,
}

struct Refusal {
    due: Instant,
    reply: oneshot::Sender<Verdict>,
}

/// A few threads that check passwords; dropping it ends them.
#[derive(Debug)]
pub struct PasswordChecker {
    jobs: Sender<Job>,
    cache: Option<Arc<Cache>>,
}

impl Default for PasswordChecker {
    fn default() -> Self {
        Self::new(PASSWORD_CACHE)
    }
}

impl PasswordChecker {
    /// Starts the threads: as many as there are cores, at most [`PASSWORD_CHECKS`]. A password that was right is known again
    /// without its slow hash for up to `remembered`, of which zero means never.
    pub fn new(remembered: Duration) -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (refuse, refusals) = mpsc::channel::<Refusal>();
        let cache = Cache::new(remembered).map(Arc::new);
        let queue = Arc::new(Mutex::new(queue));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        // A thread that cannot be started is missing, no more: with none at all every check is refused.
        for _ in 0..cores.min(PASSWORD_CHECKS) {
            let (queue, refuse, cache) = (Arc::clone(&queue), refuse.clone(), cache.clone());
            let _ =
                thread::Builder::new().name("password".into()).spawn(move || work(&queue, &refuse, cache.as_deref()));
        }
        let _ = thread::Builder::new().name("refusal".into()).spawn(move || tell_refusals(&refusals));
        Self { jobs, cache }
    }

    /// Whether `password` is that of any of `credentials`. For an unknown user or a disabled account give no
    /// credentials: the same work is done and the same refusal told at the same time.
    pub fn verify(
        &self,
        credentials: Vec<String>,
        password: Secret,
    ) -> impl Future<Output = Verdict> + Send + 'static + use<> {
        let known = !credentials.is_empty()
            && self.cache.as_ref().is_some_and(|cache| cache.knows(&credentials, &password, Instant::now()));
        let (reply, verdict) = oneshot::channel();
        if !known {
            // Fails only when no thread could be started; then `reply` is dropped, which is a refusal.
            let _ = self.jobs.send(Job { credentials, password, reply });
        }
        async move { if known { Verdict::ACCEPTED } else { verdict.await.unwrap_or(Verdict::REFUSED) } }
    }
}

/// The life of a thread that checks.
fn work(queue: &Mutex<Receiver<Job>>, refuse: &Sender<Refusal>, cache: Option<&Cache>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { credentials, password, reply }) = next else { return };
        let begun = Instant::now();
        if reply.is_canceled() {
            continue;
        }
        let verdict = catch_unwind(AssertUnwindSafe(|| check(&credentials, &password))).unwrap_or(Verdict::REFUSED);
        if !verdict.accepted {
            let _ = refuse.send(Refusal { due: begun + REFUSAL_DELAY, reply });
            continue;
        }
        if let Some(cache) = cache {
            let stored = verdict.replace.as_ref().unwrap_or(&credentials);
            cache.remember(stored, &password, begun);
        }
        let _ = reply.send(verdict);
    }
}

/// The life of the thread that tells refusals: all wait equally long, so that they are due in the order they come.
fn tell_refusals(refusals: &Receiver<Refusal>) {
    while let Ok(Refusal { due, reply }) = refusals.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let _ = reply.send(Verdict::REFUSED);
    }
}

fn check(credentials: &[String], password: &Secret) -> Verdict {
    let fits = password.len() <= PASSWORD_BYTES && !password.is_empty();
    if fits && to_check(credentials).any(|credential| credential::accepts(credential, password)) {
        return Verdict { accepted: true, replace: credential::better(credentials, password) };
    }
    // Who has an Argon2id has paid for it already.
    if !fits || !credentials.iter().any(|credential| check_credential(credential) == Ok(Scheme::Argon2id)) {
        let short = if fits { password.clone() } else { Secret::from("x") };
        credential::accepts(DUMMY, &short);
    }
    Verdict::REFUSED
}

/// Columba keeps one password in two forms; checking the slow form alone says it all.
fn to_check(credentials: &[String]) -> impl Iterator<Item = &String> {
    let scram = |credential: &String| check_credential(credential) == Ok(Scheme::ScramSha256);
    let only_scram = credentials.iter().all(scram);
    credentials.iter().filter(move |credential| only_scram || !scram(credential))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hash_password, quick_hash};
    use std::task::{Context, Poll, Wake, Waker};

    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn wait<F: Future>(future: F) -> F::Output {
        let mut future = Box::pin(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }

    #[test]
    fn accepts_the_password_and_nothing_else() {
        let checker = PasswordChecker::default();
        let credentials = hash_password(&Secret::from("secret"));
        for (password, accepted) in [("secret", true), ("Secret", false), ("", false), ("secret ", false)] {
            let verdict = wait(checker.verify(credentials.clone(), Secret::from(password)));
            assert_eq!(verdict, Verdict { accepted, replace: None }, "{password:?}");
        }
        let long = Secret::new(vec![b'x'; PASSWORD_BYTES + 1]);
        assert!(!wait(checker.verify(hash_password(&long), long.clone())).accepted);
    }

    #[test]
    fn an_unknown_user_is_refused() {
        let checker = PasswordChecker::default();
        assert_eq!(wait(checker.verify(Vec::new(), Secret::from("secret"))), Verdict::REFUSED);
    }

    #[test]
    fn every_refusal_takes_the_same_time() {
        let checker = PasswordChecker::default();
        let cheap = vec!["{PLAIN}secret".to_owned()];
        let long = Secret::new(vec![b'x'; PASSWORD_BYTES + 1]);
        for (credentials, password) in [
            (Vec::new(), Secret::from("x")),
            (cheap.clone(), Secret::from("x")),
            (cheap, long),
            (quick_hash(&Secret::from("y")), Secret::from("")),
        ] {
            let begun = Instant::now();
            assert!(!wait(checker.verify(credentials, password)).accepted);
            assert!(begun.elapsed() >= REFUSAL_DELAY);
        }
    }

    #[test]
    fn a_weak_credential_is_replaced_at_login() {
        let checker = PasswordChecker::default();
        let secret = Secret::from("secret");
        for weak in [vec!["{PLAIN}secret".to_owned()], quick_hash(&secret)] {
            let better = wait(checker.verify(weak, secret.clone())).replace.unwrap();
            assert!(better[0].starts_with("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"), "{better:?}");
            assert!(better[1].starts_with("{SCRAM-SHA-256}60000:"), "{better:?}");
            assert_eq!(better.len(), 2);
            // Known from the cache already, and again as good as new.
            assert_eq!(wait(checker.verify(better.clone(), secret.clone())), Verdict::ACCEPTED);
            assert_eq!(wait(PasswordChecker::default().verify(better, secret.clone())), Verdict::ACCEPTED);
        }
    }

    #[test]
    fn a_strong_argon2id_is_kept_when_a_verifier_is_added() {
        let secret = Secret::from("secret");
        let strong = hash_password(&secret).swap_remove(0);
        let verdict = wait(PasswordChecker::default().verify(vec![strong.clone()], secret));
        assert_eq!(verdict.replace.unwrap()[0], strong);
    }

    #[test]
    fn a_password_seen_before_is_accepted_at_once() {
        let checker = PasswordChecker::default();
        let (credentials, secret) = (hash_password(&Secret::from("secret")), Secret::from("secret"));
        assert!(wait(checker.verify(credentials.clone(), secret.clone())).accepted);
        let mut again = Box::pin(checker.verify(credentials, secret));
        let polled = again.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(Verdict::ACCEPTED));
        // A changed password makes other credentials, which nobody has seen.
        let changed = hash_password(&Secret::from("other"));
        assert!(!wait(checker.verify(changed, Secret::from("secret"))).accepted);
    }

    #[test]
    fn nothing_is_remembered_where_that_is_not_wanted() {
        let checker = PasswordChecker::new(Duration::ZERO);
        let (credentials, secret) = (hash_password(&Secret::from("secret")), Secret::from("secret"));
        assert!(wait(checker.verify(credentials.clone(), secret.clone())).accepted);
        let mut again = Box::pin(checker.verify(credentials, secret));
        assert!(again.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(wait(again).accepted);
    }

    #[test]
    fn what_was_asked_is_answered_also_when_the_checker_is_dropped() {
        let checker = PasswordChecker::default();
        let right = checker.verify(vec!["{PLAIN}secret".to_owned()], Secret::from("secret"));
        let wrong = checker.verify(Vec::new(), Secret::from("x"));
        drop(checker);
        assert!(wait(right).accepted);
        assert_eq!(wait(wrong), Verdict::REFUSED);
    }
}
