//! What a server says of itself: its greeting, capabilities and ID; and who it is when it is no IMAP server at all.
//! Pure: reads lines, holds no connection.

use columba_types::limits::CHECK_WORDS;
use serde::Serialize;

use super::shown::Shown;

/// What the first line means (RFC 9051 §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Greeting {
    Ok,
    Preauth,
    Bye,
    NotImap,
}

/// Reads the first line.
pub(crate) fn greeting(line: &[u8]) -> Greeting {
    let begins = |prefix: &[u8]| line.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    match () {
        () if begins(b"* OK") => Greeting::Ok,
        () if begins(b"* PREAUTH") => Greeting::Preauth,
        () if begins(b"* BYE") => Greeting::Bye,
        () => Greeting::NotImap,
    }
}

/// What speaks there, by the first octets it sent.
pub(crate) fn service(octets: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(octets).to_ascii_uppercase();
    let found = match octets {
        [0x15 | 0x16, 0x03, ..] => "TLS",
        [0xff, 0xfb..=0xfe, ..] => "Telnet",
        _ if text.starts_with("SSH-") => "SSH",
        _ if text.starts_with("HTTP/") || text.starts_with("<!DOCTYPE") || text.starts_with("<HTML") => "HTTP",
        _ if text.starts_with("220") && text.contains("FTP") && !text.contains("SMTP") => "FTP",
        _ if text.starts_with("220") || text.starts_with("554") || text.starts_with("421") => "SMTP",
        _ if text.starts_with("+OK") || text.starts_with("-ERR") => "POP3",
        _ if text.starts_with("\"IMPLEMENTATION\"") => "ManageSieve",
        _ if text.starts_with("* ") => "IMAP",
        _ => return None,
    };
    Some(found)
}

/// The capabilities in a line: those of `* CAPABILITY …`, or of a `[CAPABILITY …]` code.
pub(crate) fn capabilities(line: &[u8]) -> Option<Vec<Shown>> {
    let text = String::from_utf8_lossy(line);
    // Of the same length, so that places in it are places in the text.
    let upper = text.to_ascii_uppercase();
    let (start, end) = match upper.strip_prefix("* CAPABILITY ") {
        Some(_) => ("* CAPABILITY ".len(), upper.len()),
        None => {
            let start = upper.find("[CAPABILITY ")? + "[CAPABILITY ".len();
            (start, start + upper.get(start..)?.find(']')?)
        }
    };
    let words = text.get(start..end)?.split_ascii_whitespace();
    Some(words.take(CHECK_WORDS).map(Shown::text).collect())
}

/// Whether a capability is among them; they are told in any case.
pub(crate) fn has(capabilities: &[Shown], name: &str) -> bool {
    capabilities.iter().any(|capability| capability.as_str().eq_ignore_ascii_case(name))
}

/// The SASL mechanisms among them, in capitals.
pub(crate) fn mechanisms(capabilities: &[Shown]) -> Vec<String> {
    let name = |capability: &Shown| capability.as_str().to_ascii_uppercase().strip_prefix("AUTH=").map(str::to_owned);
    capabilities.iter().filter_map(name).collect()
}

/// One field of an ID answer (RFC 2971).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct IdField {
    pub(crate) name: Shown,
    pub(crate) value: Shown,
}

/// The fields of `* ID ("name" "value" …)`, NIL values left out.
pub(crate) fn id(line: &[u8]) -> Option<Vec<IdField>> {
    let start = line.get(..5).filter(|start| start.eq_ignore_ascii_case(b"* ID ")).map(<[u8]>::len)?;
    let mut rest = line.get(start..)?.strip_prefix(b"(")?;
    let mut fields = Vec::new();
    while fields.len() < CHECK_WORDS {
        let Some((name, after)) = string(rest) else { break };
        let Some((value, after)) = string(after) else { break };
        rest = after;
        if let (Some(name), Some(value)) = (name, value) {
            fields.push(IdField { name: Shown::octets(&name), value: Shown::octets(&value) });
        }
    }
    Some(fields)
}

