//! Fixed vectors, made by `doveadm pw -s SCHEME -p PASSWORD` of Dovecot 2.3.19 and `openssl passwd`.

#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

const OF_SECRET: [&str; 14] = [
    "{PLAIN}secret",
    "{CLEARTEXT}secret",
    "{SHA512-CRYPT}$6$rQhGlYyso9ZjmKf1$t43IbzXBZsUGWhqQtFuPyXoHAl8.fIikCTsWNU48Zh79vrvxy/k3YKRtId.XUXiqht01sA.8q/IFTQpaOssu8.",
    "{SHA512-CRYPT}$6$rounds=10000$KfO0ruskiEcxGh62$GpejhM7PtnXJvjQ1seLspE.so4yECXgdAKVAZKGUsMDoZxJ8NwtrxEVx4pOUTQFPxAlwXT0FEuSjt9ANmPjUT1",
    "{SHA512-CRYPT}$6$ab./cd$utnmxi82/SfVKvx3CvbXfpBOhgKkVK1YVDnjw7qfyZRDHliypRoF6M92Gr8GKXaHuLmrEBHJTcJyk9dF1WgLU1",
    "{SHA256-CRYPT}$5$0t8kGzyLFdde4RfK$Xu0TaUs0ngLw76c71/.Y8kvdQzemqEfIQP6Kz9Hqyu.",
    "{SHA256-CRYPT}$5$rounds=7000$58/8oTaKC5c8AMvN$pu02ehzlduSEicoGJ.ByRAc4ARfAtN/JXiPuLVLiGZC",
    "{SHA256-CRYPT}$5$x$u/w5rkS/ZkEW8w7w0VcSy915tS82tDWKB5Ee9giohyD",
    "{CRYPT}$5$x$u/w5rkS/ZkEW8w7w0VcSy915tS82tDWKB5Ee9giohyD",
    "{BLF-CRYPT}$2y$05$4548HUbBPnQ.PKgfwYen4OThoyaeTmRkPNsK2JS8NMbpPti5IzC/K",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$7WJon/hqKLbR7H7GqJeONA$HVk0PzfWKRgEHQYx2KfyN3SWM5YSBOFq1u1FO0vyHtM",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$sBx+w11Gwf2GpBLDcCZ4Ww$sRCyerE8xw5ZbOtdnsX7YplaE1QadVGJk+pgvEvCBbc",
    "{PBKDF2}$1$W1Tg3L6yymMPITyK$5000$b12e0c140e9ca1af6f03a7fa763d1e134eb5e723",
    "{SCRAM-SHA-256}4096,vespbaZ0FGOiElhD//0T/A==,PWjNI8O2jFm73f0GQctJGOyXIbOeLj9HYDQu+OC63cs=,Rlj9Nqa61oykV2A/HyMXB7CmtY+QaxoQxegrch2NIQo=",
];

/// Of "pässwörd" in composed letters.
const OF_UMLAUTS: [&str; 5] = [
    "{SHA512-CRYPT}$6$3qt7pVRQ5aIkGcuw$mGLUdw0uV1rYQPfrhzhLrjoD.mH2t.yF61sFay/P/SXnSgiZ2lDq69J5OASI2WkBg0lTz4zDpQMkOzfQePXgi1",
    "{BLF-CRYPT}$2y$04$Y9IhWNebpMfcfzEtiuZAF.Y.IKteSXNTJTXkwmXJjxSslVCEhuA5K",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$5RSfoRl/ChSi34fgSg2qxw$EPqOkaXFAma126BqJvG2GlBYeAQA9oqHA6llVJsHZZ4",
    "{SCRAM-SHA-256}4096,j9C+vjtZwsFK9BxDEA1L8w==,kdn7p1am2+ZUhQJzCVGxPM7jl95YQfBFAFcGgIxbZyU=,gWTnmNCw6c/JMh4N0QGXnuPaUfneD0FbQauiF6UG9LY=",
    "{PBKDF2}$1$an34iau8nIVuYlgA$5000$da81c5eb1fea06a9d73fb992569203e4d812bd45",
];

#[test]
fn accepts_what_dovecot_and_openssl_made() {
    for credential in OF_SECRET {
        assert!(check_credential(credential).is_ok(), "{credential}");
        assert!(accepts(credential, &Secret::from("secret")), "{credential}");
        for wrong in ["Secret", "secre", "secrets", ""] {
            assert!(!accepts(credential, &Secret::from(wrong)), "{credential} {wrong:?}");
        }
    }
}

// RFC 4616 §2, RFC 4013: the same word, composed or decomposed, is the same password.
#[test]
fn a_password_beyond_ascii_is_accepted_however_it_is_composed() {
    for credential in OF_UMLAUTS {
        assert!(accepts(credential, &Secret::from("p\u{e4}ssw\u{f6}rd")), "{credential}");
        assert!(accepts(credential, &Secret::from("pa\u{308}sswo\u{308}rd")), "{credential}");
        assert!(!accepts(credential, &Secret::from("password")), "{credential}");
    }
}

