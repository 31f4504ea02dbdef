//! What a server says, as a client takes it in: one value per response, with nothing in it that a client need not know.
//! The form of every response is checked by the reader of the scripts; what it means for the client is not known here.

use std::collections::{BTreeMap, BTreeSet};

use columba_types::UidSet;

use crate::script::response::{self, Node, Response, StatusRest};
use crate::script::shape;
use crate::script::text::{self, Sym};

/// Flags of a message without \Recent, in lower case: they are compared without regard to case (RFC 9051 §2.3.2).
pub(super) type Flags = BTreeSet<String>;

/// A response code: its name and what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) name: String,
    pub(super) words: Vec<String>,
}

impl Code {
    /// The number of a code that has just one.
    pub(super) fn number(&self) -> Option<u64> {
        self.words.first()?.parse().ok()
    }
}

/// What one FETCH says of its message.
#[derive(Clone, Debug, Default)]
pub(super) struct Items {
    pub(super) uid: Option<u32>,
    pub(super) flags: Option<Flags>,
    pub(super) recent: bool,
    pub(super) modseq: Option<u64>,
    /// The octets of a BODY[…].
    pub(super) octets: Option<Vec<u8>>,
}

/// One response.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Continuation,
    /// `tag OK [code]`, with the tag; an untagged one has none.
    Status {
        tag: Option<String>,
        word: String,
        code: Option<Code>,
    },
    Exists(u32),
    Recent(u32),
    Expunge(u32),
    Fetch(u32, Items),
    UidFetch(u32, Items),
    Vanished {
        earlier: bool,
        uids: UidSet,
    },
    Search {
        numbers: Vec<u32>,
        modseq: Option<u64>,
    },
    Esearch {
        tag: Option<String>,
        uid: bool,
        items: BTreeMap<String, String>,
    },
    /// Ranges of UIDs, `high:low` (RFC 10022).
    Batches {
        tag: String,
        ranges: Vec<(u32, u32)>,
    },
    /// `* STATUS mailbox (…)`
    StatusOf {
        mailbox: String,
        items: BTreeMap<String, u64>,
    },
    /// `* CAPABILITY …`, `* ENABLED …`
    Names {
        what: String,
        names: BTreeSet<String>,
    },
    Other,
}

/// Reads one response without its last CRLF.
pub(super) fn read(octets: &[u8]) -> Result<Answer, String> {
    let symbols = text::received(octets);
    let response = response::parse(&symbols, true)?;
    shape::check(&response)?;
    match response {
        Response::Continuation(_) => Ok(Answer::Continuation),
        Response::Status { tag, word, rest } => {
            let tag = plain(&tag);
            let code = match rest {
                StatusRest::Said { code: Some(nodes), .. } => Some(code(&nodes)),
                _ => None,
            };
            Ok(Answer::Status { tag: (tag != "*").then_some(tag), word, code })
        }
        Response::Data(nodes) => data(&nodes),
    }
}

fn code(nodes: &[Node]) -> Code {
    let words: Vec<String> = nodes.iter().map(shown).collect();
    let (name, words) = words.split_first().map(|(name, words)| (name.clone(), words.to_vec())).unwrap_or_default();
    Code { name: name.to_ascii_uppercase(), words }
}

