//! `columba export …`: takes messages from whoever has the store and writes them to files.

use std::io::Write as _;
use std::path::Path;

use columba_types::{DateTime, MailboxName, Uid};
use serde_json::json;

use super::{reach, unexpected};
use crate::admin::{Connection, ExportStep, Frame, Missing, Reply, Request};
use crate::cli::{Export, Place};
use crate::failure::Failure;
use crate::formats::Problem;
use crate::formats::maildir::{MaildirWriter, NewFile};
use crate::formats::mbox::MboxWriter;
use crate::output::{Output, count, counted, seconds, size};
use crate::progress::{Progress, rate};

pub(super) async fn run(place: &Place, command: Export, output: Output) -> Result<(), Failure> {
    let (account, mailboxes) = match &command {
        Export::Maildir(options) => (options.account.clone(), options.mailboxes.clone()),
        Export::Mbox(options) => (options.account.clone(), options.mailboxes.clone()),
    };
    let mut connection = reach(place, Missing::Refuse).await?;
    let result = async {
        connection.begin(&Request::Export { account, mailboxes }).await?;
        // The first answer tells whether there is anything to write, before a directory is made.
        let first = connection.reader.reply().await?;
        let Reply::Export(ExportStep::Begin { mailboxes, messages, .. }) = first else { return Err(unexpected()) };
        let (sink, path) = match command {
            Export::Maildir(options) => (Sink::maildir(&options.path, options.lf)?, options.path),
            Export::Mbox(options) => (Sink::mbox(&options.path)?, options.path),
        };
        let progress = Progress::begin("exporting", Some(messages), output);
        let outcome = write_all(&mut connection, sink, progress).await?;
        report(&outcome, mailboxes, &path, output)
    }
    .await;
    connection.close().await;
    result
}

/// Where messages are written.
enum Sink {
    Maildir(Box<MaildirWriter>, Option<NewFile>),
    Mbox(Box<MboxWriter>),
}

impl Sink {
    fn maildir(path: &Path, lf: bool) -> Result<Self, Failure> {
        Ok(Self::Maildir(Box::new(MaildirWriter::create(path, lf)?), None))
    }

    fn mbox(path: &Path) -> Result<Self, Failure> {
        Ok(Self::Mbox(Box::new(MboxWriter::create(path)?)))
    }

    fn folder(&mut self, name: &MailboxName) -> Result<(), Problem> {
        match self {
            Self::Maildir(writer, _) => writer.folder(name),
            Self::Mbox(writer) => writer.folder(name),
        }
    }

    fn message(&mut self, uid: Uid, size: u64, flags: &[String], date: DateTime) -> Result<(), Problem> {
        match self {
            Self::Maildir(writer, file) => {
                *file = Some(writer.message(uid, size, flags, date)?);
                Ok(())
            }
            Self::Mbox(writer) => writer.message(flags, date),
        }
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Maildir(_, Some(file)) => file.write(octets),
            Self::Maildir(_, None) => Ok(()),
            Self::Mbox(writer) => writer.write(octets),
        }
    }

    fn end_message(&mut self) -> Result<(), Problem> {
        match self {
            Self::Maildir(_, file) => file.take().map_or(Ok(()), NewFile::finish),
            Self::Mbox(writer) => writer.end_message(),
        }
    }

    fn finish(self, subscriptions: &[MailboxName]) -> Result<Vec<Problem>, Problem> {
        match self {
            Self::Maildir(writer, _) => writer.finish(subscriptions),
            Self::Mbox(writer) => writer.finish().map(|()| Vec::new()),
        }
    }
}

#[derive(Default)]
struct Outcome {
    messages: u64,
    bytes: u64,
    seconds: std::time::Duration,
    problems: Vec<Problem>,
}

async fn write_all(connection: &mut Connection, mut sink: Sink, mut progress: Progress) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    let mut subscriptions = Vec::new();
    // A folder that cannot be written is told once, and its messages are passed over.
    let mut writable = false;
    loop {
        match connection.reader.frame().await? {
            Frame::Octets(octets) if octets.is_empty() => {
                if writable {
                    tokio::task::block_in_place(|| sink.end_message())?;
                    outcome.messages += 1;
                    progress.at(outcome.messages, outcome.bytes);
                }
            }
            Frame::Octets(octets) => {
                if writable {
                    outcome.bytes += octets.len() as u64;
                    tokio::task::block_in_place(|| sink.write(&octets))?;
                }
            }
            said @ Frame::Json(_) => match step(&said)? {
                ExportStep::Folder { name } => match mailbox_name(&name).and_then(|name| sink.folder(&name)) {
                    Ok(()) => writable = true,
                    Err(problem) => {
                        writable = false;
                        outcome.problems.push(problem);
                    }
                },
                ExportStep::Message { uid, size, flags, internal_date } => {
                    let uid = Uid::new(uid).ok_or_else(unexpected)?;
                    if writable {
                        sink.message(uid, size, &flags, internal_date.into())?;
                    }
                }
                ExportStep::Trouble { origin, reason } => outcome.problems.push(Problem::new(origin, reason)),
                ExportStep::Subscriptions { names } => {
                    subscriptions.extend(names.iter().filter_map(|name| MailboxName::new(name).ok()));
                }
                ExportStep::Finished => break,
                ExportStep::Begin { .. } => return Err(unexpected()),
            },
        }
    }
    outcome.problems.extend(tokio::task::block_in_place(|| sink.finish(&subscriptions))?);
    outcome.seconds = progress.end();
    Ok(outcome)
}

fn step(said: &Frame) -> Result<ExportStep, Failure> {
    match said.parse::<Reply>() {
        Ok(Reply::Export(step)) => Ok(step),
        Ok(Reply::Failed { reason, hint }) => Err(Failure { what: reason, hint }),
        _ => Err(unexpected()),
    }
}

fn mailbox_name(name: &str) -> Result<MailboxName, Problem> {
    MailboxName::new(name).map_err(|reason| Problem::new(name, reason))
}

fn report(outcome: &Outcome, mailboxes: u64, path: &Path, output: Output) -> Result<(), Failure> {
    let took = outcome.seconds;
    let text = format!(
        "Exported {} ({}) of {} to {} in {}: {} messages/s.",
        counted(outcome.messages, "message", "messages"),
        size(outcome.bytes),
        counted(mailboxes, "mailbox", "mailboxes"),
        path.display(),
        seconds(took),
        count(rate(outcome.messages, took)),
    );
    let value = json!({
        "path": path,
        "messages": outcome.messages,
        "bytes": outcome.bytes,
        "mailboxes": mailboxes,
        "seconds": took.as_secs_f64(),
        "messages_per_second": rate(outcome.messages, took),
        "problems": outcome.problems,
    });
    output.print(&value, &text);
    let failed = outcome.problems.len() as u64;
    if failed == 0 {
        return Ok(());
    }
    if output == Output::Text {
        let mut err = std::io::stderr().lock();
        for problem in &outcome.problems {
            let _ = writeln!(err, "{problem}");
        }
    }
    Err(Failure::new(format!("{} on the way", counted(failed, "thing went wrong", "things went wrong")))
        .hint("all else was exported"))
}
