//! What is common to all commands: tags, names, strings, ends, limits; and what the tests of each group need.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::command::{FetchItem, MessageSet, Secret, SelectParameters, StatusItem};
use crate::mailbox::RawMailbox;
use columba_types::{ModSeq, limits};
use proptest::prelude::*;

/// The body of a command that is written without its tag.
pub(super) fn ok(text: &str) -> CommandBody {
    match parse_command(format!("a {text}").as_bytes(), ParseMode::default()) {
        Ok(command) => command.body,
        Err(error) => panic!("{text}: {error}"),
    }
}

/// What the BAD says to a command that is written without its tag.
pub(super) fn bad(text: impl AsRef<[u8]>) -> String {
    let octets = [b"a ", text.as_ref()].concat();
    let error = parse_command(&octets, ParseMode::default()).expect_err(&octets.escape_ascii().to_string());
    assert_eq!(error.tag, Some(Tag("a".into())));
    assert!(error.text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{error}");
    error.text
}

fn login(octets: &[u8], mode: ParseMode) -> Result<(Vec<u8>, Vec<u8>), ParseError> {
    match parse_command(octets, mode)?.body {
        CommandBody::Login { user, password } => Ok((user, password.0)),
        other => panic!("{other:?}"),
    }
}

fn plain(octets: &[u8]) -> Result<(Vec<u8>, Vec<u8>), ParseError> {
    login(octets, ParseMode::default())
}

// RFC 9051 §2.2.1: tag = 1*<any ASTRING-CHAR except "+">
#[test]
fn tags() {
    let tag = |octets: &[u8]| tag_of(octets).map(|tag| tag.to_string());
    for good in ["a", "A.1", "1]", "~#!", "a[b]"] {
        assert_eq!(tag(format!("{good} NOOP").as_bytes()).as_deref(), Some(good));
        assert!(parse_command(format!("{good} NOOP").as_bytes(), ParseMode::default()).is_ok(), "{good}");
    }
    for wrong in ["", " ", "+", "a+b", "*", "a\"", "a(", "ä", "a\t"] {
        assert_eq!(tag(format!("{wrong} NOOP").as_bytes()), None, "{wrong:?}");
        let error = parse_command(format!("{wrong} NOOP").as_bytes(), ParseMode::default()).unwrap_err();
        assert_eq!((error.tag, &*error.text), (None, "Expected a tag, a space and a command"));
    }
    assert_eq!(tag(b"a\r\n").as_deref(), Some("a"));
    assert_eq!(tag(b"a").as_deref(), Some("a"));
}

// guide §6.57: errors are tagged, and say what is wrong.
#[test]
fn errors_have_the_tag_and_say_what_and_where() {
    assert_eq!(bad("XYZZY 1 2"), "Unknown command XYZZY");
    assert_eq!(bad("x".repeat(99)), format!("Unknown command {}", "x".repeat(32)));
    assert_eq!(bad("UID NOOP"), "UID: expected COPY, EXPUNGE, FETCH, MOVE, REPLACE, SEARCH or STORE at octet 7");
    assert_eq!(bad("SELECT"), "SELECT: expected a space at octet 9");
    assert_eq!(bad("SELECT "), "SELECT: expected a mailbox name at octet 10");
    assert_eq!(bad("NOOP 1"), "NOOP: expected the end of the command at octet 8");
    assert_eq!(bad(""), "Expected the name of a command after the tag");
    assert_eq!(bad(" NOOP"), "Expected the name of a command after the tag");
    assert_eq!(bad("LOGIN bob secret word"), "LOGIN: expected the end of the command at octet 20");
}

// RFC 9051 §9: tokens are case-insensitive, SP is one space; a space at the end is forgiven.
#[test]
fn spaces_and_case() {
    assert_eq!(ok("nOOp"), CommandBody::Noop);
    assert_eq!(ok("NOOP "), CommandBody::Noop);
    assert_eq!(ok("uid fetch 1 flags "), ok("UID FETCH 1 FLAGS"));
    for wrong in ["NOOP\t", "UID  FETCH 1 FLAGS", "SELECT  x", "SELECT\tx", "FETCH 1  FLAGS", "FETCH 1 (FLAGS  UID)"] {
        bad(wrong);
    }
}

#[test]
fn commands_without_arguments() {
    use CommandBody::*;
    let all = [
        ("CAPABILITY", Capability),
        ("NOOP", Noop),
        ("LOGOUT", Logout),
        ("STARTTLS", StartTls),
        ("NAMESPACE", Namespace),
        ("IDLE", Idle),
        ("CHECK", Check),
        ("CLOSE", Close),
        ("UNSELECT", Unselect),
        ("UNAUTHENTICATE", Unauthenticate),
        ("EXPUNGE", Expunge { uids: None }),
    ];
    for (name, body) in all {
        assert_eq!(ok(name), body);
        bad(format!("{name} x"));
    }
}

// RFC 4978 §5
#[test]
fn compress() {
    assert_eq!(ok("COMPRESS deflate"), CommandBody::Compress("DEFLATE".into()));
    assert_eq!(ok("COMPRESS LZ4-X"), CommandBody::Compress("LZ4-X".into()));
    for wrong in ["COMPRESS", "COMPRESS ", "COMPRESS \"DEFLATE\"", "COMPRESS {7+}\r\nDEFLATE", "COMPRESS DEFLATE 9"] {
        bad(wrong);
    }
}

// RFC 9051 §9 astring, quoted, literal; guide §6.61
#[test]
fn strings() {
    let pair = |a: &[u8], b: &[u8]| Ok((a.to_vec(), b.to_vec()));
    assert_eq!(plain(b"a LOGIN bob sec]ret"), pair(b"bob", b"sec]ret"));
    assert_eq!(plain(b"a LOGIN \"b \\\"o\\\\b\" \"\""), pair(b"b \"o\\b", b""));
    assert_eq!(plain(b"a LOGIN {3}\r\nb\r\n {4+}\r\n\xe4 {}"), pair(b"b\r\n", b"\xe4 {}"));
    assert_eq!(plain(b"a LOGIN {3}\nbob {0}\n"), pair(b"bob", b""));
    let wrong: [&[u8]; 12] = [
        b"\"bob x",
        b"\"b\\ob\" x",
        b"\"bob\\",
        b"\"b\rb\" x",
        b"\"b\nb\" x",
        b"\"b\0b\" x",
        b"{3}\r\nb\0b x",
        b"{9}\r\nbob x",
        b"{3} bob x",
        b"~{3}\r\nbob x",
        b"b*b x",
        b"\"bob\"x",
    ];
    for octets in wrong {
        bad([b"LOGIN ", octets].concat());
    }
}

// RFC 9051 §4.3, RFC 9755 §3: 8-bit is for literals, and for quoted strings once that is enabled; atoms never have it.
#[test]
fn eight_bit() {
    let utf8 = ParseMode { utf8: true };
    let quoted = "a LOGIN \"bö\" x".as_bytes();
    assert_eq!(login(quoted, utf8).unwrap().0, "bö".as_bytes());
    assert!(plain(quoted).unwrap_err().text.contains("ENABLE UTF8=ACCEPT"));
    assert!(login(b"a LOGIN \"b\xf6\" x", utf8).unwrap_err().text.contains("not valid UTF-8"));
    assert!(login("a LOGIN bö x".as_bytes(), utf8).is_err());
    assert_eq!(plain(b"a LOGIN {1}\r\n\xff x").unwrap().0, b"\xff");
}

// No octet of a password or a response is ever in an error or a debug text.
#[test]
fn secrets_are_not_shown() {
    for octets in [&b"a LOGIN bob hunter2 "[..], b"a AUTHENTICATE PLAIN hunter2", b"a LOGIN bob \"hunter2"] {
        assert!(!format!("{:?}", parse_command(octets, ParseMode::default())).contains("hunter2"));
    }
}

// RFC 9051 §6.2.2, RFC 4959
#[test]
fn authenticate() {
    let body = |mechanism: &str, initial: Option<&[u8]>| CommandBody::Authenticate {
        mechanism: mechanism.into(),
        initial: initial.map(|octets| Secret(octets.to_vec())),
    };
    assert_eq!(ok("AUTHENTICATE scram-sha-256"), body("SCRAM-SHA-256", None));
    assert_eq!(ok("AUTHENTICATE PLAIN AGIAcA=="), body("PLAIN", Some(b"AGIAcA==")));
    assert_eq!(ok("AUTHENTICATE EXTERNAL ="), body("EXTERNAL", Some(b"=")));
    bad("AUTHENTICATE PLAIN \"AGIAcA==\"");
    bad("AUTHENTICATE PLAIN A-B");
    bad("AUTHENTICATE");
}

// RFC 5161 §3.1
#[test]
fn enable() {
    let names = |names: &[&str]| CommandBody::Enable(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(ok("ENABLE utf8=accept IMAP4rev2 "), names(&["UTF8=ACCEPT", "IMAP4REV2"]));
    bad("ENABLE");
    bad("ENABLE (X)");
    let many = |n| format!("ENABLE{}", " X".repeat(n));
    ok(&many(limits::LIST_ITEMS));
    assert!(bad(many(limits::LIST_ITEMS + 1)).contains("too many items"));
}

// RFC 2971 §3.3; guide §6.65 and §6.38: NIL is nil, "NIL" is a string.
#[test]
fn id() {
    assert_eq!(ok("ID NIL"), CommandBody::Id(None));
    assert_eq!(ok("ID ()"), CommandBody::Id(Some(vec![])));
    let fields = vec![(b"name".to_vec(), Some(b"NIL".to_vec())), (b"os".to_vec(), None)];
    assert_eq!(ok("ID (\"name\" \"NIL\" \"os\" nil)"), CommandBody::Id(Some(fields)));
    for wrong in ["ID", "ID \"NIL\"", "ID (\"a\")", "ID (a \"b\")", "ID (\"a\" NILS)", "ID (\"a\" \"b\""] {
        bad(wrong);
    }
    let many = |n| format!("ID ({})", vec!["\"a\" \"b\""; n].join(" "));
    ok(&many(limits::ID_FIELDS));
    assert!(bad(many(limits::ID_FIELDS + 1)).contains("too many fields"));
    let long = |n| format!("ID (\"a\" \"{}\")", "x".repeat(n));
    ok(&long(limits::ID_VALUE_BYTES));
    assert!(bad(long(limits::ID_VALUE_BYTES + 1)).contains("too long"));
}

// RFC 9051 §6.3.2 to §6.3.8, RFC 6154 §3
#[test]
fn mailbox_commands() {
    use CommandBody::*;
    let raw = |name: &str| RawMailbox(name.into());
    assert_eq!(ok("SELECT inbox"), Select { mailbox: raw("inbox"), read_only: false, parameters: Default::default() });
    assert_eq!(ok("EXAMINE \"a b\""), Select { mailbox: raw("a b"), read_only: true, parameters: Default::default() });
    // RFC 9051 §4.5: a mailbox may be called NIL.
    assert_eq!(ok("DELETE NIL"), Delete { mailbox: raw("NIL") });
    assert_eq!(ok("RENAME a {1}\r\nb"), Rename { from: raw("a"), to: raw("b") });
    assert_eq!(ok("SUBSCRIBE &AOQ-"), Subscribe { mailbox: raw("&AOQ-") });
    assert_eq!(ok("UNSUBSCRIBE \"\""), Unsubscribe { mailbox: raw("") });
    assert_eq!(ok("CREATE x/"), Create { mailbox: raw("x/"), special_use: None });
    let uses = Some(vec!["\\Sent".to_owned(), "\\Junk".to_owned()]);
    assert_eq!(ok("CREATE x (USE (\\Sent \\Junk))"), Create { mailbox: raw("x"), special_use: uses });
    assert_eq!(ok("CREATE x (use ())"), Create { mailbox: raw("x"), special_use: Some(vec![]) });
    for wrong in ["SELECT a*", "SELECT a%", "SELECT (a)", "SELECT a (X)", "RENAME a", "DELETE a b"] {
        bad(wrong);
    }
    for wrong in ["CREATE x (USE)", "CREATE x (USE (Sent))", "CREATE x (USE (\\Sent)", "CREATE x (X (\\Sent))"] {
        bad(wrong);
    }
    assert!(bad(format!("SELECT {}", "x".repeat(4 * limits::MAILBOX_NAME_BYTES + 1))).contains("too long"));
}

// RFC 7162 §3.1.8, §3.2.5, §7
#[test]
fn select_parameters() {
    let parameters = |text: &str| match ok(text) {
        CommandBody::Select { parameters, .. } => parameters,
        other => panic!("{other:?}"),
    };
    assert_eq!(parameters("SELECT a"), SelectParameters::default());
    assert_eq!(parameters("EXAMINE a (condstore)"), SelectParameters { condstore: true, qresync: None });
    let both = parameters("SELECT a (QRESYNC (7 0 1:3,9 (1,3 2,4)) CONDSTORE)");
    let known = both.qresync.unwrap();
    assert!(both.condstore && known.uid_validity.value() == 7 && known.modseq == ModSeq(0));
    assert_eq!(known.known.unwrap().resolve(0).to_string(), "1:3,9");
    let (seqs, uids) = known.matches.unwrap();
    assert_eq!((seqs.resolve(0).to_string(), uids.resolve(0).to_string()), ("1,3".into(), "2,4".into()));
    let matched = parameters("SELECT a (QRESYNC (7 1 (1 2)))").qresync.unwrap();
    assert!(matched.known.is_none() && matched.matches.is_some());
    for wrong in [
        "()",
        "(CONDSTORE",
        "(CONDSTORE )",
        "(CONDSTORE CONDSTORE)",
        "(QRESYNC)",
        "(QRESYNC 1 1)",
        "(QRESYNC (1))",
        "(QRESYNC (0 1))",
        "(QRESYNC (1 1 ))",
        "(QRESYNC (1 1 *))",
        "(QRESYNC (1 1 $))",
        "(QRESYNC (1 1 (1)))",
        "(QRESYNC (1 1 1 (1 2) 3))",
        "(QRESYNC (1 9223372036854775808))",
    ] {
        bad(format!("SELECT a {wrong}"));
    }
}

// RFC 9051 §6.3.11, RFC 3501 §6.3.10, RFC 7889 §5; guide §6.31
#[test]
fn status() {
    use StatusItem::*;
    let items = vec![Messages, Recent, UidNext, UidValidity, Unseen, Deleted, Size, AppendLimit];
    let mailbox = RawMailbox(b"x".to_vec());
    let text = "STATUS x (messages RECENT uidnext UIDVALIDITY UNSEEN DELETED SIZE appendlimit)";
    assert_eq!(ok(text), CommandBody::Status { mailbox, items });
    assert_eq!(bad("STATUS x ()"), "STATUS: the list cannot be empty at octet 12");
    for wrong in ["STATUS x", "STATUS x MESSAGES", "STATUS x (MESSAGES,SIZE)", "STATUS x (X)"] {
        bad(wrong);
    }
}

// RFC 9051 §9 seq-number, sequence-set
#[test]
fn sets() {
    let set = |text: &str| match ok(&format!("UID EXPUNGE {text}")) {
        CommandBody::Expunge { uids: Some(MessageSet::Set(set)) } => set,
        other => panic!("{other:?}"),
    };
    assert_eq!(set("1,5:3,7:*,*").resolve(9).to_string(), "1,3:5,7:9");
    assert_eq!(set("*:4294967295").highest_written(), u32::MAX);
    assert_eq!(ok("UID EXPUNGE $"), CommandBody::Expunge { uids: Some(MessageSet::Saved) });
    for wrong in ["0", "1:0", "4294967296", "1,", ",1", "1:", ":1", "1:2:3", "a", "-1", "**", "$,1", "1 2", ""] {
        bad(format!("UID EXPUNGE {wrong}"));
    }
    let many = |n| format!("UID EXPUNGE {}", vec!["1"; n].join(","));
    ok(&many(limits::SET_RANGES));
    assert!(bad(many(limits::SET_RANGES + 1)).contains("too many ranges"));
}

// RFC 9051 §4.2: a number that is too large says so.
#[test]
fn numbers() {
    assert!(bad("SEARCH LARGER 9223372036854775808").contains("at most 9223372036854775807"));
    ok("SEARCH LARGER 9223372036854775807");
    ok("SEARCH SMALLER 0000000000000000000000000000000000000000000000000007");
    assert!(bad("SEARCH YOUNGER 4294967296").contains("at most 4294967295"));
    assert!(bad("FETCH 1 BODY[]<0.0>").contains("cannot be zero"));
}

#[test]
fn every_list_is_bounded() {
    let fetch = |n| format!("FETCH 1 ({})", vec!["UID"; n].join(" "));
    assert!(matches!(ok(&fetch(limits::LIST_ITEMS)), CommandBody::Fetch { items, .. }
        if items.len() == limits::LIST_ITEMS && items[0] == FetchItem::Uid));
    assert!(bad(fetch(limits::LIST_ITEMS + 1)).contains("too many items"));
}

/// Octets that look like a command here and there.
fn rubbish() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        "(a )?(UID )?(FETCH|SEARCH|STORE|LIST|LOGIN|APPEND|REPLACE|ID|CREATE|STATUS) ",
        "(INBOX |[1-9] x |CATENATE \\()?(URL [/;a-z=]{1,5}|TEXT |UTF8 \\(|\\))? ?",
        "[0-9*:,$]{1,5} ",
        "(BODY|BINARY|BODY.PEEK)?\\[[0-9.]{0,4}(HEADER|TEXT|MIME)?(.FIELDS)?\\]?(<[0-9.]{0,4}>)?",
        "(NOT|OR|KEYWORD|BEFORE|RETURN|CHARSET|LARGER|HEADER) ",
        "\"[ -~]{0,4}\"?",
        "~?\\{[0-9]{1,2}\\+?\\}\r\n",
        "[() \\\\\"]{1,3}",
        "\"?[0-9]{1,2}-Feb-[0-9]{4}( 12:00:[0-9]{2} [+-]0100)?\"?",
        any::<String>(),
    ];
    let words = proptest::collection::vec(word, 0..12).prop_map(|words| words.concat().into_bytes());
    prop_oneof![words, proptest::collection::vec(any::<u8>(), 0..60)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn nothing_panics_and_errors_are_printable(octets in rubbish(), utf8: bool) {
        let mode = ParseMode { utf8 };
        let errors = [
            parse_command(&octets, mode).err(),
            parse_append_head(&octets, mode).and_then(Result::err),
            parse_append_next(&octets, AppendPlace::PLAIN, mode).and_then(Result::err),
            parse_append_end(&octets, AppendPlace::PLAIN, mode).err(),
        ];
        for error in errors.into_iter().flatten() {
            prop_assert!(error.text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{}", error);
        }
    }

    #[test]
    fn what_is_understood_is_printed_and_understood_again(octets in rubbish(), utf8: bool) {
        let mode = ParseMode { utf8 };
        if let Ok(command) = parse_command(&[b"a ", &octets[..]].concat(), mode) {
            let printed = crate::print_command(&command, mode);
            prop_assert_eq!(parse_command(&printed, mode), Ok(command));
        }
    }
}
