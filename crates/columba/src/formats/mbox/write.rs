//! Writes a directory of mboxes, one for each mailbox: `A.mbox`, `A/B.mbox`. Lines end as on Unix, `From ` is quoted
//! the way of mboxrd.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use columba_types::{DateTime, MailboxName};

use super::super::Problem;
use super::super::folder_name::file_name;
use super::super::lines::{LfLines, Quote};
use super::super::maildir::sync_filesystem;
use super::{from_line, status};

/// A directory of mboxes that is being written.
#[derive(Debug)]
pub(crate) struct MboxWriter {
    root: PathBuf,
    open: Option<OpenMbox>,
}

#[derive(Debug)]
struct OpenMbox {
    path: PathBuf,
    file: BufWriter<File>,
    message: Option<Message>,
}

#[derive(Debug, Default)]
struct Message {
    lines: LfLines,
    quote: Quote,
    ended_in_lf: bool,
}

impl MboxWriter {
    /// Begins in `root`, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made, or is not empty.
    pub(crate) fn create(root: &Path) -> Result<Self, Problem> {
        fs::create_dir_all(root).map_err(|error| Problem::at(root, error))?;
        if fs::read_dir(root).map_err(|error| Problem::at(root, error))?.next().is_some() {
            return Err(Problem::at(root, "it is not empty; name a new or empty directory to export into"));
        }
        Ok(Self { root: root.to_owned(), open: None })
    }

    /// Begins a mailbox; the messages that follow go into it.
    pub(crate) fn folder(&mut self, name: &MailboxName) -> Result<(), Problem> {
        self.end_folder()?;
        let mut path = self.root.clone();
        path.extend(name.as_str().split('/').map(file_name));
        // Not with_extension, which would cut off what follows a dot in the name.
        path.as_mut_os_string().push(".mbox");
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| Problem::at(parent, error))?;
        }
        let file = File::create_new(&path).map_err(|error| Problem::at(&path, error))?;
        self.open = Some(OpenMbox { path, file: BufWriter::with_capacity(256 * 1024, file), message: None });
        Ok(())
    }

    /// Begins a message of the mailbox.
    pub(crate) fn message(&mut self, flags: &[String], internal_date: DateTime) -> Result<(), Problem> {
        let head = format!("{}{}", from_line::print(internal_date), status::print(flags));
        let mbox = self.mbox()?;
        mbox.message = Some(Message { ended_in_lf: true, ..Message::default() });
        mbox.file.write_all(head.as_bytes()).map_err(|error| Problem::at(&mbox.path, error))
    }

    /// The next octets of the message.
    pub(crate) fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        let mbox = self.mbox()?;
        let Some(message) = &mut mbox.message else { return Ok(()) };
        let mut lines = Vec::with_capacity(chunk.len());
        message.lines.feed(chunk, &mut lines);
        mbox.write_lines(&lines)
    }

    /// The message is whole: a blank line follows it.
    pub(crate) fn end_message(&mut self) -> Result<(), Problem> {
        let mbox = self.mbox()?;
        let Some(message) = &mut mbox.message else { return Ok(()) };
        let mut rest = Vec::new();
        std::mem::take(&mut message.lines).finish(&mut rest);
        mbox.write_lines(&rest)?;
        let Some(message) = mbox.message.take() else { return Ok(()) };
        let mut rest = Vec::new();
        message.quote.finish(&mut rest);
        let ended_in_lf = rest.last().map_or(message.ended_in_lf, |octet| *octet == b'\n');
        rest.extend_from_slice(if ended_in_lf { b"\n" } else { b"\n\n" });
        mbox.file.write_all(&rest).map_err(|error| Problem::at(&mbox.path, error))
    }

    fn mbox(&mut self) -> Result<&mut OpenMbox, Problem> {
        self.open.as_mut().ok_or_else(|| Problem::at(&self.root, "a message came before its mailbox"))
    }

    fn end_folder(&mut self) -> Result<(), Problem> {
        let Some(mut mbox) = self.open.take() else { return Ok(()) };
        mbox.file.flush().map_err(|error| Problem::at(&mbox.path, error))
    }

    /// Has it all on disk.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        self.end_folder()?;
        sync_filesystem(&self.root)
    }
}

impl OpenMbox {
    fn write_lines(&mut self, lines: &[u8]) -> Result<(), Problem> {
        let Some(message) = &mut self.message else { return Ok(()) };
        let mut quoted = Vec::with_capacity(lines.len() + 16);
        message.quote.feed(lines, &mut quoted);
        if let Some(last) = lines.last() {
            message.ended_in_lf = *last == b'\n';
        }
        self.file.write_all(&quoted).map_err(|error| Problem::at(&self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Octets, Source, Target, flags_of};
    use super::super::MboxSource;
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("out");
        let mut writer = MboxWriter::create(&root).unwrap();
        let name = MailboxName::new("Work/.v1.2").unwrap();
        let texts = [
            "Subject: 1\r\n\r\nFrom x\r\n>From y\r\n\r\n",
            "Status: RO\r\nX-Status: \r\nX-Keywords: \r\n\r\nFrom z Thu Jan  1 00:00:00 1970\r\n",
            "",
            "no end\r\n\r\n\r\n",
        ];
        writer.folder(&name).unwrap();
        for text in texts {
            writer.message(&["\\Answered".into(), "work".into()], DateTime::utc(1_000_000_000)).unwrap();
            text.as_bytes().chunks(2).for_each(|chunk| writer.write(chunk).unwrap());
            writer.end_message().unwrap();
        }
        writer.finish().unwrap();
        assert!(root.join("Work/%2Ev1.2.mbox").exists());

        let source = MboxSource::open(&root, Target::default()).unwrap();
        assert_eq!(source.folders()[0].name, name);
        assert_eq!(source.folders()[0].messages, texts.len());
        for (n, text) in texts.iter().enumerate() {
            let found = source.load(0, n).unwrap();
            let Octets::Whole(octets) = found.octets else { panic!("small messages are whole") };
            assert_eq!(String::from_utf8(octets).unwrap(), *text);
            assert_eq!(found.flags, flags_of(["\\Answered", "work"]));
            assert_eq!(found.internal_date, DateTime::utc(1_000_000_000));
        }
    }

    #[test]
    fn an_unfinished_last_line_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = MboxWriter::create(dir.path()).unwrap();
        writer.folder(&MailboxName::inbox()).unwrap();
        for text in ["x", "From ", ">", "y\r"] {
            writer.message(&[], DateTime::utc(0)).unwrap();
            writer.write(text.as_bytes()).unwrap();
            writer.end_message().unwrap();
        }
        writer.finish().unwrap();
        let text = fs::read_to_string(dir.path().join("INBOX.mbox")).unwrap();
        let head = "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nStatus: O\nX-Status: \nX-Keywords: \n";
        assert_eq!(text, ["x", ">From ", ">", "y\r"].map(|t| format!("{head}{t}\n\n")).concat());
    }
}
