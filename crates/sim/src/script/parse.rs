//! Reads a script's text into steps; `tests/scripts/README.md` describes the format. What the steps do is not known
//! here.

use std::time::Duration;

use columba_types::{Date, DateTime};

use super::text;

/// A whole script.
#[derive(Clone, Debug)]
pub struct Script {
    /// What has been enabled on each connection that `login` opens; the script is played once for each.
    pub modes: Vec<Mode>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// What a client has enabled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Nothing: the server speaks IMAP4rev1.
    Rev1,
    /// ENABLE IMAP4rev2
    Rev2,
    /// ENABLE UTF8=ACCEPT
    Utf8,
}

impl Mode {
    /// As scripts write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rev1 => "rev1",
            Self::Rev2 => "rev2",
            Self::Utf8 => "utf8",
        }
    }

    /// What ENABLE has to name.
    pub fn capability(self) -> Option<&'static str> {
        match self {
            Self::Rev1 => None,
            Self::Rev2 => Some("IMAP4rev2"),
            Self::Utf8 => Some("UTF8=ACCEPT"),
        }
    }

    fn parse(name: &str) -> Result<Self, String> {
        [Self::Rev1, Self::Rev2, Self::Utf8]
            .into_iter()
            .find(|mode| mode.name() == name)
            .ok_or_else(|| format!("no mode {name:?}: rev1, rev2 or utf8"))
    }
}

/// One step, and where it stands.
#[derive(Clone, Debug)]
pub struct Step {
    /// Line of the file, from 1.
    pub line: usize,
    /// Only in this mode.
    pub only: Option<Mode>,
    /// Which connection it is about; empty for the one without a name.
    pub connection: String,
    /// What.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Octets get a name.
    Define { name: String, octets: Vec<u8> },
    /// Something that is not done over a connection of the script.
    Outside(Outside),
    /// A connection is opened; nothing is expected yet.
    Connect(Peer),
    /// Connection (unless there), greeting, LOGIN, ENABLE of the mode.
    Login { account: String },
    /// SELECT or EXAMINE.
    Select { mailbox: String, read_only: bool },
    /// A line is sent.
    Send(String),
    /// Octets are sent.
    SendRaw(Vec<u8>),
    /// From here on both directions are compressed.
    Compress,
    /// From here on what the client sends is not.
    Plain,
    /// The client closes.
    Disconnect,
    /// The next response.
    Expect { pattern: String, exact: bool },
    /// One of several responses that may come in any order: a run of these is one group.
    ExpectUnordered(String),
    /// The server closes.
    ExpectClosed,
    /// Time passes.
    Clock(Duration),
    /// The server, or an administrator, ends the connection.
    Stop { kicked: bool },
    /// Two texts with placeholders, compared as numbers.
    Assert { left: String, relation: String, right: String },
}

/// What is done from outside of the script's connections, before it or between.
#[derive(Clone, Debug)]
pub enum Outside {
    /// An account with a password; it has INBOX and the default special-use mailboxes.
    Account { name: String, password: String },
    /// A mailbox, by its name in UTF-8.
    Mailbox { account: String, name: String },
    /// A message arrives.
    Message { account: String, mailbox: String, flags: Vec<String>, date: Option<DateTime>, octets: Octets },
    /// How many connections an account may have.
    ConnectionsPerAccount(usize),
    /// A capability is hidden from an account, or a client, by patterns; before the first connection.
    Hide { capability: String, account: Option<String>, client: Option<String> },
    /// From now on the store writes nothing, as on a disk that hangs; or it goes on.
    Disk { hangs: bool },
    /// Messages that one command, and one COPY or APPEND, may be about; before the first connection.
    MessageLimit { any: u32, saving: Option<u32> },
    /// Messages that a batch of UIDBATCHES has at least.
    BatchSize(u32),
    /// How large a message an account takes.
    MessageSize { account: String, octets: u64 },
}

