//! Reads an mbox, or a directory of them with its directories (`A.mbox`, `A/B.mbox`, Thunderbird's `A` and `A.sbd/B`).

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use columba_store::normalise_name;
use columba_types::{MailboxName, limits};

use super::super::folder_name::from_file_name;
use super::super::maildir::moment;
use super::super::{Folder, Found, Octets, Problem, Source, Target};
use super::index::{Located, index};
use super::status;

/// Octets of a header in which flags are looked for.
const HEADER_BYTES: u64 = 64 * 1024;

/// The messages of one or more mboxes, found.
#[derive(Debug)]
pub(crate) struct MboxSource {
    target: Target,
    folders: Vec<Folder>,
    files: Vec<MboxFile>,
    problems: Vec<Problem>,
}

#[derive(Debug)]
struct MboxFile {
    path: PathBuf,
    messages: Vec<Located>,
}

impl MboxSource {
    /// Looks through a file, which goes to INBOX unless the target says otherwise, or a directory of files, which go to
    /// mailboxes of their names.
    ///
    /// # Errors
    /// When it cannot be read, or there is no mbox.
    pub(crate) fn open(path: &Path, target: Target) -> Result<Self, Problem> {
        let metadata = fs::metadata(path).map_err(|error| Problem::at(path, error))?;
        let mut source = Self { target, folders: Vec::new(), files: Vec::new(), problems: Vec::new() };
        if metadata.is_dir() {
            source.find_below(path, &mut Vec::new());
        } else if !source.add(path, &MailboxName::inbox()) && source.problems.is_empty() {
            return Err(Problem::at(path, "this is no mbox: it does not begin with a line \"From …\""));
        }
        match source.files.is_empty() {
            true => Err(source.problems.pop().unwrap_or_else(|| Problem::at(path, "there is no mbox in it"))),
            false => Ok(source),
        }
    }

    fn find_below(&mut self, directory: &Path, above: &mut Vec<String>) {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return self.problems.push(Problem::at(directory, error)),
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            if name.starts_with('.') || matches!(extension, "msf" | "dat" | "lock") {
                continue;
            }
            let stem = name.strip_suffix(".sbd").or(name.strip_suffix(".mbox")).unwrap_or(&name);
            above.push(from_file_name(stem));
            if metadata.is_dir() && above.len() < limits::MAILBOX_NAME_DEPTH {
                self.find_below(&path, above);
            } else if metadata.is_file() {
                self.add_named(&path, above);
            }
            above.pop();
        }
    }

    fn add_named(&mut self, path: &Path, components: &[String]) {
        match normalise_name(&components.join("/")) {
            Ok(name) if self.add(path, &name) => {}
            Ok(_) => self.problems.push(Problem::at(path, "this is no mbox; it was left out")),
            Err(reason) => self.problems.push(Problem::at(path, reason)),
        }
    }

    /// Takes a file; `false` if it is no mbox.
    fn add(&mut self, path: &Path, name: &MailboxName) -> bool {
        let found = File::open(path).and_then(|file| index(BufReader::with_capacity(1 << 20, file)));
        let messages = match found {
            Ok(Some(messages)) => messages,
            Ok(None) => return false,
            Err(error) => {
                self.problems.push(Problem::at(path, error));
                return true;
            }
        };
        match self.target.name_for(name) {
            Ok(name) => {
                let special_use = self.target.special_use(&name);
                let mut file = MboxFile { path: path.to_owned(), messages };
                file.drop_pseudo_message();
                self.folders.push(Folder { name, special_use, messages: file.messages.len() });
                self.files.push(file);
            }
            Err(problem) => self.problems.push(problem),
        }
        true
    }
}

impl MboxFile {
    fn drop_pseudo_message(&mut self) {
        let Some(first) = self.messages.first() else { return };
        let header = File::open(&self.path).and_then(|mut file| read_header(&mut file, &first.range));
        if header.is_ok_and(|header| status::is_folder_internal_data(&header)) {
            self.messages.remove(0);
        }
    }
}

