//! The base subject (RFC 5256 §2.1): what is left of a subject without "Re:", "[list]" and "(fwd)".

/// A subject without its artefacts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BaseSubject {
    /// The base subject, its case kept.
    pub text: String,
    /// Whether something was removed that makes it a reply or a forwarded message (RFC 5256 §3, THREAD=REFERENCES,
    /// step 5 B).
    pub is_reply: bool,
}

/// Extracts the base subject of a decoded subject, by the steps of RFC 5256 §2.1.
pub fn base_subject(subject: &str) -> BaseSubject {
    let text = single_spaced(subject);
    let mut rest = text.as_str();
    let mut is_reply = false;
    loop {
        rest = without_trailers(rest, &mut is_reply);
        rest = without_prefixes(rest, &mut is_reply);
        // Step 6
        match prefix(rest, "[fwd:").and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => {
                rest = inner;
                is_reply = true;
            }
            None => break,
        }
    }
    BaseSubject { text: rest.to_owned(), is_reply }
}

// Step 1: tabs and continuations are spaces, and several spaces are one.
fn single_spaced(subject: &str) -> String {
    let mut out = String::with_capacity(subject.len());
    for c in subject.chars() {
        let c = if matches!(c, '\t' | '\r' | '\n') { ' ' } else { c };
        if !(c == ' ' && out.ends_with(' ')) {
            out.push(c);
        }
    }
    out
}

// Step 2: subj-trailer = "(fwd)" / WSP
fn without_trailers<'a>(mut rest: &'a str, is_reply: &mut bool) -> &'a str {
    loop {
        rest = rest.trim_end_matches(' ');
        let Some(at) = rest.len().checked_sub(5) else { return rest };
        match rest.split_at_checked(at) {
            Some((before, last)) if last.eq_ignore_ascii_case("(fwd)") => {
                rest = before;
                *is_reply = true;
            }
            _ => return rest,
        }
    }
}

// Steps 3 to 5: subj-leader and subj-blob. Blobs are skipped once, not once for each of them.
fn without_prefixes<'a>(mut rest: &'a str, is_reply: &mut bool) -> &'a str {
    loop {
        rest = rest.trim_start_matches(' ');
        let after_blobs = skip_blobs(rest);
        if let Some(after) = refwd(after_blobs) {
            rest = after;
            *is_reply = true;
            continue;
        }
        // Step 4: a blob goes only if something is left; so the last of several may be the base itself.
        return match after_blobs.is_empty() {
            false => after_blobs,
            true => last_blob(rest),
        };
    }
}

/// subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
fn refwd(text: &str) -> Option<&str> {
    let rest = prefix(text, "re").or_else(|| prefix(text, "fwd")).or_else(|| prefix(text, "fw"))?;
    let rest = rest.trim_start_matches(' ');
    blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// subj-blob = "[" *BLOBCHAR "]" *WSP, where BLOBCHAR is anything but brackets: what follows it.
fn blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    Some(inner.get(end..)?.strip_prefix(']')?.trim_start_matches(' '))
}

fn skip_blobs(mut text: &str) -> &str {
    while let Some(after) = blob(text) {
        text = after;
    }
    text
}

fn last_blob(mut text: &str) -> &str {
    while let Some(after) = blob(text).filter(|after| !after.is_empty()) {
        text = after;
    }
    text
}

fn prefix<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(subject: &str) -> (String, bool) {
        let base = base_subject(subject);
        (base.text, base.is_reply)
    }

    // RFC 5256 §2.1 and the ABNF of §5.
    #[test]
    fn artefacts_are_removed() {
        for (subject, text, reply) in [
            ("hello", "hello", false),
            ("Re: hello", "hello", true),
            ("RE : hello (FWD) ", "hello", true),
            ("Fw: Fwd: re[2]: hello", "hello", true),
            ("[list] hello", "hello", false),
            ("[list] Re: [list] hello", "hello", true),
            ("[a] [b]", "[b]", false),
            ("Re: [a]", "[a]", true),
            ("[fwd: hello]", "hello", true),
            ("[Fwd: Re: [x] hello (fwd)]", "hello", true),
            ("re hello", "re hello", false),
            ("regarding: x", "regarding: x", false),
            ("a\tb\r\n  c", "a b c", false),
            ("Re:", "", true),
            ("", "", false),
            ("  (fwd)(fwd) ", "", true),
            ("[fwd:", "[fwd:", false),
            ("[unclosed hello", "[unclosed hello", false),
            ("ü[x]", "ü[x]", false),
        ] {
            assert_eq!(base(subject), (text.to_owned(), reply), "{subject:?}");
        }
    }

    #[test]
    fn many_artefacts_are_cheap() {
        assert_eq!(base(&"[x]".repeat(100_000)).0, "[x]");
        assert_eq!(base(&"re:".repeat(100_000)).0, "");
        assert_eq!(base(&format!("{}a{}", "[fwd:".repeat(10_000), "]".repeat(10_000))).0, "a");
    }
}