/// Octets as written, or by the name they were given.
#[derive(Clone, Debug)]
pub enum Octets {
    /// As written below.
    Given(Vec<u8>),
    /// By name, perhaps with a range.
    Named(String),
}

/// How a connection is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Peer {
    /// Not, and LOGIN is allowed all the same (the address is in `auth.plaintext_networks`).
    #[default]
    Trusted,
    /// Not, and LOGIN is refused.
    Plain,
    /// Not yet: STARTTLS is offered, LOGIN is refused before.
    StartTls,
    /// TLS from the start.
    Tls,
    /// As `Trusted`, on a listener that offers X-GM-EXT-1.
    Labels,
}

/// The account of scripts that name none.
pub const ACCOUNT: &str = "bob";
/// Its password.
pub const PASSWORD: &str = "secret";

/// Reads a script. `file` gives the octets of a message file by its name.
///
/// # Errors
/// The line and what is wrong with it.
pub fn parse(source: &str, file: &File<'_>) -> Result<Script, (usize, String)> {
    let mut script = Script { modes: vec![Mode::Rev1], steps: Vec::new() };
    let lines: Vec<&str> = source.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let number = at + 1;
        let line = lines[at];
        at += 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let body_from = at;
        while lines.get(at).is_some_and(|l| l.starts_with('|')) {
            at += 1;
        }
        let body = &lines[body_from..at];
        if let Some(modes) = line.strip_prefix("modes ") {
            let modes: Result<Vec<Mode>, String> = modes.split_whitespace().map(Mode::parse).collect();
            script.modes = modes.map_err(|e| (number, e))?;
            continue;
        }
        script.steps.extend(parse_steps(line, number, body, file).map_err(|e| (number, e))?);
    }
    Ok(script)
}

fn parse_steps(line: &str, number: usize, body: &[&str], file: &File<'_>) -> Result<Vec<Step>, String> {
    let (only, line) = match line.strip_prefix('@') {
        Some(guarded) => {
            let (mode, line) = guarded.split_once(' ').ok_or("@MODE and a step")?;
            (Some(Mode::parse(mode)?), line)
        }
        None => (None, line),
    };
    let (connection, actions) = match parse_action(line, body, file)? {
        Some(actions) => (String::new(), actions),
        None => {
            let (connection, rest) = line.split_once(' ').ok_or_else(|| format!("no step: {line:?}"))?;
            let actions = parse_action(rest, body, file)?.ok_or_else(|| format!("no step: {line:?}"))?;
            (connection.to_owned(), actions)
        }
    };
    if !body.is_empty() && !line.starts_with("message ") && !line.starts_with("define ") {
        return Err("lines with | follow a message only".into());
    }
    Ok(actions.into_iter().map(|action| Step { line: number, only, connection: connection.clone(), action }).collect())
}

/// The octets of a message file, by its name.
type File<'a> = dyn Fn(&str) -> Option<Vec<u8>> + 'a;

