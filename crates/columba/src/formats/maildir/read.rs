//! Reads a Maildir: the directory itself, Maildir++ folders beside it, and folders as directories within directories.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use columba_types::{DateTime, Flag, Keyword, MailboxName, limits};

use super::super::folder_name::from_components;
use super::super::{Folder, Found, LineEnds, Octets, Problem, Source, Target, flags_of};
use super::{EXACT_MARK, KEYWORDS_FILE, SUBSCRIPTIONS_FILE, flag_of_letter};

/// A Maildir and all its folders, listed.
#[derive(Debug)]
pub(crate) struct MaildirSource {
    target: Target,
    folders: Vec<Folder>,
    directories: Vec<Directory>,
    subscriptions: Option<Vec<MailboxName>>,
    problems: Vec<Problem>,
}

/// One folder on disk.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// By letter, from `a`.
    keywords: Vec<Option<Keyword>>,
    /// In the order they were delivered.
    files: Vec<MailFile>,
}

#[derive(Debug)]
struct MailFile {
    in_new: bool,
    name: OsString,
}

impl MaildirSource {
    /// Lists everything in `root`.
    ///
    /// # Errors
    /// When there is no Maildir there at all.
    pub(crate) fn open(root: &Path, target: Target) -> Result<Self, Problem> {
        let entries = fs::read_dir(root).map_err(|error| Problem::at(root, error))?;
        drop(entries);
        let mut source =
            Self { target, folders: Vec::new(), directories: Vec::new(), subscriptions: None, problems: Vec::new() };
        source.add(root, &MailboxName::inbox());
        if source.target.mailbox.is_none() {
            source.find_below(root, &mut Vec::new());
            source.read_subscriptions(root);
        }
        if source.directories.is_empty() {
            return Err(Problem::at(
                root,
                "this is no Maildir: neither it nor a folder in it has a directory cur or new",
            ));
        }
        Ok(source)
    }

    /// Takes the folder at `path`, if it is one.
    fn add(&mut self, path: &Path, name: &MailboxName) {
        if !is_folder(path) {
            return;
        }
        let name = match self.target.name_for(name) {
            Ok(name) => name,
            Err(problem) => return self.problems.push(problem),
        };
        let files = self.list(path);
        let special_use = self.target.special_use(&name);
        self.folders.push(Folder { name, special_use, messages: files.len() });
        self.directories.push(Directory { path: path.to_owned(), keywords: read_keywords(path), files });
    }

    fn list(&mut self, path: &Path) -> Vec<MailFile> {
        let mut files = Vec::new();
        for (subdirectory, in_new) in [("cur", false), ("new", true)] {
            let subdirectory = path.join(subdirectory);
            let entries = match fs::read_dir(&subdirectory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.problems.push(Problem::at(&subdirectory, error));
                    continue;
                }
            };
            for entry in entries {
                match entry {
                    Ok(entry) if entry.file_name().as_bytes().starts_with(b".") => {}
                    Ok(entry) => files.push(MailFile { in_new, name: entry.file_name() }),
                    Err(error) => self.problems.push(Problem::at(&subdirectory, error)),
                }
            }
        }
        files.sort_by(|a, b| delivery_order(&a.name, &b.name));
        files
    }

    /// Looks for folders: `.A.B` is Maildir++ and stands at the top alone; `A/B` is Dovecot's other layout.
    fn find_below(&mut self, directory: &Path, above: &mut Vec<OsString>) {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return self.problems.push(Problem::at(directory, error)),
        };
        let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let path = directory.join(&name);
            // A link to a directory elsewhere could lead round in circles.
            if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                continue;
            }
            match name.as_bytes() {
                b"cur" | b"new" | b"tmp" => {}
                dotted if dotted.starts_with(b".") => {
                    if above.is_empty() {
                        self.add_named(&path, dotted.split(|octet| *octet == b'.'));
                    }
                }
                _ if above.len() < limits::MAILBOX_NAME_DEPTH => {
                    above.push(name);
                    self.add_named(&path, above.iter().map(|component| component.as_bytes()));
                    self.find_below(&path, above);
                    above.pop();
                }
                _ => self.problems.push(Problem::at(&path, "its name has too many levels")),
            }
        }
    }

    fn add_named<'a>(&mut self, path: &Path, components: impl Iterator<Item = &'a [u8]>) {
        if !is_folder(path) {
            return;
        }
        match from_components(components) {
            Ok(name) => self.add(path, &name),
            Err(reason) => self.problems.push(Problem::at(path, reason)),
        }
    }

    /// Dovecot's list: a name a line, levels separated by dots; or, after a line `V 2`, by tabs.
    fn read_subscriptions(&mut self, root: &Path) {
        let path = root.join(SUBSCRIPTIONS_FILE);
        let octets = match fs::read(&path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.problems.push(Problem::at(&path, error)),
        };
        let mut lines = octets.split(|octet| *octet == b'\n').peekable();
        let separator = if lines.next_if(|line| line.starts_with(b"V\t2")).is_some() { b'\t' } else { b'.' };
        let mut names = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let components = line.split(|octet| *octet == separator || *octet == b'/');
            match from_components(components) {
                Ok(name) => match self.target.name_for(&name) {
                    Ok(name) => names.push(name),
                    Err(problem) => self.problems.push(problem),
                },
                Err(reason) => self.problems.push(Problem::at(&path, reason)),
            }
        }
        self.subscriptions = Some(names);
    }
}