/// A quoted string, literal or NIL (`None`), and what follows it.
fn string(text: &[u8]) -> Option<(Option<Vec<u8>>, &[u8])> {
    let text = text.trim_ascii_start();
    if let Some(mut rest) = text.strip_prefix(b"\"") {
        let mut value = Vec::new();
        loop {
            let (first, after) = rest.split_first()?;
            rest = after;
            match first {
                b'"' => return Some((Some(value), rest)),
                b'\\' => {
                    let (quoted, after) = rest.split_first()?;
                    value.push(*quoted);
                    rest = after;
                }
                octet => value.push(*octet),
            }
        }
    }
    if let Some(rest) = text.strip_prefix(b"{") {
        let end = rest.iter().position(|b| *b == b'}')?;
        let digits = std::str::from_utf8(rest.get(..end)?).ok()?.trim_end_matches('+');
        let octets: usize = digits.parse().ok()?;
        let after = rest.get(end + 1..)?;
        return Some((Some(after.get(..octets)?.to_vec()), after.get(octets..)?));
    }
    let nil = text.get(..3).filter(|word| word.eq_ignore_ascii_case(b"NIL"))?;
    Some((None, text.get(nil.len()..)?))
}

/// Words that tell a server by its greeting or ID, and its name.
const SOFTWARE: &[(&str, &str)] = &[
    ("columba", "Columba"),
    ("dovecot", "Dovecot"),
    ("cyrus", "Cyrus IMAP"),
    ("courier", "Courier-IMAP"),
    ("stalwart", "Stalwart"),
    ("microsoft exchange", "Microsoft Exchange"),
    ("gimap", "Gmail"),
    ("zimbra", "Zimbra"),
    ("mailenable", "MailEnable"),
    ("mdaemon", "MDaemon"),
    ("kerio", "Kerio Connect"),
    ("hmailserver", "hMailServer"),
    ("axigen", "Axigen"),
    ("communigate", "CommuniGate"),
    ("icewarp", "IceWarp"),
    ("james", "Apache James"),
    ("maddy", "maddy"),
    ("mox", "mox"),
    ("oracle communications", "Oracle Messaging Server"),
    ("domino", "HCL Domino"),
    ("groupwise", "GroupWise"),
    ("uw imap", "UW imapd"),
    ("panda", "Panda IMAP"),
    ("yahoo", "Yahoo"),
    ("coremail", "Coremail"),
    ("protonmail", "Proton Mail Bridge"),
    ("davmail", "DavMail"),
];

/// Which program it is, if greeting or ID tell.
pub(crate) fn software(greeting: &Shown, id: &[IdField]) -> Option<Shown> {
    let field = |name: &str| id.iter().find(|f| f.name.as_str().eq_ignore_ascii_case(name)).map(|f| &f.value);
    if let Some(name) = field("name").filter(|name| !name.is_empty()) {
        let version = field("version").map(|version| format!(" {version}")).unwrap_or_default();
        return Some(Shown::text(&format!("{name}{version}")));
    }
    let said = greeting.as_str().to_ascii_lowercase();
    // "ready" and the like may stand behind a capability list, whose words are not names.
    let said = said.rsplit_once(']').map_or(said.as_str(), |(_, after)| after);
    let known = SOFTWARE.iter().find(|(word, _)| said.contains(word));
    known.map(|(_, name)| Shown::text(name))
}