/// `None` if the line begins with no verb.
fn parse_action(line: &str, body: &[&str], file: &File<'_>) -> Result<Option<Vec<Action>>, String> {
    for (prefix, make) in LINES {
        if let Some(rest) = line.strip_prefix(prefix) {
            return make(rest).map(|action| Some(vec![action]));
        }
    }
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    let action = match verb {
        "define" => Action::Define { name: rest.to_owned(), octets: message_octets(body) },
        "file" => {
            let (name, path) = rest.split_once(' ').ok_or("file NAME PATH")?;
            let octets = file(path.trim()).ok_or_else(|| format!("there is no message file {path:?}"))?;
            Action::Define { name: name.to_owned(), octets }
        }
        "octets" => {
            let (name, quoted) = rest.split_once(' ').ok_or("octets NAME \"…\"")?;
            Action::Define { name: name.to_owned(), octets: whole_quoted(quoted)? }
        }
        "account" => {
            let (name, password) = rest.split_once(' ').ok_or("account NAME PASSWORD")?;
            Action::Outside(Outside::Account { name: name.to_owned(), password: password.to_owned() })
        }
        "connections-per-account" => {
            Action::Outside(Outside::ConnectionsPerAccount(rest.parse().map_err(|_| "a number")?))
        }
        "hide" => Action::Outside(parse_hide(rest)?),
        "disk" => match rest {
            "hangs" => Action::Outside(Outside::Disk { hangs: true }),
            "works" => Action::Outside(Outside::Disk { hangs: false }),
            _ => return Err("disk hangs, disk works".into()),
        },
        "message-limit" => {
            let (any, saving) = rest.split_once(' ').map_or((rest, None), |(any, saving)| (any, Some(saving)));
            let number = |text: &str| text.parse().map_err(|_| "message-limit N [M]");
            let limit = Outside::MessageLimit { any: number(any)?, saving: saving.map(number).transpose()? };
            Action::Outside(limit)
        }
        "batch-size" => Action::Outside(Outside::BatchSize(rest.parse().map_err(|_| "a number")?)),
        "message-size" => {
            let (account, octets) = rest.split_once(' ').ok_or("message-size NAME OCTETS")?;
            let octets = octets.parse().map_err(|_| "a number")?;
            Action::Outside(Outside::MessageSize { account: account.to_owned(), octets })
        }
        "mailbox" => {
            let (account, name) = account_and(rest);
            Action::Outside(Outside::Mailbox { account, name: unquoted(name)? })
        }
        "message" => return parse_message(rest, body).map(Some),
        "messages" => return parse_messages(rest).map(Some),
        "connect" => Action::Connect(parse_peer(rest)?),
        "login" => Action::Login { account: if rest.is_empty() { ACCOUNT.into() } else { rest.to_owned() } },
        "select" => Action::Select { mailbox: unquoted(rest)?, read_only: false },
        "examine" => Action::Select { mailbox: unquoted(rest)?, read_only: true },
        "compress" => Action::Compress,
        "plain" => Action::Plain,
        "clock" => Action::Clock(parse_duration(rest)?),
        "stop" => Action::Stop { kicked: false },
        "kick" => Action::Stop { kicked: true },
        "assert" => parse_assert(rest)?,
        _ => return Ok(None),
    };
    Ok(Some(vec![action]))
}

/// `hide CAPABILITY [from account PATTERN | from client PATTERN]`.
fn parse_hide(rest: &str) -> Result<Outside, String> {
    let (capability, from) = rest.split_once(" from ").map_or((rest, ""), |(capability, from)| (capability, from));
    let of = |kind: &str| from.strip_prefix(kind).map(|pattern| pattern.trim().to_owned());
    let (account, client) = (of("account "), of("client "));
    if !from.is_empty() && account.is_none() && client.is_none() {
        return Err("hide CAPABILITY [from account PATTERN | from client PATTERN]".into());
    }
    Ok(Outside::Hide { capability: capability.to_owned(), account, client })
}

type MakeLine = fn(&str) -> Result<Action, String>;

/// The lines of the conversation itself.
const LINES: [(&str, MakeLine); 8] = [
    ("C: (closes)", |_| Ok(Action::Disconnect)),
    ("C: ", |line| Ok(Action::Send(line.to_owned()))),
    ("C:", |line| if line.is_empty() { Ok(Action::Send(String::new())) } else { Err("a space after C:".into()) }),
    ("C! ", |quoted| Ok(Action::SendRaw(whole_quoted(quoted)?))),
    ("S: (closed)", |_| Ok(Action::ExpectClosed)),
    ("S: ", |line| Ok(Action::Expect { pattern: line.to_owned(), exact: false })),
    ("S= ", |line| Ok(Action::Expect { pattern: line.to_owned(), exact: true })),
    ("S~ ", |line| Ok(Action::ExpectUnordered(line.to_owned()))),
];

