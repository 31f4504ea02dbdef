//! The commands of LMTP (RFC 2033 §4, RFC 5321 §4.1) from their lines. Pure; when a command may come is others' matter.

use crate::lmtp::address::{Mailbox, is_domain, parse_path};
use crate::lmtp::reply::Reply;

/// One command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    Lhlo(String),
    /// HELO and EHLO: a client that takes us for SMTP (RFC 2033 §4.1).
    Helo,
    StartTls,
    Mail(Mail),
    Rcpt(Mailbox),
    Data,
    /// RFC 3030 §2.
    Bdat {
        octets: u64,
        last: bool,
    },
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
}

/// MAIL with its parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mail {
    /// Who is told of failures; `None` for `<>`.
    pub(crate) sender: Option<Mailbox>,
    /// SIZE (RFC 1870 §6): octets the client means to send.
    pub(crate) size: Option<u64>,
    /// SMTPUTF8 (RFC 6531 §3.4).
    pub(crate) utf8: bool,
}

/// Reads a line without its end.
pub(crate) fn parse(line: &[u8]) -> Result<Command, Reply> {
    let Ok(line) = std::str::from_utf8(line) else {
        return Err(Reply::new(500, "5.5.2", "That is not UTF-8"));
    };
    let line = line.trim_end_matches([' ', '\t']);
    let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
    match verb.to_ascii_uppercase().as_str() {
        "LHLO" => lhlo(argument),
        "HELO" | "EHLO" => Ok(Command::Helo),
        "STARTTLS" => alone(argument, Command::StartTls),
        "MAIL" => mail(argument),
        "RCPT" => rcpt(argument),
        "DATA" => alone(argument, Command::Data),
        "BDAT" => bdat(argument),
        "RSET" => alone(argument, Command::Rset),
        // RFC 5321 §4.1.1.9: an argument of NOOP is ignored.
        "NOOP" => Ok(Command::Noop),
        "VRFY" => Ok(Command::Vrfy),
        "HELP" => Ok(Command::Help),
        "QUIT" => alone(argument, Command::Quit),
        "EXPN" => Err(Reply::new(502, "5.5.1", "EXPN is not offered")),
        _ => Err(Reply::new(500, "5.5.2", "Unknown command")),
    }
}

fn alone(argument: &str, command: Command) -> Result<Command, Reply> {
    if argument.is_empty() { Ok(command) } else { Err(Reply::new(501, "5.5.4", "No arguments are allowed")) }
}

fn lhlo(argument: &str) -> Result<Command, Reply> {
    let name = argument.trim();
    if is_domain(name) {
        return Ok(Command::Lhlo(name.to_owned()));
    }
    Err(Reply::new(501, "5.5.4", "LHLO needs your host name"))
}

fn mail(argument: &str) -> Result<Command, Reply> {
    let path = keyword(argument, "FROM:").ok_or_else(|| Reply::new(501, "5.5.4", "Syntax: MAIL FROM:<address>"))?;
    let (sender, parameters) = parse_path(path)?;
    let mut mail = Mail { sender, size: None, utf8: false };
    for (name, value) in parse_parameters(parameters)? {
        match (name.as_str(), value) {
            ("SIZE", Some(value)) => mail.size = Some(number(value)?),
            // RFC 6152 §2: octets are kept as they come, whichever it is.
            ("BODY", Some(value)) if ["7BIT", "8BITMIME"].iter().any(|body| body.eq_ignore_ascii_case(value)) => {}
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("BINARYMIME") => {
                // IMAP cannot hand out a body with NULs in it as it came (RFC 9051 §9 `CHAR8`), so it is not offered.
                return Err(Reply::new(501, "5.6.1", "BINARYMIME is not offered, send it encoded"));
            }
            ("SMTPUTF8", None) => mail.utf8 = true,
            ("SIZE" | "BODY" | "SMTPUTF8", _) => return Err(Reply::new(501, "5.5.4", "Bad value of a parameter")),
            _ => return Err(unknown_parameter()),
        }
    }
    let ascii = mail.sender.as_ref().is_none_or(Mailbox::is_ascii);
    if !ascii && !mail.utf8 {
        return Err(needs_utf8());
    }
    Ok(Command::Mail(mail))
}

fn rcpt(argument: &str) -> Result<Command, Reply> {
    let path = keyword(argument, "TO:").ok_or_else(|| Reply::new(501, "5.5.4", "Syntax: RCPT TO:<address>"))?;
    match parse_path(path)? {
        (_, parameters) if !parameters.trim().is_empty() => Err(unknown_parameter()),
        (Some(mailbox), _) => Ok(Command::Rcpt(mailbox)),
        (None, _) => Err(Reply::new(501, "5.1.3", "A recipient cannot be empty")),
    }
}

fn bdat(argument: &str) -> Result<Command, Reply> {
    let mut words = argument.split_ascii_whitespace();
    let syntax = || Reply::new(501, "5.5.4", "Syntax: BDAT octets [LAST]");
    let octets = number(words.next().ok_or_else(syntax)?)?;
    match (words.next(), words.next()) {
        (None, None) => Ok(Command::Bdat { octets, last: false }),
        (Some(last), None) if last.eq_ignore_ascii_case("LAST") => Ok(Command::Bdat { octets, last: true }),
        _ => Err(syntax()),
    }
}