fn data(nodes: &[Node]) -> Result<Answer, String> {
    if nodes.first().is_none_or(|star| shown(star) != "*") {
        return Err("an untagged response begins with *".into());
    }
    let word = |at: usize| nodes.get(at).map(shown).unwrap_or_default();
    let first = word(1);
    if let Ok(number) = first.parse::<u32>() {
        let zero = |what: &str| if number == 0 { Err(format!("{what} of a message 0")) } else { Ok(()) };
        return match word(2).as_str() {
            "EXISTS" => Ok(Answer::Exists(number)),
            "RECENT" => Ok(Answer::Recent(number)),
            "EXPUNGE" => zero("EXPUNGE").map(|()| Answer::Expunge(number)),
            "FETCH" => zero("FETCH").and_then(|()| Ok(Answer::Fetch(number, items(nodes.get(3))?))),
            "UIDFETCH" => zero("UIDFETCH").and_then(|()| Ok(Answer::UidFetch(number, items(nodes.get(3))?))),
            other => Err(format!("{other:?} after a number")),
        };
    }
    Ok(match first.as_str() {
        "VANISHED" => {
            let earlier = matches!(nodes.get(2), Some(Node::List(_)));
            let written = word(if earlier { 3 } else { 2 });
            if earlier && word(2) != "(EARLIER)" {
                return Err(format!("VANISHED {}", word(2)));
            }
            Answer::Vanished { earlier, uids: uid_set(&written)? }
        }
        "SEARCH" => search(nodes)?,
        "ESEARCH" => esearch(nodes)?,
        "UIDBATCHES" => batches(nodes)?,
        "STATUS" => Answer::StatusOf { mailbox: word(2), items: numbers(nodes.get(3))? },
        "CAPABILITY" | "ENABLED" => Answer::Names {
            what: first,
            names: nodes.iter().skip(2).map(|node| shown(node).to_ascii_uppercase()).collect(),
        },
        _ => Answer::Other,
    })
}

fn search(nodes: &[Node]) -> Result<Answer, String> {
    let (mut found, mut modseq) = (Vec::new(), None);
    for node in nodes.iter().skip(2) {
        match node {
            Node::List(inside) => modseq = inside.get(1).and_then(|number| shown(number).parse().ok()),
            node => found.push(shown(node).parse().map_err(|_| format!("SEARCH {}", shown(node)))?),
        }
    }
    Ok(Answer::Search { numbers: found, modseq })
}

fn esearch(nodes: &[Node]) -> Result<Answer, String> {
    let mut rest = nodes.get(2..).unwrap_or_default();
    let mut tag = None;
    if let [Node::List(correlator), after @ ..] = rest {
        // RFC 9051 §9: the tag is a string, and never an atom.
        match correlator.as_slice() {
            [name, Node::Str(text)] if shown(name) == "TAG" => tag = Some(plain(text)),
            _ => return Err("the correlator is (TAG \"…\")".into()),
        }
        rest = after;
    }
    let uid = rest.first().is_some_and(|node| shown(node) == "UID");
    let rest = rest.get(usize::from(uid)..).unwrap_or_default();
    if rest.len() % 2 != 0 {
        return Err("ESEARCH items are pairs".into());
    }
    let items = rest.chunks(2).map(|pair| (shown(&pair[0]).to_ascii_uppercase(), shown(&pair[1]))).collect();
    Ok(Answer::Esearch { tag, uid, items })
}

fn batches(nodes: &[Node]) -> Result<Answer, String> {
    let tag = match nodes.get(2) {
        Some(Node::List(correlator)) => match correlator.as_slice() {
            [name, Node::Str(text)] if shown(name) == "TAG" => plain(text),
            _ => return Err("the correlator is (TAG \"…\")".into()),
        },
        _ => return Err("UIDBATCHES without its correlator".into()),
    };
    let written = nodes.get(3).map(shown).unwrap_or_default();
    let range = |part: &str| {
        let (high, low) = part.split_once(':').ok_or_else(|| format!("{part:?} is no range"))?;
        let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no UID"));
        Ok::<_, String>((number(high)?, number(low)?))
    };
    let ranges = written.split(',').filter(|part| !part.is_empty()).map(range).collect::<Result<_, _>>()?;
    Ok(Answer::Batches { tag, ranges })
}

fn numbers(list: Option<&Node>) -> Result<BTreeMap<String, u64>, String> {
    let Some(Node::List(nodes)) = list else { return Err("STATUS without its list".into()) };
    let pair = |pair: &[Node]| -> Option<(String, u64)> {
        Some((shown(pair.first()?).to_ascii_uppercase(), shown(pair.get(1)?).parse().ok()?))
    };
    nodes.chunks(2).map(|nodes| pair(nodes).ok_or_else(|| "a STATUS item without its number".to_owned())).collect()
}

