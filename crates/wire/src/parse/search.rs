//! SEARCH: options, charset, and the tree of criteria, whose depth and size are counted.

use columba_types::limits::{NESTING_DEPTH, OBJECT_ID_BYTES, SEARCH_KEYS};
use columba_types::{Date, Flag, NumRange, NumSet, SetNum, SystemFlags};

use super::cursor::{Cursor, Parsed};
use super::date::date;
use super::set::{message_set, partial_range};
use super::store::{gm_label, keyword};
use crate::command::{CommandBody, MessageSet, Numbering, Search, SearchKey, SearchReturn};

// search          = "SEARCH" [search-return-opts] SP search-program
// search-program  = ["CHARSET" SP charset SP] search-key *(SP search-key)
pub(super) fn search(c: &mut Cursor<'_>, numbering: Numbering) -> Parsed<CommandBody> {
    c.space()?;
    let mut returns = None;
    if c.take_name("RETURN") {
        c.space()?;
        returns = Some(search_return(c)?);
        c.space()?;
    }
    let mut charset = None;
    if c.take_name("CHARSET") {
        c.space()?;
        charset = Some(c.astring("expected the name of a charset")?);
        c.space()?;
    }
    let mut keys = Keys { left: SEARCH_KEYS };
    let key = keys.conjunction(c, 0, |c| matches!(c.rest(), [] | [b' ']))?;
    Ok(CommandBody::Search(Search { numbering, returns, charset, key }))
}

// search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"
// search-return-opt  = "MIN" / "MAX" / "ALL" / "COUNT" / "SAVE" / "PARTIAL" SP partial-range     (RFC 9394 §4)
fn search_return(c: &mut Cursor<'_>) -> Parsed<SearchReturn> {
    let at = c.place();
    let options = c.list("expected a list of return options", |c| {
        let at = c.place();
        let none = SearchReturn::default();
        Ok(match c.name().as_str() {
            "MIN" => SearchReturn { min: true, ..none },
            "MAX" => SearchReturn { max: true, ..none },
            "ALL" => SearchReturn { all: true, ..none },
            "COUNT" => SearchReturn { count: true, ..none },
            "SAVE" => SearchReturn { save: true, ..none },
            "PARTIAL" => {
                c.space()?;
                SearchReturn { partial: Some(partial_range(c)?), ..none }
            }
            _ => return c.fail_at(at, "unknown SEARCH return option"),
        })
    })?;
    // RFC 9051 §6.4.4: an empty list means ALL.
    let mut returns = SearchReturn { all: options.is_empty(), ..SearchReturn::default() };
    for option in options {
        returns.min |= option.min;
        returns.max |= option.max;
        returns.all |= option.all;
        returns.count |= option.count;
        returns.save |= option.save;
        if option.partial.is_some() && returns.partial.is_some() {
            return c.fail_at(at, "PARTIAL can be asked for once only");
        }
        returns.partial = returns.partial.or(option.partial);
    }
    if returns.all && returns.partial.is_some() {
        // RFC 9394 §3.1
        return c.fail_at(at, "ALL and PARTIAL cannot be asked for together");
    }
    Ok(returns)
}

/// Counts the keys of one command.
struct Keys {
    left: usize,
}