/// What an address beyond ASCII is told when SMTPUTF8 was not said (RFC 6531 §3.5).
pub(crate) fn needs_utf8() -> Reply {
    Reply::new(553, "5.6.7", "Such an address needs SMTPUTF8")
}

fn unknown_parameter() -> Reply {
    // RFC 5321 §4.1.1.11.
    Reply::new(555, "5.5.4", "Unknown parameter")
}

fn keyword<'a>(argument: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = argument.trim_start().split_at_checked(word.len())?;
    first.eq_ignore_ascii_case(word).then_some(rest)
}

/// The parameters behind a path, names in capitals.
fn parse_parameters(text: &str) -> Result<Vec<(String, Option<&str>)>, Reply> {
    if !text.is_empty() && !text.starts_with(' ') {
        return Err(Reply::new(501, "5.5.2", "There is something behind the address"));
    }
    let split = |word: &'_ str| -> (String, Option<usize>) {
        let name = word.split('=').next().unwrap_or_default();
        (name.to_ascii_uppercase(), (name.len() < word.len()).then_some(name.len() + 1))
    };
    Ok(text
        .split_ascii_whitespace()
        .map(|word| {
            let (name, value) = split(word);
            (name, value.map(|at| &word[at..]))
        })
        .collect())
}

fn number(text: &str) -> Result<u64, Reply> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or_else(|| Reply::new(501, "5.5.4", "Bad number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(line: &str) -> (u16, &'static str) {
        parse(line.as_bytes()).map_or_else(|reply| (reply.code, reply.status), |command| panic!("{command:?}"))
    }

    fn command(line: &str) -> Command {
        parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn reads_every_command_in_any_case() {
        assert_eq!(command("lhlo mx.example.org"), Command::Lhlo("mx.example.org".into()));
        assert_eq!(command("EHLO x"), Command::Helo);
        assert_eq!(command("Data"), Command::Data);
        assert_eq!(command("BDAT 86 last"), Command::Bdat { octets: 86, last: true });
        assert_eq!(command("BDAT 0"), Command::Bdat { octets: 0, last: false });
        assert_eq!(command("NOOP whatever"), Command::Noop);
        assert_eq!(command("QUIT "), Command::Quit);
        assert!(matches!(command("VRFY ann"), Command::Vrfy));
        assert!(matches!(command("rcpt to:<ann@b.example>"), Command::Rcpt(_)));
    }

    #[test]
    fn reads_the_parameters_of_mail() {
        let mail = |line: &str| match command(line) {
            Command::Mail(mail) => (mail.sender.map(|s| s.written), mail.size, mail.utf8),
            other => panic!("{other:?}"),
        };
        assert_eq!(mail("MAIL FROM:<>"), (None, None, false));
        assert_eq!(
            mail("MAIL FROM: <a@b.example> size=1000 BODY=8BITMIME SMTPUTF8"),
            (Some("a@b.example".into()), Some(1000), true)
        );
        assert_eq!(mail("MAIL FROM:<é@b.example> SMTPUTF8").0, Some("é@b.example".into()));
    }

    #[test]
    fn every_mistake_has_its_code() {
        for (line, expected) in [
            ("", (500, "5.5.2")),
            ("GET / HTTP/1.1", (500, "5.5.2")),
            ("EXPN list", (502, "5.5.1")),
            ("LHLO", (501, "5.5.4")),
            ("LHLO a b", (501, "5.5.4")),
            ("DATA now", (501, "5.5.4")),
            ("MAIL <a@b>", (501, "5.5.4")),
            ("MAIL FROM:a@b", (501, "5.5.2")),
            ("MAIL FROM:<a@b>SIZE=1", (501, "5.5.2")),
            ("MAIL FROM:<a@b> SIZE=x", (501, "5.5.4")),
            ("MAIL FROM:<a@b> SIZE=99999999999999999999", (501, "5.5.4")),
            ("MAIL FROM:<a@b> SMTPUTF8=1", (501, "5.5.4")),
            ("MAIL FROM:<a@b> RET=FULL", (555, "5.5.4")),
            ("MAIL FROM:<a@b> BODY=BINARYMIME", (501, "5.6.1")),
            ("MAIL FROM:<é@b>", (553, "5.6.7")),
            ("RCPT TO:<>", (501, "5.1.3")),
            ("RCPT TO:<a@b> NOTIFY=NEVER", (555, "5.5.4")),
            ("RCPT FROM:<a@b>", (501, "5.5.4")),
            ("BDAT", (501, "5.5.4")),
            ("BDAT -1", (501, "5.5.4")),
            ("BDAT 1 LAST LAST", (501, "5.5.4")),
        ] {
            assert_eq!(code(line), expected, "{line}");
        }
        assert_eq!(parse(b"NOOP \xff").unwrap_err().code, 500);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "(MAIL FROM:|RCPT TO:|BDAT |LHLO |)[<>@a=\" é+:\\\\0-9]{0,20}") {
            _ = parse(line.as_bytes());
        }
    }
}