#[test]
fn an_imported_password_that_saslprep_would_change_still_works() {
    // Another server hashed the octets as they came; Columba would have hashed the composed form.
    assert!(accepts("{PLAIN}a\u{308}", &Secret::from("a\u{308}")));
    assert!(!accepts("{PLAIN}a\u{308}", &Secret::from("\u{e4}")));
}

#[test]
fn what_columba_makes_is_understood_everywhere_it_is_read() {
    let secret = Secret::from("pa\u{308}ss");
    let made = hash_password(&secret);
    let schemes: Vec<_> = made.iter().map(|credential| check_credential(credential)).collect();
    assert_eq!(schemes, [Ok(Scheme::Argon2id), Ok(Scheme::ScramSha256)]);
    for credential in made.iter().chain(&quick_hash(&secret)) {
        assert!(accepts(credential, &Secret::from("p\u{e4}ss")), "{credential}");
        assert!(!accepts(credential, &Secret::from("pass")), "{credential}");
    }
    assert!(hash_password(&secret) != made, "the salt is new each time");
}

#[test]
fn the_dummy_costs_what_a_real_credential_costs() {
    assert!(is_strong_argon2id(DUMMY));
    let params = |credential: &str| credential.split('$').nth(3).map(str::to_owned);
    assert_eq!(params(DUMMY), params(&hash_password(&Secret::from("x"))[0]));
    assert!(!accepts(DUMMY, &Secret::from("secret")));
}

#[test]
fn says_what_is_wrong_with_a_credential() {
    use InvalidCredential::*;
    let salt = "4548HUbBPnQ.PKgfwYen4OThoyaeTmRkPNsK2JS8NMbpPti5IzC/K";
    for (bad, reason) in [
        ("secret", NoScheme),
        ("{PLAINsecret", NoScheme),
        ("{MD5}x", UnknownScheme("MD5".into())),
        ("{CRYPT}abcdefghijklm", UnknownScheme("CRYPT".into())),
        ("{SHA512-CRYPT}x", Malformed(Scheme::Sha512Crypt)),
        ("{BLF-CRYPT}$2y$05$short", Malformed(Scheme::BlfCrypt)),
        ("{ARGON2ID}$argon2i$v=19$m=32768,t=4,p=1$sBx+w11Gwf2GpBLDcCZ4Ww$sRCyerE8", Malformed(Scheme::Argon2id)),
        ("{ARGON2ID}$argon2id$v=19$m=32768,t=4,p=1$sBx+w11Gwf2GpBLDcCZ4Ww", Malformed(Scheme::Argon2id)),
        ("{PBKDF2}$1$salt$5000$xyz", Malformed(Scheme::Pbkdf2)),
        ("{PBKDF2}$1$salt$0$b12e0c140e9ca1af6f03a7fa763d1e134eb5e723", Malformed(Scheme::Pbkdf2)),
        ("{SCRAM-SHA-256}4096,x", Malformed(Scheme::ScramSha256)),
        (&format!("{{BLF-CRYPT}}$2y$31${salt}"), TooCostly(Scheme::BlfCrypt)),
        ("{SHA512-CRYPT}$6$rounds=999999999$x$y", TooCostly(Scheme::Sha512Crypt)),
        (
            "{ARGON2ID}$argon2id$v=19$m=4000000,t=4,p=1$sBx+w11Gwf2GpBLDcCZ4Ww$HVk0PzfWKRgEHQYx2KfyN3SWM5YSBOFq1u1FO0vyHtM",
            TooCostly(Scheme::Argon2id),
        ),
        ("{PBKDF2}$1$salt$900000000$b12e0c140e9ca1af6f03a7fa763d1e134eb5e723", TooCostly(Scheme::Pbkdf2)),
    ] {
        assert_eq!(check_credential(bad), Err(reason), "{bad}");
        assert!(!accepts(bad, &Secret::from("secret")), "{bad}");
    }
}

#[test]
fn every_scheme_is_found_by_its_name() {
    for (name, scheme) in Scheme::NAMES {
        assert_eq!(Scheme::parse(&name.to_lowercase()), Some(scheme));
        assert_eq!(Scheme::parse(scheme.as_str()), Some(scheme));
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        scheme in proptest::sample::select(Scheme::NAMES.map(|(name, _)| name).to_vec()),
        data in "[$0-9a-z=,é.]{0,70}",
    ) {
        let credential = format!("{{{scheme}}}{data}");
        let accepted = accepts(&credential, &Secret::from("no"));
        prop_assert_eq!(accepted, Scheme::parse(scheme) == Some(Scheme::Plain) && data == "no");
    }

    #[test]
    fn damaged_hashes_never_panic(which in proptest::sample::select(vec![4, 5, 7, 9, 12, 13]), at in 0usize..200, new in "[$!=,a-z0-9é]") {
        let good = OF_SECRET[which];
        let at = at % good.len();
        let damaged = format!("{}{new}{}", &good[..at], &good[at + 1..]);
        // Another password than the one hashed is never accepted, whatever happened to the hash.
        prop_assert!(!accepts(&damaged, &Secret::from("other")), "{}", damaged);
    }
}
