//! Plays scripts on a server at an address, to compare answers:
//! `ASK=ADDRESS:PORT ASK_MAIL=FOLDER cargo run --example ask -- [FILTER…]`.
//! The server has to take any account with the password `secret` without TLS; FOLDER, where its mail is, is emptied
//! before each script.

use std::path::Path;

use columba_sim::script::{AddressGround, Variant, main as play_all};

fn main() {
    let address = std::env::var("ASK").ok().and_then(|a| a.parse().ok()).expect("ASK=ADDRESS:PORT");
    let mail = std::env::var("ASK_MAIL").expect("ASK_MAIL=FOLDER");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let ground = move || {
        for entry in std::fs::read_dir(&mail).map_err(|e| e.to_string())?.flatten() {
            std::fs::remove_dir_all(entry.path()).map_err(|e| e.to_string())?;
        }
        Ok(Box::new(AddressGround::new(address)) as _)
    };
    let variant = Variant { name: "address", ground: Box::new(ground) };
    std::process::exit(play_all(&root.join("scripts"), &root.join("messages"), &[variant], 1));
}
