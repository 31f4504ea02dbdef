//! Where a password comes from: asked for twice on a terminal, read from standard input, or made up. Never from the
//! command line or the environment, which others can read.

use std::io::{self, BufRead, IsTerminal, Read};

use columba_auth::{Secret, random_password};
use columba_types::limits::PASSWORD_BYTES;

use crate::cli::PasswordFrom;
use crate::failure::Failure;

/// A password, and whether it has to be shown because nobody knows it yet.
pub(crate) struct Entered {
    pub(crate) password: Secret,
    /// The password itself, when it was made up.
    pub(crate) made_up: Option<String>,
}

/// Gets a password for `account`.
pub(crate) fn enter(account: &str, from: &PasswordFrom) -> Result<Entered, Failure> {
    if from.random {
        return Ok(random());
    }
    if from.password_stdin {
        return Ok(Entered { password: from_stdin()?, made_up: None });
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new("there is no terminal to ask for a password")
            .hint("give it on standard input with --password-stdin, or have one made up with --random"));
    }
    let ask = |prompt: String| {
        let read = rpassword::prompt_password(prompt);
        read.map_err(|error| Failure::new(format!("the password cannot be read: {error}")))
    };
    let first = ask(format!("Password for {account}: "))?;
    let second = ask("The same again: ".into())?;
    if first != second {
        return Err(Failure::new("the two passwords are not the same").hint("nothing was changed; try again"));
    }
    Ok(Entered { password: checked(first.into_bytes())?, made_up: None })
}

/// Asks for the password of `account`, which exists, so once is enough.
pub(crate) fn ask_once(account: &str) -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new("there is no terminal to ask for a password")
            .hint("give it on standard input with --password-stdin"));
    }
    let read = rpassword::prompt_password(format!("Password for {account}: "));
    let read = read.map_err(|error| Failure::new(format!("the password cannot be read: {error}")))?;
    checked(read.into_bytes())
}

/// Makes one up.
pub(crate) fn random() -> Entered {
    let password = random_password();
    Entered { password: Secret::new(password.as_bytes()), made_up: Some(password) }
}

/// The first line of standard input.
pub(crate) fn from_stdin() -> Result<Secret, Failure> {
    let mut line = Vec::new();
    let limited = io::stdin().lock().take(PASSWORD_BYTES as u64 + 2);
    let read = io::BufReader::new(limited).read_until(b'\n', &mut line);
    read.map_err(|error| Failure::new(format!("the password cannot be read from standard input: {error}")))?;
    if line.ends_with(b"\n") {
        line.pop();
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
    checked(line)
}

fn checked(password: Vec<u8>) -> Result<Secret, Failure> {
    if password.is_empty() {
        return Err(Failure::new("the password is empty").hint("nothing was changed; choose one, or use --random"));
    }
    if password.len() > PASSWORD_BYTES {
        return Err(Failure::new(format!("the password has more than {PASSWORD_BYTES} octets")));
    }
    if password.contains(&0) || std::str::from_utf8(&password).is_err() {
        // RFC 4616 §2: no client could send it.
        return Err(Failure::new("the password is not UTF-8 text").hint("nothing was changed; choose another one"));
    }
    Ok(Secret::new(password))
}

/// Asks whether to go on with something that cannot be undone; without a terminal, `--yes` has to say so.
pub(crate) fn confirm(what: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new(format!("{what}: nobody is there to confirm it")).hint("say --yes to go on"));
    }
    eprint!("{what}? This cannot be undone. Type yes to go on: ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match read {
        Ok(_) if answer.trim() == "yes" => Ok(()),
        _ => Err(Failure::new("nothing was changed")),
    }
}