impl Keys {
    /// `search-key *(SP search-key)` up to where `at_end` holds; a single key is itself.
    fn conjunction(&mut self, c: &mut Cursor<'_>, depth: usize, at_end: fn(&Cursor<'_>) -> bool) -> Parsed<SearchKey> {
        let first = self.key(c, depth)?;
        if at_end(c) {
            return Ok(first);
        }
        let mut keys = vec![first];
        while !at_end(c) {
            c.space()?;
            keys.push(self.key(c, depth)?);
        }
        Ok(SearchKey::And(keys))
    }

    // search-key = … / "NOT" SP search-key / "OR" SP search-key SP search-key / "(" search-key *(SP search-key) ")"
    fn key(&mut self, c: &mut Cursor<'_>, depth: usize) -> Parsed<SearchKey> {
        if depth >= NESTING_DEPTH {
            return c.fail("the criteria are nested too deep");
        }
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return c.fail("there are too many criteria"),
        };
        match c.peek() {
            Some(b'(') => {
                c.skip();
                let key = self.conjunction(c, depth + 1, |c| c.peek() == Some(b')'))?;
                c.expect(b')', "expected )")?;
                return Ok(key);
            }
            Some(b'0'..=b'9' | b'*' | b'$') => return message_set(c).map(SearchKey::Seq),
            _ => {}
        }
        let at = c.place();
        let name = c.name();
        match name.as_str() {
            "NOT" => {
                c.space()?;
                Ok(SearchKey::Not(Box::new(self.key(c, depth + 1)?)))
            }
            "OR" => {
                c.space()?;
                let one = self.key(c, depth + 1)?;
                c.space()?;
                let other = self.key(c, depth + 1)?;
                Ok(SearchKey::Or(Box::new(one), Box::new(other)))
            }
            name => simple(c, name, at),
        }
    }
}

/// A key that holds no other one.
fn simple(c: &mut Cursor<'_>, name: &str, at: usize) -> Parsed<SearchKey> {
    if let Some(key) = bare(name) {
        return Ok(key);
    }
    Ok(match name {
        "KEYWORD" => flag_keyword(c)?,
        "UNKEYWORD" => SearchKey::Not(Box::new(flag_keyword(c)?)),
        "UID" => {
            c.space()?;
            SearchKey::Uid(message_set(c)?)
        }
        "BCC" => SearchKey::Bcc(argument(c)?),
        "BODY" => SearchKey::Body(argument(c)?),
        "CC" => SearchKey::Cc(argument(c)?),
        "FROM" => SearchKey::From(argument(c)?),
        "HEADER" => {
            c.space()?;
            let field = c.astring("expected the name of a field")?;
            SearchKey::Header(field, argument(c)?)
        }
        "SUBJECT" => SearchKey::Subject(argument(c)?),
        "TEXT" => SearchKey::Text(argument(c)?),
        "TO" => SearchKey::To(argument(c)?),
        "BEFORE" => SearchKey::Before(day(c)?),
        "ON" => SearchKey::On(day(c)?),
        "SINCE" => SearchKey::Since(day(c)?),
        "SENTBEFORE" => SearchKey::SentBefore(day(c)?),
        "SENTON" => SearchKey::SentOn(day(c)?),
        "SENTSINCE" => SearchKey::SentSince(day(c)?),
        // RFC 8514 §5
        "SAVEDBEFORE" => SearchKey::SavedBefore(day(c)?),
        "SAVEDON" => SearchKey::SavedOn(day(c)?),
        "SAVEDSINCE" => SearchKey::SavedSince(day(c)?),
        // RFC 8474 §7
        "EMAILID" => SearchKey::EmailId(object_id(c)?),
        "THREADID" => SearchKey::ThreadId(object_id(c)?),
        "LARGER" => {
            c.space()?;
            SearchKey::Larger(c.number64()?)
        }
        "SMALLER" => {
            c.space()?;
            SearchKey::Smaller(c.number64()?)
        }
        // RFC 5032 §5: "OLDER" SP nz-number, "YOUNGER" SP nz-number
        "OLDER" => {
            c.space()?;
            SearchKey::Older(c.nz_number()?)
        }
        "YOUNGER" => {
            c.space()?;
            SearchKey::Younger(c.nz_number()?)
        }
        "MODSEQ" => search_modseq(c)?,
        "X-GM-MSGID" => {
            c.space()?;
            SearchKey::GmMsgId(c.number64_whole()?)
        }
        "X-GM-THRID" => {
            c.space()?;
            SearchKey::GmThrId(c.number64_whole()?)
        }
        "X-GM-LABELS" => {
            c.space()?;
            SearchKey::GmLabels(gm_label(c)?)
        }
        "X-GM-RAW" => SearchKey::GmRaw(argument(c)?),
        "UIDAFTER" => SearchKey::UidAfter(one_uid(c)?),
        "UIDBEFORE" => SearchKey::UidBefore(one_uid(c)?),
        _ => return c.fail_at(at, "unknown search key"),
    })
}

