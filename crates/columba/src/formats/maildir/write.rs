//! Writes a Maildir++: each message's octets exactly as they are stored, its flags and keywords in the file's name,
//! its date as the file's time. Nothing that is there is overwritten.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use columba_types::{DateTime, MailboxName, Uid};

use super::super::Problem;
use super::super::folder_name::maildir_directory;
use super::super::lines::LfLines;
use super::{EXACT_MARK, KEYWORD_LETTERS, KEYWORDS_FILE, LF_MARK, SUBSCRIPTIONS_FILE, letter_of_flag};

/// A Maildir that is being written.
#[derive(Debug)]
pub(crate) struct MaildirWriter {
    root: PathBuf,
    /// Unix line ends instead of the octets as they are.
    lf: bool,
    /// Seconds since 1970 at the start: all names begin with it, so that the UIDs alone make the order.
    started_secs: u64,
    folder: PathBuf,
    /// Of the folder, by letter.
    keywords: Vec<String>,
    problems: Vec<Problem>,
}

/// A message that is being written.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: io::BufWriter<File>,
    lines: Option<LfLines>,
    tmp: PathBuf,
    cur: PathBuf,
    time: SystemTime,
}

impl MaildirWriter {
    /// Begins in `root`, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made, or holds messages already.
    pub(crate) fn create(root: &Path, lf: bool) -> Result<Self, Problem> {
        fs::create_dir_all(root).map_err(|error| Problem::at(root, error))?;
        let empty = fs::read_dir(root).map_err(|error| Problem::at(root, error))?.next().is_none();
        if !empty {
            return Err(Problem::at(root, "it is not empty; name a new or empty directory to export into"));
        }
        let started_secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let (root, folder) = (root.to_owned(), PathBuf::new());
        Ok(Self { root, lf, started_secs, folder, keywords: Vec::new(), problems: Vec::new() })
    }

    /// Begins a folder; the messages that follow go into it.
    pub(crate) fn folder(&mut self, name: &MailboxName) -> Result<(), Problem> {
        self.end_folder()?;
        let folder = self.root.join(maildir_directory(name));
        for subdirectory in ["tmp", "new", "cur"] {
            let path = folder.join(subdirectory);
            fs::create_dir_all(&path).map_err(|error| Problem::at(&path, error))?;
        }
        if !name.is_inbox() {
            // Maildir++ marks a folder by this file.
            let mark = folder.join("maildirfolder");
            File::create(&mark).map_err(|error| Problem::at(&mark, error))?;
        }
        self.folder = folder;
        Ok(())
    }

    /// Begins a message of the folder.
    pub(crate) fn message(
        &mut self,
        uid: Uid,
        size: u64,
        flags: &[String],
        internal_date: DateTime,
    ) -> Result<NewFile, Problem> {
        let letters = self.letters(uid, flags);
        // The size in the name is that of the file; Dovecot trusts it.
        let mark = if self.lf { LF_MARK.to_owned() } else { format!("{EXACT_MARK}{size}") };
        let name = format!("{}.M{}P{}{mark}", self.started_secs, uid, std::process::id());
        let tmp = self.folder.join("tmp").join(&name);
        let cur = self.folder.join("cur").join(format!("{name}:2,{letters}"));
        let file = File::create_new(&tmp).map_err(|error| Problem::at(&tmp, error))?;
        let lines = self.lf.then(LfLines::default);
        Ok(NewFile { file: io::BufWriter::new(file), lines, tmp, cur, time: system_time(internal_date) })
    }

    /// Flag letters in ASCII order, as the Maildir specification wants them.
    fn letters(&mut self, uid: Uid, flags: &[String]) -> String {
        let mut letters = Vec::new();
        for flag in flags {
            if let Some(letter) = letter_of_flag(flag) {
                letters.push(letter);
            } else if let Some(at) = self.keyword_place(flag) {
                letters.push(char::from(b'a' + at));
            } else {
                let reason = format!("the keyword {flag} has no letter: a Maildir has {KEYWORD_LETTERS}");
                self.problems.push(Problem::new(format!("{} UID {uid}", self.folder.display()), reason));
            }
        }
        letters.sort_unstable();
        letters.into_iter().collect()
    }

    fn keyword_place(&mut self, keyword: &str) -> Option<u8> {
        let at = self.keywords.iter().position(|k| k.eq_ignore_ascii_case(keyword)).or_else(|| {
            (self.keywords.len() < KEYWORD_LETTERS).then(|| {
                self.keywords.push(keyword.to_owned());
                self.keywords.len() - 1
            })
        })?;
        u8::try_from(at).ok()
    }

    fn end_folder(&mut self) -> Result<(), Problem> {
        let keywords = std::mem::take(&mut self.keywords);
        if keywords.is_empty() {
            return Ok(());
        }
        let lines: String = keywords.iter().enumerate().map(|(n, keyword)| format!("{n} {keyword}\n")).collect();
        let path = self.folder.join(KEYWORDS_FILE);
        fs::write(&path, lines).map_err(|error| Problem::at(&path, error))
    }

