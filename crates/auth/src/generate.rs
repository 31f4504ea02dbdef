//! Passwords that Columba makes up for people: strong enough for anything, easy to read aloud and to type on a phone.

/// Small letters and digits without those that look alike (l, o, 0, 1): 32 of them, 5 bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const GROUPS: usize = 5;
const GROUP_LETTERS: usize = 4;

/// A new password of 100 bits, as five groups of four: `k7wq-x3mz-…`.
///
/// # Panics
/// When the operating system gives no random octets; nothing safe can be done then.
pub fn random_password() -> String {
    let mut octets = [0u8; GROUPS * GROUP_LETTERS];
    getrandom::fill(&mut octets).expect("the operating system gives random octets");
    let mut text = String::with_capacity(octets.len() + GROUPS);
    for (at, octet) in octets.iter().enumerate() {
        if at > 0 && at.is_multiple_of(GROUP_LETTERS) {
            text.push('-');
        }
        // 256 is a multiple of 32, so that every letter is as likely as any other.
        text.push(char::from(ALPHABET[usize::from(octet % 32)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn five_groups_of_four_readable_letters() {
        let password = random_password();
        assert_eq!(password.split('-').map(str::len).collect::<Vec<_>>(), [4; 5]);
        assert!(password.bytes().all(|b| b == b'-' || ALPHABET.contains(&b)), "{password}");
        assert_eq!(ALPHABET.iter().collect::<BTreeSet<_>>().len(), 32);
    }

    #[test]
    fn no_two_are_alike() {
        assert_eq!((0..1000).map(|_| random_password()).collect::<BTreeSet<_>>().len(), 1000);
    }
}
