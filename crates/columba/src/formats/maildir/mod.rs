//! Maildir and Maildir++ (and Dovecot's directories within directories): what both directions agree upon.

mod read;
mod write;

pub(crate) use read::{MaildirSource, moment};
pub(crate) use write::{MaildirWriter, NewFile, sync_filesystem};

use columba_types::SystemFlags;

/// The letters of a file name's flags (<https://cr.yp.to/proto/maildir.html>), as flags and keywords.
const LETTERS: [(char, &str); 6] = [
    ('D', "\\Draft"),
    ('F', "\\Flagged"),
    ('P', "$Forwarded"),
    ('R', "\\Answered"),
    ('S', "\\Seen"),
    ('T', "\\Deleted"),
];

/// Which keywords the letters a to z stand for; lines of a number and a keyword, `0 $Forwarded`.
const KEYWORDS_FILE: &str = "dovecot-keywords";
const SUBSCRIPTIONS_FILE: &str = "subscriptions";

/// What stands in the names of files that Columba wrote octet by octet, and after which the size follows. Reading such a
/// file back changes no line end: what went out comes in again, however odd it is.
const EXACT_MARK: &str = ".columba,S=";
/// The same place in a name where line ends were changed.
const LF_MARK: &str = ".columba-lf";

/// Keywords that have a letter.
const KEYWORD_LETTERS: usize = 26;

fn flag_of_letter(letter: char) -> Option<&'static str> {
    LETTERS.iter().find(|(l, _)| *l == letter).map(|(_, name)| *name)
}

fn letter_of_flag(flag: &str) -> Option<char> {
    let same = |name: &str| match SystemFlags::parse(flag) {
        Some(system) => SystemFlags::parse(name) == Some(system),
        None => name.eq_ignore_ascii_case(flag),
    };
    LETTERS.iter().find(|(_, name)| same(name)).map(|(letter, _)| *letter)
}