/// `message [ACCOUNT:]MAILBOX [flags (…)] [date "…"] [as NAME]` with the octets below, or `… named NAME`.
fn parse_message(rest: &str, body: &[&str]) -> Result<Vec<Action>, String> {
    let (place, rest) = split_name(rest)?;
    let (account, name) = account_and(&place);
    let mut message = Outside::Message {
        account,
        mailbox: name.to_owned(),
        flags: Vec::new(),
        date: None,
        octets: Octets::Given(message_octets(body)),
    };
    let mut define = None;
    let mut rest = rest.trim_start();
    let Outside::Message { flags, date, octets, .. } = &mut message else { return Err("no message".into()) };
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("flags (") {
            let (list, after) = after.split_once(')').ok_or("flags (…)")?;
            *flags = list.split_whitespace().map(str::to_owned).collect();
            rest = after.trim_start();
        } else if let Some(after) = rest.strip_prefix("date \"") {
            let (text, after) = after.split_once('"').ok_or("date \"…\"")?;
            *date = Some(parse_date_time(text).ok_or_else(|| format!("no date-time: {text:?}"))?);
            rest = after.trim_start();
        } else if let Some(after) = rest.strip_prefix("named ") {
            *octets = Octets::Named(after.trim().to_owned());
            rest = "";
        } else if let Some(after) = rest.strip_prefix("as ") {
            define = Some(Action::Define { name: after.trim().to_owned(), octets: message_octets(body) });
            rest = "";
        } else {
            return Err(format!("flags (…), date \"…\", as NAME or named NAME, not {rest:?}"));
        }
    }
    Ok(define.into_iter().chain([Action::Outside(message)]).collect())
}

/// `messages [ACCOUNT:]MAILBOX N`: N plain messages, called m1, m2 …
fn parse_messages(rest: &str) -> Result<Vec<Action>, String> {
    let (place, rest) = split_name(rest)?;
    let (account, name) = account_and(&place);
    let count: usize = rest.trim().parse().map_err(|_| "messages MAILBOX N")?;
    let mut actions = Vec::with_capacity(count * 2);
    for n in 1..=count {
        let text = format!(
            "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Message {n}\r\n\
             Date: Thu, 1 Jan 2026 10:{:02}:00 +0000\r\nMessage-ID: <{n}@example.org>\r\n\r\nThis is message {n}.\r\n",
            n % 60
        );
        let octets = Octets::Named(format!("m{n}"));
        actions.push(Action::Define { name: format!("m{n}"), octets: text.into_bytes() });
        let (account, mailbox) = (account.clone(), name.to_owned());
        actions.push(Action::Outside(Outside::Message { account, mailbox, flags: Vec::new(), date: None, octets }));
    }
    Ok(actions)
}

/// Lines that begin with `|` and a space, each ended by CRLF.
fn message_octets(body: &[&str]) -> Vec<u8> {
    let mut octets = Vec::new();
    for line in body {
        let line = line.strip_prefix("| ").or_else(|| line.strip_prefix('|')).unwrap_or(line);
        octets.extend_from_slice(line.as_bytes());
        octets.extend_from_slice(b"\r\n");
    }
    octets
}

/// A quoted or plain name in front, and what follows it.
fn split_name(text: &str) -> Result<(String, &str), String> {
    match text.strip_prefix('"') {
        Some(quoted) => {
            let (octets, after) = text::parse_escaped(quoted)?;
            Ok((String::from_utf8(octets).map_err(|e| e.to_string())?, after))
        }
        None => {
            let end = text.find(' ').unwrap_or(text.len());
            Ok((text[..end].to_owned(), &text[end..]))
        }
    }
}

fn account_and(place: &str) -> (String, &str) {
    match place.split_once(':') {
        Some((account, name)) if !account.contains(['"', '/', ' ']) => (account.to_owned(), name),
        _ => (ACCOUNT.to_owned(), place),
    }
}

fn unquoted(text: &str) -> Result<String, String> {
    split_name(text).map(|(name, _)| name)
}

