//! Reads messages that are a file each: what mail clients save as `.eml`, given as files or as directories of them.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use columba_mime::{fields, parse_date};
use columba_types::{DateTime, Flag, MailboxName, limits};

use super::maildir::moment;
use super::{Folder, Found, Octets, Problem, Source, Target, special_use_of};

/// Octets of a header in which the date is looked for.
const HEADER_BYTES: u64 = 64 * 1024;

/// Files of one message each.
#[derive(Debug)]
pub(crate) struct EmlSource {
    target: Target,
    folders: Vec<Folder>,
    paths: Vec<PathBuf>,
    flags: Vec<Flag>,
    problems: Vec<Problem>,
}

impl EmlSource {
    /// Files named are taken whatever they are called; of directories, the files that end in `.eml`, sorted by path.
    /// All go to one mailbox, INBOX if the target names none, with these flags.
    ///
    /// # Errors
    /// When there is no such file at all.
    pub(crate) fn open(roots: &[PathBuf], target: Target, flags: Vec<Flag>) -> Result<Self, Problem> {
        let inbox = MailboxName::inbox();
        let name = target.name_for(&inbox)?;
        let special_use = special_use_of(&name);
        let mut source = Self { target, folders: Vec::new(), paths: Vec::new(), flags, problems: Vec::new() };
        for root in roots {
            match fs::metadata(root) {
                Ok(metadata) if metadata.is_dir() => source.find_below(root, 0),
                Ok(_) => source.paths.push(root.clone()),
                Err(error) => source.problems.push(Problem::at(root, error)),
            }
        }
        if source.paths.is_empty() {
            let none = || Problem::new("nothing to import", "none of the directories has a file that ends in .eml");
            return Err(source.problems.pop().unwrap_or_else(none));
        }
        source.folders.push(Folder { name, special_use, messages: source.paths.len() });
        Ok(source)
    }

    fn find_below(&mut self, directory: &Path, depth: usize) {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return self.problems.push(Problem::at(directory, error)),
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let is_eml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("eml"));
            if metadata.is_dir() && depth < limits::MAILBOX_NAME_DEPTH {
                self.find_below(&path, depth + 1);
            } else if metadata.is_file() && is_eml {
                self.paths.push(path);
            }
        }
    }
}

impl Source for EmlSource {
    fn folders(&self) -> &[Folder] {
        &self.folders
    }

    fn load(&self, folder: usize, message: usize) -> Result<Found, Problem> {
        let path = self.paths.get(message).ok_or_else(|| Problem::new(folder, "no such message"))?;
        let problem = |error: std::io::Error| Problem::at(path, error);
        if !fs::metadata(path).map_err(problem)?.is_file() {
            return Err(Problem::at(path, "this is no file"));
        }
        let mut file = File::open(path).map_err(problem)?;
        let metadata = file.metadata().map_err(problem)?;
        let mut header = Vec::new();
        (&mut file).take(HEADER_BYTES).read_to_end(&mut header).map_err(problem)?;
        file.rewind().map_err(problem)?;
        // A saved file's own time is mostly that of saving it, so the message's date comes first.
        let date = fields(&header).find(|field| field.name.eq_ignore_ascii_case(b"date"));
        let internal_date = date
            .and_then(|field| parse_date(field.value))
            .or_else(|| metadata.modified().ok().map(moment))
            .unwrap_or(DateTime::utc(0));
        let octets = Octets::read(file, 0..metadata.len(), false, self.target.line_ends).map_err(problem)?;
        Ok(Found { flags: self.flags.clone(), internal_date, octets, origin: path.display().to_string() })
    }

    fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        for (path, text) in [
            ("b.eml", "Date: Thu, 1 Jan 1970 01:00:09 +0100\n\nb\n"),
            ("sub/a.EML", "Subject: a\r\n\r\na\n"),
            ("other.txt", "Subject: other\n"),
        ] {
            fs::write(dir.path().join(path), text).unwrap();
        }
        let roots = [dir.path().to_owned(), dir.path().join("other.txt"), dir.path().join("missing")];
        let source = EmlSource::open(&roots, Target::default(), Vec::new()).unwrap();
        assert_eq!(source.folders()[0].messages, 3);
        assert_eq!(source.problems().len(), 1);
        let first = source.load(0, 0).unwrap();
        assert_eq!(first.internal_date, DateTime { unix_secs: 9, zone_minutes: 60 });
        assert!(matches!(first.octets, Octets::Whole(octets) if octets.ends_with(b"\r\n\r\nb\r\n")));
        let second = source.load(0, 1).unwrap();
        assert!(matches!(second.octets, Octets::Whole(octets) if octets == b"Subject: a\r\n\r\na\n"));
        let none = EmlSource::open(&roots[2..], Target::default(), Vec::new()).unwrap_err();
        assert!(none.origin.ends_with("missing"));
    }
}