impl Source for MaildirSource {
    fn folders(&self) -> &[Folder] {
        &self.folders
    }

    fn load(&self, folder: usize, message: usize) -> Result<Found, Problem> {
        let nothing = || Problem::new(folder, "no such message");
        let directory = self.directories.get(folder).ok_or_else(nothing)?;
        let file = directory.files.get(message).ok_or_else(nothing)?;
        let path = directory.path.join(if file.in_new { "new" } else { "cur" }).join(&file.name);
        let problem = |error: std::io::Error| Problem::at(&path, error);
        // Looked at before it is opened: opening a pipe would wait for ever.
        if !fs::metadata(&path).map_err(problem)?.is_file() {
            return Err(Problem::at(&path, "this is no file"));
        }
        let opened = File::open(&path).map_err(problem)?;
        let metadata = opened.metadata().map_err(problem)?;
        let internal_date = metadata.modified().map_or(DateTime::utc(0), moment);
        let exact = memchr::memmem::find(file.name.as_bytes(), EXACT_MARK.as_bytes()).is_some();
        let line_ends = if exact { LineEnds::Keep } else { self.target.line_ends };
        let octets = Octets::read(opened, 0..metadata.len(), false, line_ends).map_err(problem)?;
        let flags = if file.in_new { Vec::new() } else { flags_of_name(&file.name, &directory.keywords) };
        Ok(Found { flags, internal_date, octets, origin: path.display().to_string() })
    }

    fn subscriptions(&self) -> Option<&[MailboxName]> {
        self.subscriptions.as_deref()
    }

    fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

fn is_folder(path: &Path) -> bool {
    path.join("cur").is_dir() || path.join("new").is_dir()
}

/// A file's time as the moment a message arrived. Files know no zone.
pub(crate) fn moment(time: SystemTime) -> DateTime {
    let secs = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |secs| -secs),
    };
    DateTime::utc(secs)
}