/// Whether a version number is told before login: `3.6`, `2.4.1`.
pub(crate) fn tells_version(greeting: &Shown, id: &[IdField]) -> bool {
    let version = id.iter().any(|f| f.name.as_str().eq_ignore_ascii_case("version") && !f.value.is_empty());
    let said = greeting.as_str();
    let said = said.rsplit_once(']').map_or(said, |(_, after)| after);
    let number = |word: &str| {
        let word = word.trim_start_matches(['v', '(']);
        let mut parts = word.split('.');
        let begins = |part: Option<&str>| part.is_some_and(|p| p.starts_with(|c: char| c.is_ascii_digit()));
        let first = parts.next().unwrap_or_default();
        // A host name or an address has more, or no numbers in front.
        !first.is_empty()
            && first.len() <= 3
            && first.bytes().all(|b| b.is_ascii_digit())
            && begins(parts.next())
            && word.parse::<std::net::IpAddr>().is_err()
    };
    version || said.split([' ', '/', '-', ',']).any(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn greetings_are_told_from_others() {
        assert_eq!(greeting(b"* OK [CAPABILITY IMAP4rev1] ready"), Greeting::Ok);
        assert_eq!(greeting(b"* preauth hello"), Greeting::Preauth);
        assert_eq!(greeting(b"* BYE too many"), Greeting::Bye);
        assert_eq!(greeting(b"220 mail ESMTP"), Greeting::NotImap);
        for (octets, name) in [
            (&b"SSH-2.0-OpenSSH_9.2"[..], "SSH"),
            (b"220 mail.example.org ESMTP Postfix", "SMTP"),
            (b"220 (vsFTPd 3.0.3)", "FTP"),
            (b"+OK Dovecot ready.", "POP3"),
            (b"HTTP/1.1 400 Bad Request", "HTTP"),
            (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        ] {
            assert_eq!(service(octets), Some(name));
        }
        assert_eq!(service(b"\0\0\0"), None);
    }

    #[test]
    fn capabilities_are_found_in_lines_and_codes() {
        let words = |line: &[u8]| capabilities(line).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(words(b"* capability IMAP4rev1 AUTH=plain").unwrap(), ["IMAP4rev1", "AUTH=plain"]);
        assert_eq!(words(b"a OK [Capability X Y] done").unwrap(), ["X", "Y"]);
        assert_eq!(words(b"* OK ready"), None);
        assert_eq!(words(b"* OK [CAPABILITY X"), None);
        let all = capabilities(b"* CAPABILITY IMAP4REV2 auth=Plain AUTH=LOGIN").unwrap();
        assert!(has(&all, "imap4rev2"));
        assert_eq!(mechanisms(&all), ["PLAIN", "LOGIN"]);
        let many = [&b"* CAPABILITY"[..], &b" X".repeat(5000)].concat();
        assert_eq!(capabilities(&many).unwrap().len(), CHECK_WORDS);
    }

    #[test]
    fn id_fields_are_read() {
        let fields = id(b"* ID (\"name\" \"Co\\\"l\" \"os\" NIL \"version\" {3}0.1)").unwrap();
        let read: Vec<_> = fields.iter().map(|f| (f.name.as_str(), f.value.as_str())).collect();
        assert_eq!(read, [("name", "Co\"l"), ("version", "0.1")]);
        assert_eq!(software(&Shown::default(), &fields).unwrap().as_str(), "Co\"l 0.1");
        assert_eq!(id(b"* ID NIL"), None);
        assert_eq!(id(b"* ID (\"name").unwrap(), []);
        assert_eq!(id(b"* ID (\"a\" {99}x").unwrap(), []);
    }

    #[test]
    fn software_is_told_by_the_greeting() {
        let by = |text: &str| software(&Shown::text(text), &[]).map(|s| s.to_string());
        assert_eq!(by("* OK [CAPABILITY IMAP4rev1 ID] Dovecot (Debian) ready.").as_deref(), Some("Dovecot"));
        assert_eq!(by("* OK [CAPABILITY X-GM] mail ready"), None);
        let tells = |text: &str| tells_version(&Shown::text(text), &[]);
        assert!(tells("* OK host Cyrus IMAP 3.6.1-Debian-3.6.1-4 server ready"));
        assert!(!tells("* OK [CAPABILITY IMAP4rev1] Dovecot ready."));
        assert!(!tells("* OK 192.0.2.1 mail01.example.org ready"));
    }

    proptest! {
        #[test]
        fn any_line_is_read(line: Vec<u8>) {
            let _ = (greeting(&line), service(&line), capabilities(&line), id(&line));
            let _ = id(&[b"* ID (", line.as_slice()].concat());
            let _ = tells_version(&Shown::octets(&line), &[]);
        }
    }
}