fn whole_quoted(text: &str) -> Result<Vec<u8>, String> {
    let inside = text.trim_start().strip_prefix('"').ok_or("a text in quotes")?;
    let (octets, after) = text::parse_escaped(inside)?;
    if after.trim().is_empty() { Ok(octets) } else { Err("something after the closing quote".into()) }
}

fn parse_peer(text: &str) -> Result<Peer, String> {
    match text {
        "" | "trusted" => Ok(Peer::Trusted),
        "plain" => Ok(Peer::Plain),
        "starttls" => Ok(Peer::StartTls),
        "tls" => Ok(Peer::Tls),
        "labels" => Ok(Peer::Labels),
        other => Err(format!("no such protection: {other:?}")),
    }
}

/// `90s`, `30m`, `12h`, `3d`
fn parse_duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.len().saturating_sub(1));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("a duration is 90s, 30m, 12h or 3d".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "a duration is 90s, 30m, 12h or 3d")?;
    Ok(Duration::from_secs(number * factor))
}

fn parse_assert(text: &str) -> Result<Action, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [left, relation @ ("<" | "=" | ">" | "!="), right] = words[..] else {
        return Err("assert A < B (or = or > or !=)".into());
    };
    Ok(Action::Assert { left: left.into(), relation: relation.into(), right: right.into() })
}

/// RFC 9051 §9 `date-time` without its quotes; the day may be padded or not.
fn parse_date_time(text: &str) -> Option<DateTime> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [date, time, zone] = words[..] else { return None };
    let mut date = date.split('-');
    let day = date.next()?.parse().ok()?;
    let month = Date::month_from_name(date.next()?.as_bytes())?;
    let year = date.next()?.parse().ok()?;
    let mut time = time.split(':').map(str::parse::<u8>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    let (sign, digits) = zone.split_at_checked(1)?;
    let digits: i16 = digits.parse().ok()?;
    let minutes = digits / 100 * 60 + digits % 100;
    let minutes = if sign == "-" { -minutes } else { minutes };
    DateTime::from_local(Date::new(year, month, day)?, hour, minute, second, minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(source: &str) -> Vec<Step> {
        parse(source, &|_| None).unwrap().steps
    }

    #[test]
    fn reads_a_conversation() {
        let script =
            "# a comment\nmodes rev1 rev2\n\nlogin\ntwo login amy\ntwo C: a1 NOOP\n@rev2 two S: a1 OK\nS: (closed)\n";
        let script = parse(script, &|_| None).unwrap();
        assert_eq!(script.modes, [Mode::Rev1, Mode::Rev2]);
        assert_eq!(script.steps[1].connection, "two");
        assert!(matches!(&script.steps[2].action, Action::Send(line) if line == "a1 NOOP"));
        assert_eq!(script.steps[3].only, Some(Mode::Rev2));
        assert!(matches!(script.steps[4].action, Action::ExpectClosed));
    }

    #[test]
    fn reads_messages() {
        let steps =
            steps("message \"A b\" flags (\\Seen x) date \" 2-Jan-2026 03:04:05 -0130\"\n| Subject: a\n|\n| b\n");
        let Action::Outside(Outside::Message { account, mailbox, flags, date, octets: Octets::Given(octets) }) =
            &steps[0].action
        else {
            panic!("{steps:?}");
        };
        assert_eq!((account.as_str(), mailbox.as_str()), ("bob", "A b"));
        assert_eq!(flags, &["\\Seen", "x"]);
        assert_eq!(date.unwrap().to_string(), " 2-Jan-2026 03:04:05 -0130");
        assert_eq!(octets, b"Subject: a\r\n\r\nb\r\n");
    }

    #[test]
    fn says_where_it_is_wrong() {
        assert_eq!(parse("login\nfoo\n", &|_| None).unwrap_err().0, 2);
        assert_eq!(parse("login\n| x\n", &|_| None).unwrap_err().0, 1);
        assert_eq!(parse("clock 3x\n", &|_| None).unwrap_err().0, 1);
    }
}
