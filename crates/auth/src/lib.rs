//! Who may log in: passwords, what is stored of them, and the checking itself. Which account a name belongs to, whether
//! it is disabled, how often one may fail, and how a client says its password are other crates' matters.
//!
//! Invariants:
//! - A password is never printed, logged or kept: [`Secret`] has no `Debug` content and is overwritten when dropped.
//! - A refusal never tells why by what it costs or when it comes: an unknown user, a wrong password and a disabled account
//!   all do the work of one Argon2id, and are all told the same time after the check began.
//! - Passwords are never hashed on the thread of a connection.
//! - A credential from outside never makes a check run for minutes or take all memory: its cost is bounded.

mod cache;
mod checker;
mod credential;
mod generate;
pub mod passwd_file;
mod plain;
mod scram;
mod secret;

pub use checker::{PasswordChecker, Verdict};
pub use credential::{InvalidCredential, Scheme, check_credential, hash_password, quick_hash};
pub use generate::random_password;
pub use plain::{InvalidPlain, PlainMessage, parse_plain};
pub use secret::Secret;