// search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer          (RFC 7162 §7)
// entry-name         = DQUOTE "/flags/" attr-flag DQUOTE
// entry-type-req     = "priv" / "shared" / "all"
fn search_modseq(c: &mut Cursor<'_>) -> Parsed<SearchKey> {
    c.space()?;
    if c.peek() == Some(b'"') {
        let at = c.place();
        let entry = c.string("expected the name of a metadata item")?;
        if !entry.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"/flags/")) || entry.len() == 7 {
            return c.fail_at(at, "expected \"/flags/…\"");
        }
        c.space()?;
        if !["priv", "shared", "all"].iter().any(|kind| c.take_name(kind)) {
            return c.fail("expected priv, shared or all");
        }
        c.space()?;
    }
    c.modseq().map(SearchKey::ModSeq)
}

// "UIDAFTER" SP uid, "UIDBEFORE" SP uid; `$` for a saved one                                     (RFC 9738 §3.2)
fn one_uid(c: &mut Cursor<'_>) -> Parsed<MessageSet> {
    c.space()?;
    if c.take(b'$') {
        return Ok(MessageSet::Saved);
    }
    let uid = SetNum::Num(c.nz_number()?);
    Ok(MessageSet::Set(NumSet(vec![NumRange { start: uid, end: uid }])))
}

/// A key without an argument.
fn bare(name: &str) -> Option<SearchKey> {
    let has = |flag| SearchKey::Flag(Flag::System(flag));
    let lacks = |flag| SearchKey::Not(Box::new(has(flag)));
    Some(match name {
        "ALL" => SearchKey::All,
        "ANSWERED" => has(SystemFlags::ANSWERED),
        "DELETED" => has(SystemFlags::DELETED),
        "DRAFT" => has(SystemFlags::DRAFT),
        "FLAGGED" => has(SystemFlags::FLAGGED),
        "SEEN" => has(SystemFlags::SEEN),
        "UNANSWERED" => lacks(SystemFlags::ANSWERED),
        "UNDELETED" => lacks(SystemFlags::DELETED),
        "UNDRAFT" => lacks(SystemFlags::DRAFT),
        "UNFLAGGED" => lacks(SystemFlags::FLAGGED),
        "UNSEEN" => lacks(SystemFlags::SEEN),
        // RFC 8514 §5
        "SAVEDATESUPPORTED" => SearchKey::SaveDateSupported,
        // RFC 3501 §6.4.4
        "NEW" => SearchKey::New,
        "OLD" => SearchKey::Old,
        "RECENT" => SearchKey::Recent,
        _ => return None,
    })
}

fn flag_keyword(c: &mut Cursor<'_>) -> Parsed<SearchKey> {
    c.space()?;
    Ok(SearchKey::Flag(Flag::Keyword(keyword(c)?)))
}

/// `SP date`
fn day(c: &mut Cursor<'_>) -> Parsed<Date> {
    c.space()?;
    date(c)
}