/// Names begin with the seconds of delivery and then say something that rises: numbers are compared as numbers.
fn delivery_order(a: &OsStr, b: &OsStr) -> Ordering {
    let (mut a, mut b) = (base_name(a), base_name(b));
    while !a.is_empty() && !b.is_empty() {
        let ((number_a, text_a, rest_a), (number_b, text_b, rest_b)) = (next_part(a), next_part(b));
        let order = number_a.cmp(&number_b).then_with(|| text_a.cmp(text_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

fn base_name(name: &OsStr) -> &[u8] {
    name.as_bytes().split(|octet| *octet == b':').next().unwrap_or_default()
}

/// The number at the beginning, the text behind it, and the rest from the next digit on.
fn next_part(octets: &[u8]) -> (u64, &[u8], &[u8]) {
    let digits = octets.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let (digits, after) = octets.split_at(digits);
    let number = digits.iter().fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    let text = after.iter().take_while(|octet| !octet.is_ascii_digit()).count();
    let (text, rest) = after.split_at(text);
    (number, text, rest)
}

/// What follows the last `:2,` (or `;2,` and `!2,`, where a colon was not possible).
fn flags_of_name(name: &OsStr, keywords: &[Option<Keyword>]) -> Vec<Flag> {
    let name = name.as_bytes();
    let start = name.windows(3).rposition(|w| matches!(w, [b':' | b';' | b'!', b'2', b',']));
    let letters = start.and_then(|at| name.get(at + 3..)).unwrap_or_default();
    let mut flags = flags_of(letters.iter().filter_map(|letter| flag_of_letter(char::from(*letter))));
    for letter in letters.iter().filter(|letter| letter.is_ascii_lowercase()) {
        if let Some(Some(keyword)) = keywords.get(usize::from(letter - b'a')) {
            flags.push(Flag::Keyword(keyword.clone()));
        }
    }
    flags
}

fn read_keywords(directory: &Path) -> Vec<Option<Keyword>> {
    let text = fs::read(directory.join(KEYWORDS_FILE)).unwrap_or_default();
    let mut keywords = vec![None; super::KEYWORD_LETTERS];
    for line in String::from_utf8_lossy(&text).lines() {
        let Some((number, name)) = line.split_once(' ') else { continue };
        let place = number.parse::<usize>().ok().and_then(|n| keywords.get_mut(n));
        if let (Some(place), Ok(keyword)) = (place, Keyword::new(name)) {
            *place = Some(keyword);
        }
    }
    keywords
}

#[cfg(test)]
mod tests {
    use super::*;
    use columba_store::SpecialUse;

    fn make(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn names(source: &MaildirSource) -> Vec<(String, usize)> {
        source.folders().iter().map(|f| (f.name.to_string(), f.messages)).collect()
    }

    #[test]
    fn folders_of_both_layouts_are_found() {
        let dir = tempfile::tempdir().unwrap();
        make(
            dir.path(),
            &[
                ("cur/1.a:2,S", "a\n"),
                ("new/2.b", "b\n"),
                ("new/.hidden", "x"),
                (".Sent Items/cur/3.c:2,", "c\n"),
                (".Entw&APw-rfe.v1/new/4.d", "d\n"),
                ("Work/2026/cur/5.e", "e\n"),
                (".nothing/x", ""),
                ("subscriptions", "V\t2\n\nSent Items\nEntw&APw-rfe\tv1\n"),
            ],
        );
        let source = MaildirSource::open(dir.path(), Target::default()).unwrap();
        let expected = [("INBOX", 2), ("Entwürfe/v1", 1), ("Sent Items", 1), ("Work/2026", 1)];
        assert_eq!(names(&source), expected.map(|(n, c)| (n.to_owned(), c)));
        assert_eq!(source.folders()[2].special_use, Some(SpecialUse::Sent));
        let subscribed: Vec<_> = source.subscriptions().unwrap().iter().map(|n| n.as_str()).collect();
        assert_eq!(subscribed, ["Sent Items", "Entwürfe/v1"]);
        assert_eq!(source.problems(), []);
    }

    #[test]
    fn folders_go_where_they_are_told() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), &[("cur/1.a", "a\n"), (".Sent/cur/2.b", "b\n")]);
        let into = Target { into: Some(MailboxName::new("Old").unwrap()), ..Target::default() };
        let source = MaildirSource::open(dir.path(), into).unwrap();
        assert_eq!(names(&source), [("Old/INBOX".into(), 1), ("Old/Sent".into(), 1)]);
        assert_eq!(source.folders()[1].special_use, None);
        let one = Target { mailbox: Some(MailboxName::new("X").unwrap()), ..Target::default() };
        assert_eq!(names(&MaildirSource::open(dir.path(), one).unwrap()), [("X".into(), 1)]);
    }

    #[test]
    fn flags_keywords_and_dates_are_read() {
        let dir = tempfile::tempdir().unwrap();
        make(
            dir.path(),
            &[("cur/1.a:2,FRSTPDab", "a\n"), ("cur/2.b;2,S", "b\n"), ("dovecot-keywords", "0 work\n1 \\bad\n2 c\n")],
        );
        let date = UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options().write(true).open(dir.path().join("cur/1.a:2,FRSTPDab")).unwrap().set_modified(date).unwrap();
        let source = MaildirSource::open(dir.path(), Target::default()).unwrap();
        let found = source.load(0, 0).unwrap();
        let all = ["\\Flagged", "\\Answered", "\\Seen", "\\Deleted", "$Forwarded", "\\Draft", "work"];
        assert_eq!(found.flags, flags_of(all));
        assert_eq!(found.internal_date, DateTime::utc(1_000_000_000));
        assert_eq!(source.load(0, 1).unwrap().flags, flags_of(["\\Seen"]));
        let Octets::Whole(octets) = found.octets else { panic!("small messages are whole") };
        assert_eq!(octets, b"a\r\n");
    }

    #[test]
    fn messages_come_in_the_order_of_their_delivery() {
        let order = ["900.z", "1000.M5P1", "1000.M10P1", "1000.M10P2", "1001.a"];
        let mut names = order.map(OsString::from);
        names.reverse();
        names.sort_by(|a, b| delivery_order(a, b));
        assert_eq!(names, order.map(OsString::from));
    }

    #[test]
    fn what_is_no_maildir_or_no_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert!(MaildirSource::open(dir.path(), Target::default()).unwrap_err().reason.contains("no Maildir"));
        make(dir.path(), &[("cur/2.a", ""), ("cur/1.dir/x", "")]);
        let source = MaildirSource::open(dir.path(), Target::default()).unwrap();
        assert_eq!(source.load(0, 0).unwrap_err().reason, "this is no file");
        assert!(source.load(0, 1).is_ok());
    }
}