    /// Writes what is known at the end only, and has it all on disk. Returns what went wrong on the way.
    pub(crate) fn finish(mut self, subscriptions: &[MailboxName]) -> Result<Vec<Problem>, Problem> {
        self.end_folder()?;
        let lines: String = subscriptions
            .iter()
            .map(|name| if name.is_inbox() { "INBOX".to_owned() } else { maildir_directory(name) })
            .map(|name| format!("{}\n", name.trim_start_matches('.')))
            .collect();
        let path = self.root.join(SUBSCRIPTIONS_FILE);
        fs::write(&path, lines).map_err(|error| Problem::at(&path, error))?;
        sync_filesystem(&self.root)?;
        Ok(self.problems)
    }
}

impl NewFile {
    /// The next octets.
    pub(crate) fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        let written = match &mut self.lines {
            None => self.file.write_all(chunk),
            Some(lines) => {
                let mut out = Vec::with_capacity(chunk.len());
                lines.feed(chunk, &mut out);
                self.file.write_all(&out)
            }
        };
        written.map_err(|error| Problem::at(&self.tmp, error))
    }

    /// The message is there, whole.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let mut rest = Vec::new();
        if let Some(lines) = self.lines.take() {
            lines.finish(&mut rest);
        }
        let done = self.file.write_all(&rest).and_then(|()| self.file.flush());
        let done = done.and_then(|()| self.file.get_ref().set_modified(self.time));
        done.and_then(|()| fs::rename(&self.tmp, &self.cur)).map_err(|error| Problem::at(&self.tmp, error))
    }
}

fn system_time(date: DateTime) -> SystemTime {
    let distance = Duration::from_secs(date.unix_secs.unsigned_abs());
    let time = if date.unix_secs < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

/// One sync for all files: syncing each would make an export many times slower.
pub(crate) fn sync_filesystem(path: &Path) -> Result<(), Problem> {
    let directory = File::open(path).map_err(|error| Problem::at(path, error))?;
    rustix::fs::syncfs(&directory).map_err(|error| Problem::at(path, error))
}

#[cfg(test)]
mod tests {
    use super::super::super::{Found, Octets, Source, Target, flags_of};
    use super::super::MaildirSource;
    use super::*;

    fn load(root: &Path, folder: usize, message: usize) -> (Vec<u8>, Found) {
        let source = MaildirSource::open(root, Target::default()).unwrap();
        let mut found = source.load(folder, message).unwrap();
        let octets = std::mem::replace(&mut found.octets, Octets::Whole(Vec::new()));
        let Octets::Whole(octets) = octets else { panic!("small messages are whole") };
        (octets, found)
    }

    #[test]
    fn what_is_written_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("new");
        let mut writer = MaildirWriter::create(&root, false).unwrap();
        let name = MailboxName::new("Entwürfe/v1.2").unwrap();
        writer.folder(&MailboxName::inbox()).unwrap();
        writer.folder(&name).unwrap();
        let flags = ["work", "\\Seen", "$forwarded", "\\Flagged", "other"].map(String::from);
        let date = DateTime::utc(-86_400);
        for uid in [9, 10] {
            let text = format!("octets \0 of {uid}\r\nbare\nlf");
            let mut file = writer.message(Uid::new(uid).unwrap(), 30, &flags, date).unwrap();
            text.as_bytes().chunks(3).for_each(|chunk| file.write(chunk).unwrap());
            file.finish().unwrap();
        }
        assert_eq!(writer.finish(&[MailboxName::inbox(), name.clone()]).unwrap(), []);

        let source = MaildirSource::open(&root, Target::default()).unwrap();
        assert_eq!(source.folders()[1].name, name);
        assert_eq!(source.subscriptions(), Some(&[MailboxName::inbox(), name][..]));
        let (octets, found) = load(&root, 1, 1);
        assert_eq!(octets, b"octets \0 of 10\r\nbare\nlf");
        assert_eq!(found.flags, flags_of(["\\Flagged", "$Forwarded", "\\Seen", "work", "other"]));
        assert_eq!(found.internal_date, date);
    }

    #[test]
    fn unix_line_ends_if_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = MaildirWriter::create(dir.path(), true).unwrap();
        writer.folder(&MailboxName::inbox()).unwrap();
        let mut file = writer.message(Uid::MIN, 5, &[], DateTime::utc(0)).unwrap();
        file.write(b"a\r").unwrap();
        file.write(b"\nb\r").unwrap();
        file.finish().unwrap();
        let cur = fs::read_dir(dir.path().join("cur")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(fs::read(cur).unwrap(), b"a\nb\r");
    }

    #[test]
    fn nothing_is_overwritten_and_too_many_keywords_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("x");
        let mut writer = MaildirWriter::create(&root, false).unwrap();
        writer.folder(&MailboxName::inbox()).unwrap();
        let keywords: Vec<String> = (0..27).map(|n| format!("k{n}")).collect();
        writer.message(Uid::MIN, 0, &keywords, DateTime::utc(0)).unwrap().finish().unwrap();
        let problems = writer.finish(&[]).unwrap();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].reason.contains("k26"), "{problems:?}");
        assert!(MaildirWriter::create(&root, false).unwrap_err().reason.contains("not empty"));
    }
}