fn items(list: Option<&Node>) -> Result<Items, String> {
    let Some(Node::List(nodes)) = list else { return Err("FETCH without its list".into()) };
    let mut items = Items::default();
    for pair in nodes.chunks(2) {
        let [name, value] = pair else { return Err("FETCH items are pairs".into()) };
        match (shown(name).as_str(), value) {
            ("UID", value) => items.uid = Some(shown(value).parse().map_err(|_| "a UID that is no number")?),
            ("FLAGS", Node::List(flags)) => {
                let all: Flags = flags.iter().map(|flag| shown(flag).to_ascii_lowercase()).collect();
                if all.len() != flags.len() {
                    return Err("a flag twice".into());
                }
                items.recent = all.contains("\\recent");
                items.flags = Some(all.into_iter().filter(|flag| flag != "\\recent").collect());
            }
            ("MODSEQ", Node::List(number)) => {
                let number = number.first().and_then(|number| shown(number).parse().ok());
                // RFC 7162 §3.1: positive, 63 bits.
                let number = number.filter(|n| (1..=i64::MAX as u64).contains(n));
                items.modseq = Some(number.ok_or("a MODSEQ that is no mod-sequence")?);
            }
            (name, Node::Str(octets)) if name.starts_with("BODY[") => items.octets = Some(octets_of(octets)),
            _ => {}
        }
    }
    Ok(items)
}

/// `1:3,5` as VANISHED, COPYUID and their kin have it: rising, without 0 and `*`.
pub(super) fn uid_set(written: &str) -> Result<UidSet, String> {
    let mut ranges = Vec::new();
    for part in written.split(',') {
        let (low, high) = part.split_once(':').unwrap_or((part, part));
        match (low.parse::<u32>(), high.parse::<u32>()) {
            (Ok(low), Ok(high)) if low > 0 && low <= high => ranges.push((low, high)),
            _ => return Err(format!("{written:?} is no set of UIDs")),
        }
    }
    if ranges.windows(2).any(|pair| pair[0].1 >= pair[1].0) {
        return Err(format!("{written:?} does not rise"));
    }
    Ok(UidSet::from_ranges(ranges))
}

fn octets_of(symbols: &[Sym]) -> Vec<u8> {
    symbols.iter().filter_map(|symbol| if let Sym::Octet(octet) = symbol { Some(*octet) } else { None }).collect()
}

fn plain(symbols: &[Sym]) -> String {
    String::from_utf8_lossy(&octets_of(symbols)).into_owned()
}

/// A word as text; a list in its parentheses.
fn shown(node: &Node) -> String {
    match node {
        Node::Atom(text) | Node::Str(text) | Node::Literal8(text) => plain(text),
        Node::List(nodes) => format!("({})", nodes.iter().map(shown).collect::<Vec<_>>().join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_matters() {
        let Ok(Answer::Fetch(3, items)) =
            read(b"* 3 FETCH (UID 7 FLAGS (\\Seen \\Recent) MODSEQ (12) BODY[TEXT] {2}\r\nab)")
        else {
            panic!()
        };
        assert_eq!((items.uid, items.recent, items.modseq), (Some(7), true, Some(12)));
        assert_eq!(items.flags, Some(["\\seen".to_owned()].into()));
        assert_eq!(items.octets.as_deref(), Some(b"ab".as_slice()));
        let Ok(Answer::Vanished { earlier: true, uids }) = read(b"* VANISHED (EARLIER) 1:3,5") else { panic!() };
        assert_eq!(uids.to_string(), "1:3,5");
        let Ok(Answer::Search { numbers, modseq }) = read(b"* SEARCH 2 4 (MODSEQ 9)") else { panic!() };
        assert_eq!((numbers, modseq), (vec![2, 4], Some(9)));
        let Ok(Answer::Status { tag: Some(tag), word, code: Some(code) }) = read(b"t1 OK [COPYUID 7 1:2 3:4] Copied")
        else {
            panic!()
        };
        assert_eq!((tag.as_str(), word.as_str(), code.name.as_str()), ("t1", "OK", "COPYUID"));
        assert_eq!(code.words, ["7", "1:2", "3:4"]);
    }

    #[test]
    fn refuses_what_no_server_may_say() {
        for bad in
            ["* 0 EXPUNGE", "* 1 FETCH (MODSEQ (0))", "* VANISHED 3,1", "* VANISHED 0:1", "* 1 FETCH (FLAGS (a A))"]
        {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