// objectid        = 1*255(ALPHA / DIGIT / "_" / "-")       (RFC 8474 §7)
fn object_id(c: &mut Cursor<'_>) -> Parsed<String> {
    c.space()?;
    let at = c.place();
    let id = c.run(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if id.is_empty() || id.len() > OBJECT_ID_BYTES {
        return c.fail_at(at, "expected an objectid");
    }
    Ok(String::from_utf8_lossy(id).into_owned())
}

fn argument(c: &mut Cursor<'_>) -> Parsed<Vec<u8>> {
    c.space()?;
    c.astring("expected a string to search for")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, ok};
    use super::*;
    use SearchKey::*;
    use columba_types::Date as Day;

    fn parsed(text: &str) -> Search {
        match ok(text) {
            CommandBody::Search(search) => search,
            other => panic!("{other:?}"),
        }
    }

    fn key(text: &str) -> SearchKey {
        parsed(&format!("SEARCH {text}")).key
    }

    fn not(key: SearchKey) -> SearchKey {
        Not(Box::new(key))
    }

    fn has(flag: SystemFlags) -> SearchKey {
        SearchKey::Flag(columba_types::Flag::System(flag))
    }

    // RFC 9051 §6.4.4, RFC 3501 §6.4.4
    #[test]
    fn flags() {
        assert_eq!(key("seen"), has(SystemFlags::SEEN));
        assert_eq!(key("UNDRAFT"), not(has(SystemFlags::DRAFT)));
        let junk = SearchKey::Flag(columba_types::Flag::parse("$Junk").unwrap());
        assert_eq!(key("KEYWORD $junk"), junk);
        assert_eq!(key("NOT UNKEYWORD $Junk"), not(not(junk)));
        for (name, flag) in SystemFlags::ALL.map(|(flag, name)| (&name[1..], flag)) {
            assert_eq!(key(name), has(flag));
            assert_eq!(key(&format!("un{name}")), not(has(flag)));
        }
        assert_eq!(key("NEW OLD RECENT"), And(vec![New, Old, Recent]));
        for wrong in ["KEYWORD", "KEYWORD \\Seen", "KEYWORD \"a\"", "UNNEW", "SEEN,DRAFT", "\"SEEN\""] {
            bad(format!("SEARCH {wrong}"));
        }
    }

    #[test]
    fn strings_dates_and_numbers() {
        assert_eq!(key("SUBJECT x]"), Subject(b"x]".to_vec()));
        assert_eq!(key("TEXT {3}\r\na\r\n"), Text(b"a\r\n".to_vec()));
        assert_eq!(key("HEADER List-Id \"\""), Header(b"List-Id".to_vec(), vec![]));
        assert_eq!(key("BODY NIL"), Body(b"NIL".to_vec()));
        let day = Day::new(1994, 2, 1).unwrap();
        assert_eq!(key("SINCE 1-Feb-1994 SENTON \"01-FEB-1994\""), And(vec![Since(day), SentOn(day)]));
        assert_eq!(key("LARGER 0"), Larger(0));
        assert_eq!(key("OLDER 5 YOUNGER 6"), And(vec![Older(5), Younger(6)]));
        for wrong in [
            "SINCE 29-Feb-1994",
            "SINCE 1-Foo-1994",
            "SINCE 1-Feb-94",
            "SINCE 001-Feb-1994",
            "SINCE \"1-Feb-1994",
            "SINCE 1994-02-01",
            "SUBJECT",
            "SUBJECT ",
            "HEADER x",
            "LARGER x",
            "LARGER -1",
            "OLDER 0",
            "YOUNGER 0",
        ] {
            bad(format!("SEARCH {wrong}"));
        }
    }

    // RFC 8474 §6, §7; RFC 8514 §4.3
    #[test]
    fn object_ids_and_save_dates() {
        assert_eq!(key("emailid M6d99-_x"), EmailId("M6d99-_x".to_owned()));
        assert_eq!(key("NOT THREADID T1"), not(ThreadId("T1".to_owned())));
        let day = Day::new(2014, 12, 28).unwrap();
        let saved = And(vec![SavedBefore(day), SavedOn(day), SavedSince(day), SaveDateSupported]);
        let text = "SAVEDBEFORE 28-Dec-2014 savedon \"28-Dec-2014\" SAVEDSINCE 28-Dec-2014 SAVEDATESUPPORTED";
        assert_eq!(key(text), saved);
        let long = format!("EMAILID {}", "a".repeat(256));
        for wrong in ["EMAILID", "EMAILID ", "THREADID (T1)", "EMAILID \"M1\"", "EMAILID M.1", &long] {
            bad(format!("SEARCH {wrong}"));
        }
        for wrong in ["SAVEDON", "SAVEDON 2014-12-28", "SAVEDATESUPPORTED)", "SAVEDATE 28-Dec-2014"] {
            bad(format!("SEARCH {wrong}"));
        }
    }

    // guide §6.16: plain numbers are sequence numbers also in UID SEARCH.
    #[test]
    fn sets_of_numbers() {
        let And(keys) = key("1:* UID 443:557 $ *") else { panic!("no And") };
        assert!(matches!(&keys[..], [Seq(_), Uid(_), Seq(crate::command::MessageSet::Saved), Seq(_)]));
        assert_eq!(parsed("UID SEARCH 1:100 UID 443:557").numbering, Numbering::Uid);
        assert_eq!(key("UID $"), Uid(crate::command::MessageSet::Saved));
    }

    #[test]
    fn trees() {
        let or = |a, b| Or(Box::new(a), Box::new(b));
        assert_eq!(key("OR NEW NOT (OLD ALL)"), or(New, not(And(vec![Old, All]))));
        assert_eq!(key("(NEW)"), New);
        assert_eq!(key("(NEW OLD) ALL"), And(vec![And(vec![New, Old]), All]));
        for wrong in ["", "()", "(NEW", "NEW)", "OR NEW", "NOT", "(NEW )", "( NEW)", "NEW  OLD", "XYZZY", "ALL,ALL"] {
            bad(format!("SEARCH {wrong}"));
        }
    }

    // RFC 9051 §6.4.4, §6.4.4.1; guide §6.9: RETURN () is ALL.
    #[test]
    fn return_options() {
        let none = SearchReturn::default();
        assert_eq!(parsed("SEARCH ALL").returns, None);
        assert_eq!(parsed("SEARCH RETURN () ALL").returns, Some(SearchReturn { all: true, ..none }));
        assert_eq!(parsed("SEARCH RETURN (SAVE) ALL").returns, Some(SearchReturn { save: true, ..none }));
        let all = SearchReturn { min: true, max: true, all: true, count: true, save: true, partial: None };
        assert_eq!(parsed("UID SEARCH return (MIN MAX all COUNT SAVE MIN) ALL").returns, Some(all));
        for wrong in ["SEARCH RETURN (X) ALL", "SEARCH RETURN ALL", "SEARCH RETURN ()", "SEARCH RETURN ()ALL"] {
            bad(wrong);
        }
    }

    // guide §6.14: the charset may be quoted; whether it is known is not asked here.
    #[test]
    fn charsets() {
        assert_eq!(parsed("SEARCH CHARSET \"UTF-8\" ALL").charset.unwrap(), b"UTF-8");
        let search = parsed("SEARCH RETURN (ALL) CHARSET x-unknown ALL");
        assert_eq!((search.charset.unwrap(), search.key), (b"x-unknown".to_vec(), All));
        bad("SEARCH CHARSET ALL");
        bad("SEARCH ALL CHARSET UTF-8");
    }

    // limits::NESTING_DEPTH, SEARCH_KEYS; guide §6.17
    #[test]
    fn depth_and_number_are_bounded() {
        for (open, close) in [("(", ")"), ("NOT ", ""), ("OR ALL ", "")] {
            let nested = |n| format!("SEARCH {}ALL{}", open.repeat(n), close.repeat(n));
            ok(&nested(NESTING_DEPTH - 1));
            assert!(bad(nested(NESTING_DEPTH)).contains("nested too deep"));
            assert!(bad(nested(9_999)).contains("nested too deep"));
        }
        let many = |n| format!("SEARCH{}", " ALL".repeat(n));
        ok(&many(SEARCH_KEYS));
        assert!(bad(many(SEARCH_KEYS + 1)).contains("too many criteria"));
    }
}
