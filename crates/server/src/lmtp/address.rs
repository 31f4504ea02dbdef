//! The paths of MAIL and RCPT (RFC 5321 §4.1.2): `<local@domain>`, with quoted local parts, source routes that are
//! skipped, and UTF-8 (RFC 6531 §3.3). Whether anybody has such an address is others' matter.

use crate::lmtp::reply::Reply;

/// Octets of a path. RFC 5321 §4.5.3.1.3 has 256; longer ones are met, and the line bounds them anyway.
const PATH_BYTES: usize = 1000;

/// An address as the client wrote it, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mailbox {
    /// The local part without its quotes.
    pub(crate) local: String,
    /// The domain or address literal; empty for `<postmaster>` alone.
    pub(crate) domain: String,
    /// Local part and domain as written, without angle brackets and source route.
    pub(crate) written: String,
}

impl Mailbox {
    /// Whether SMTPUTF8 is needed to say it.
    pub(crate) fn is_ascii(&self) -> bool {
        self.written.is_ascii()
    }

    /// Local part without its quotes, and domain, for looking up.
    pub(crate) fn plain(&self) -> String {
        join(&self.local, &self.domain)
    }

    /// The address without `+detail`, and the detail; `None` when there is none.
    pub(crate) fn without_detail(&self) -> Option<(String, &str)> {
        let (user, detail) = self.local.split_once('+')?;
        (!user.is_empty() && !detail.is_empty()).then(|| (join(user, &self.domain), detail))
    }
}

fn join(local: &str, domain: &str) -> String {
    if domain.is_empty() { local.to_owned() } else { format!("{local}@{domain}") }
}

/// Reads a path at the beginning of `text`: the mailbox (`None` for `<>`), and what follows the path.
pub(crate) fn parse_path(text: &str) -> Result<(Option<Mailbox>, &str), Reply> {
    let bad = |why: &'static str| Reply::new(501, "5.5.2", why);
    // RFC 5321 §3.3 has no space before the path; many clients do.
    let rest = text.trim_start_matches(' ').strip_prefix('<').ok_or_else(|| bad("The address needs angle brackets"))?;
    let end = closing_bracket(rest).ok_or_else(|| bad("The address has no closing angle bracket"))?;
    let (path, rest) = (&rest[..end], &rest[end + 1..]);
    if path.is_empty() {
        return Ok((None, rest));
    }
    if path.len() > PATH_BYTES || path.chars().any(char::is_control) {
        return Err(bad("The address is too long or holds a control character"));
    }
    // RFC 5321 §4.1.2: a source route is taken and ignored.
    let written = match path.strip_prefix('@') {
        Some(route) => route.split_once(':').map(|(_, mailbox)| mailbox).ok_or_else(|| bad("Bad source route"))?,
        None => path,
    };
    let (local, rest_of_path) = parse_local(written).ok_or_else(|| bad("Bad local part"))?;
    let domain = match rest_of_path.strip_prefix('@') {
        Some(domain) if is_domain(domain) => domain,
        None if rest_of_path.is_empty() => "",
        _ => return Err(bad("Bad domain")),
    };
    Ok((Some(Mailbox { local, domain: domain.to_owned(), written: written.to_owned() }), rest))
}

/// Where the path ends: a `>` outside quotes.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// The local part without quotes, and what follows it.
fn parse_local(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('@').unwrap_or(text.len());
        let (local, rest) = text.split_at(end);
        // Dots in odd places are against the grammar and in use (RFC 5321 §4.1.2 `Dot-string`).
        let sound = !local.is_empty() && !local.contains(|c: char| c.is_whitespace() || "<>()[]\\,;:\"".contains(c));
        return sound.then(|| (local.to_owned(), rest));
    };
    let (mut local, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                escaped = false;
                local.push(c);
            }
            '\\' => escaped = true,
            '"' => return (!local.is_empty()).then(|| (local, &quoted[at + 1..])),
            c => local.push(c),
        }
    }
    None
}

/// A domain or an address literal, roughly: enough to be put into a header field.
pub(crate) fn is_domain(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let literal = inner.is_some_and(|inner| {
        inner.bytes().all(|b| b.is_ascii_graphic() && !b"[]\\<>".contains(&b)) && !inner.is_empty()
    });
    let name_char = |c: char| {
        c.is_ascii_alphanumeric() || "-._".contains(c) || (!c.is_ascii() && !c.is_whitespace() && !c.is_control())
    };
    literal || (!text.is_empty() && text.len() <= 255 && text.chars().all(name_char))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Option<(String, String, String, String)> {
        let (mailbox, rest) = parse_path(text).ok()?;
        let mailbox = mailbox?;
        Some((mailbox.local, mailbox.domain, mailbox.written, rest.to_owned()))
    }

    fn parts(local: &str, domain: &str, written: &str, rest: &str) -> Option<(String, String, String, String)> {
        Some((local.into(), domain.into(), written.into(), rest.into()))
    }

    #[test]
    fn reads_the_forms_of_the_rfc() {
        assert_eq!(parse("<ann@example.org>"), parts("ann", "example.org", "ann@example.org", ""));
        assert_eq!(parse(" <ann@example.org> SIZE=1"), parts("ann", "example.org", "ann@example.org", " SIZE=1"));
        assert_eq!(parse("<Postmaster>"), parts("Postmaster", "", "Postmaster", ""));
        assert_eq!(parse("<@a.example,@b.example:ann@c.example>"), parts("ann", "c.example", "ann@c.example", ""));
        assert_eq!(
            parse(r#"<"a \"b\" >@"@example.org>"#),
            parts("a \"b\" >@", "example.org", r#""a \"b\" >@"@example.org"#, "")
        );
        assert_eq!(parse("<ann@[192.0.2.1]>"), parts("ann", "[192.0.2.1]", "ann@[192.0.2.1]", ""));
        assert_eq!(parse("<jörg@münchen.example>"), parts("jörg", "münchen.example", "jörg@münchen.example", ""));
        assert_eq!(parse_path("<> BODY=7BIT").unwrap(), (None, " BODY=7BIT"));
    }

    #[test]
    fn refuses_what_is_no_path() {
        for bad in [
            "ann@example.org",
            "<ann@example.org",
            "<ann@>",
            "<@example.org>",
            "<a b@c>",
            "<a@b c>",
            "<\"a@b>",
            "<\"\"@b>",
            "<a\u{7}@b>",
            "<a@b@c>",
            "<a@b\r\nX: y>",
            "<@route.example>",
            "<a@[]>",
        ] {
            assert!(parse_path(bad).is_err(), "{bad:?}");
        }
        assert!(parse_path(&format!("<{}@b>", "a".repeat(PATH_BYTES))).is_err());
    }

    #[test]
    fn details_are_what_follows_the_first_plus() {
        let mailbox = |text| parse_path(text).unwrap().0.unwrap();
        assert_eq!(
            mailbox("<ann+lists+rust@b.example>").without_detail(),
            Some(("ann@b.example".into(), "lists+rust"))
        );
        assert_eq!(mailbox("<ann+lists>").without_detail(), Some(("ann".into(), "lists")));
        for none in ["<ann@b.example>", "<ann+@b.example>", "<+ann@b.example>"] {
            assert_eq!(mailbox(none).without_detail(), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_safe_in_a_header(text in "<[a\"\\\\@.:<>+é \\r\\n\\[\\]]{0,12}>?") {
            if let Ok((Some(mailbox), _)) = parse_path(&text) {
                prop_assert!(!mailbox.written.chars().any(char::is_control));
                prop_assert!(!mailbox.local.is_empty());
            }
        }
    }
}