impl Source for MboxSource {
    fn folders(&self) -> &[Folder] {
        &self.folders
    }

    fn load(&self, folder: usize, message: usize) -> Result<Found, Problem> {
        let nothing = || Problem::new(folder, "no such message");
        let mbox = self.files.get(folder).ok_or_else(nothing)?;
        let located = mbox.messages.get(message).ok_or_else(nothing)?;
        let origin = format!("{}, message {}", mbox.path.display(), message + 1);
        let problem = |error: std::io::Error| Problem::new(&origin, error);
        let mut file = File::open(&mbox.path).map_err(problem)?;
        let header = read_header(&mut file, &located.range).map_err(problem)?;
        let internal_date = match located.date {
            Some(date) => date,
            None => file.metadata().and_then(|m| m.modified()).map(moment).map_err(problem)?,
        };
        let ours = status::our_fields(&header);
        // Where Columba's fields are, the message's own `Status` is part of the message, and says nothing.
        let telling = if ours > 0 { header.get(..ours).unwrap_or_default() } else { &header };
        let range = located.range.start + ours as u64..located.range.end;
        let octets = Octets::read(file, range, true, self.target.line_ends).map_err(problem)?;
        Ok(Found { flags: status::flags(telling), internal_date, octets, origin })
    }

    fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

fn read_header(file: &mut File, range: &Range<u64>) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(range.start))?;
    let mut header = Vec::new();
    file.take((range.end - range.start).min(HEADER_BYTES)).read_to_end(&mut header)?;
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use columba_types::DateTime;

    const FROM: &str = "From a@x Thu Jan  1 00:00:09 1970\n";

    fn whole(source: &MboxSource, folder: usize, message: usize) -> (String, Found) {
        let mut found = source.load(folder, message).unwrap();
        match std::mem::replace(&mut found.octets, Octets::Whole(Vec::new())) {
            Octets::Whole(octets) => (String::from_utf8(octets).unwrap(), found),
            Octets::Chunks(_) => panic!("small messages are whole"),
        }
    }

    #[test]
    fn a_file_goes_to_inbox_with_its_flags_and_dates() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mail");
        let own = "Status: RO\nX-Status: F\nX-Keywords: work\n";
        fs::write(&path, format!("{FROM}{own}Subject: 1\n\n>From x\n\n{FROM}Subject: 2\nStatus: R\n\ny\n\n")).unwrap();
        let source = MboxSource::open(&path, Target::default()).unwrap();
        assert_eq!((source.folders()[0].name.as_str(), source.folders()[0].messages), ("INBOX", 2));
        let (text, found) = whole(&source, 0, 0);
        assert_eq!(text, "Subject: 1\r\n\r\nFrom x\r\n");
        assert_eq!(found.flags, super::super::super::flags_of(["\\Seen", "\\Flagged", "work"]));
        assert_eq!(found.internal_date, DateTime::utc(9));
        let (text, found) = whole(&source, 0, 1);
        assert_eq!(text, "Subject: 2\r\nStatus: R\r\n\r\ny\r\n");
        assert_eq!(found.flags, super::super::super::flags_of(["\\Seen"]));
    }

    #[test]
    fn a_directory_goes_to_mailboxes_of_its_names() {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("Sent.mbox", FROM),
            ("Work/2026.mbox", FROM),
            ("Inbox", FROM),
            ("Inbox.sbd/%2Ex", FROM),
            ("Inbox.msf", "index"),
            ("notes.txt", "no mail"),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let source = MboxSource::open(dir.path(), Target::default()).unwrap();
        let names: Vec<&str> = source.folders().iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["INBOX", "INBOX/.x", "Sent", "Work/2026"]);
        assert_eq!(source.problems().len(), 1);
        assert!(source.problems()[0].origin.ends_with("notes.txt"));
    }

    #[test]
    fn what_is_no_mbox_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, "Subject: 1\n\n").unwrap();
        assert!(MboxSource::open(&path, Target::default()).unwrap_err().reason.contains("no mbox"));
        assert!(MboxSource::open(&dir.path().join("missing"), Target::default()).is_err());
    }
}
