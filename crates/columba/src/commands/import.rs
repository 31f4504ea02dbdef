//! `columba import …`: reads foreign mail on all cores and sends it to whoever has the store, in order.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use columba_store::normalise_name;
use columba_types::{Flag, MailboxName};
use futures_util::StreamExt;
use serde_json::json;

use super::{reach, unexpected};
use crate::admin::{
    Connection, FrameReader, FrameWriter, ImportNews, ImportStep, ImportTotals, Missing, Reply, Request,
};
use crate::cli::{Import, ImportEml, Place};
use crate::failure::Failure;
use crate::formats::eml::EmlSource;
use crate::formats::maildir::MaildirSource;
use crate::formats::mbox::MboxSource;
use crate::formats::{Found, LineEnds, Octets, Problem, Source, Target};
use crate::output::{Output, count, counted, seconds, size};
use crate::progress::{Progress, rate};

/// Messages that one thread reads at a time.
const READ_TOGETHER: usize = 8;
/// Threads that read, at most: each may hold `READ_TOGETHER` messages of a megabyte.
const READERS: usize = 8;
/// Names in one frame.
const NAMES: usize = 200;
/// Problems that are kept word for word; the rest is counted.
const PROBLEMS_KEPT: usize = 1_000;

pub(super) async fn run(place: &Place, command: Import, output: Output) -> Result<(), Failure> {
    let (account, skip_duplicates) = match &command {
        Import::Maildir(options) => (options.account.clone(), options.how.skip_duplicates),
        Import::Mbox(options) => (options.account.clone(), options.how.skip_duplicates),
        Import::Eml(options) => (options.account.clone(), options.how.skip_duplicates),
    };
    let opened = tokio::task::spawn_blocking(move || open(command)).await;
    let source = opened.map_err(|error| Failure::new(error.to_string()))??;
    let mut connection = reach(place, Missing::Refuse).await?;
    let result = import(&mut connection, account, skip_duplicates, source, output).await;
    connection.close().await;
    result
}

/// Looks through what is to be imported.
fn open(command: Import) -> Result<Arc<dyn Source>, Failure> {
    Ok(match command {
        Import::Maildir(o) => {
            let target = target(o.mailbox.as_deref(), o.into.as_deref(), o.how.keep_line_ends)?;
            Arc::new(MaildirSource::open(&o.path, target)?)
        }
        Import::Mbox(o) => {
            let target = target(o.mailbox.as_deref(), o.into.as_deref(), o.how.keep_line_ends)?;
            Arc::new(MboxSource::open(&o.path, target)?)
        }
        Import::Eml(o) => {
            let flags = parse_flags(&o)?;
            let target = target(Some(&o.mailbox), None, o.how.keep_line_ends)?;
            Arc::new(EmlSource::open(&o.paths, target, flags)?)
        }
    })
}

fn target(mailbox: Option<&str>, into: Option<&str>, keep_line_ends: bool) -> Result<Target, Failure> {
    let name = |text: &str| -> Result<MailboxName, Failure> {
        normalise_name(text).map_err(|reason| Failure::new(format!("{text:?} cannot be a mailbox: {reason}")))
    };
    let line_ends = if keep_line_ends { LineEnds::Keep } else { LineEnds::Crlf };
    Ok(Target { mailbox: mailbox.map(name).transpose()?, into: into.map(name).transpose()?, line_ends })
}

fn parse_flags(options: &ImportEml) -> Result<Vec<Flag>, Failure> {
    let parse = |text: &String| {
        Flag::parse(text).map_err(|reason| {
            Failure::new(format!("{text:?} is no flag: {reason}")).hint("write \\Seen, \\Flagged …, or a keyword")
        })
    };
    options.flags.iter().map(parse).collect()
}

/// What came of it.
struct Outcome {
    totals: ImportTotals,
    problems: Vec<Problem>,
    more_problems: u64,
}

impl Outcome {
    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_KEPT {
            self.problems.push(problem);
        } else {
            self.more_problems += 1;
        }
    }
}

async fn import(
    connection: &mut Connection,
    account: String,
    skip_duplicates: bool,
    source: Arc<dyn Source>,
    output: Output,
) -> Result<(), Failure> {
    match connection.ask(&Request::Import { account, skip_duplicates }).await? {
        Reply::Done => {}
        _ => return Err(unexpected()),
    }
    let total = source.folders().iter().map(|folder| folder.messages as u64).sum();
    let progress = Progress::begin("importing", Some(total), output);
    let mut outcome = Outcome { totals: ImportTotals::default(), problems: Vec::new(), more_problems: 0 };
    source.problems().iter().cloned().for_each(|problem| outcome.problem(problem));
    let Connection { reader, writer, .. } = connection;
    let (sent, heard) = tokio::join!(send(writer, &source), hear(reader, progress, &mut outcome));
    // When the other side ends the import, it says why; that sending failed too tells nothing more.
    let took = heard?;
    sent?.into_iter().for_each(|problem| outcome.problem(problem));
    report(&outcome, source.folders().len(), took, output)
}

async fn hear(reader: &mut FrameReader, mut progress: Progress, outcome: &mut Outcome) -> Result<Duration, Failure> {
    loop {
        match reader.reply().await? {
            Reply::Import(ImportNews::Stored(totals)) => {
                outcome.totals = totals;
                progress.at(totals.messages + totals.skipped, totals.bytes);
            }
            Reply::Import(ImportNews::Trouble { origin, reason }) => outcome.problem(Problem::new(origin, reason)),
            Reply::Import(ImportNews::Finished(totals)) => {
                outcome.totals = totals;
                return Ok(progress.end());
            }
            _ => return Err(unexpected()),
        }
    }
}

/// Sends everything; what could not be read.
async fn send(writer: &mut FrameWriter, source: &Arc<dyn Source>) -> Result<Vec<Problem>, Failure> {
    let mut problems = Vec::new();
    for (at, folder) in source.folders().iter().enumerate() {
        let special_use = folder.special_use.map(|u| u.as_str().to_owned());
        writer.say(&ImportStep::Folder { name: folder.name.to_string(), special_use }).await?;
        let readers = std::thread::available_parallelism().map_or(1, usize::from).min(READERS);
        let groups = (0..folder.messages).step_by(READ_TOGETHER).map(|first| {
            let (source, end) = (Arc::clone(source), folder.messages.min(first + READ_TOGETHER));
            tokio::task::spawn_blocking(move || (first..end).map(|m| source.load(at, m)).collect::<Vec<_>>())
        });
        let mut groups = futures_util::stream::iter(groups).buffered(readers);
        while let Some(group) = groups.next().await {
            let group = group.map_err(|error| Failure::new(format!("reading failed: {error}")))?;
            for found in group {
                match found {
                    Ok(found) => problems.extend(send_message(writer, found).await?),
                    Err(problem) => problems.push(problem),
                }
            }
        }
    }
    let subscribed = match source.subscriptions() {
        Some(names) => names.iter().map(ToString::to_string).collect(),
        None => source.folders().iter().map(|folder| folder.name.to_string()).collect::<Vec<_>>(),
    };
    for names in subscribed.chunks(NAMES) {
        writer.say(&ImportStep::Subscribe { names: names.to_vec() }).await?;
    }
    writer.say(&ImportStep::End).await?;
    writer.flush().await?;
    Ok(problems)
}

/// Sends one message; the problem if it could not be read to its end.
async fn send_message(writer: &mut FrameWriter, found: Found) -> Result<Option<Problem>, Failure> {
    let Found { flags, internal_date, octets, origin } = found;
    let name = |flag: &Flag| match flag {
        Flag::System(system) => system.names().collect::<Vec<_>>().join(" "),
        Flag::Keyword(keyword) => keyword.to_string(),
    };
    let flags = flags.iter().map(name).collect();
    let step = ImportStep::Message { origin: origin.clone(), flags, internal_date: internal_date.into() };
    writer.say(&step).await?;
    match octets {
        Octets::Whole(octets) if octets.is_empty() => {}
        Octets::Whole(octets) => writer.octets(&octets).await?,
        Octets::Chunks(mut chunks) => loop {
            match tokio::task::block_in_place(|| chunks.next_chunk()) {
                Ok(Some(chunk)) => writer.octets(&chunk).await?,
                Ok(None) => break,
                Err(error) => {
                    writer.say(&ImportStep::Abandon).await?;
                    return Ok(Some(Problem::new(origin, error)));
                }
            }
        },
    }
    writer.octets(b"").await?;
    Ok(None)
}

fn report(outcome: &Outcome, folders: usize, took: Duration, output: Output) -> Result<(), Failure> {
    let Outcome { totals, problems, more_problems } = outcome;
    let failed = problems.len() as u64 + more_problems;
    let mut text = format!(
        "Imported {} ({}) into {} in {}: {} messages/s.",
        counted(totals.messages, "message", "messages"),
        size(totals.bytes),
        counted(folders as u64, "mailbox", "mailboxes"),
        seconds(took),
        count(rate(totals.messages, took)),
    );
    if totals.skipped > 0 {
        text.push_str(&format!(" {} there already.", counted(totals.skipped, "message was", "messages were")));
    }
    let value = json!({
        "messages": totals.messages,
        "bytes": totals.bytes,
        "skipped": totals.skipped,
        "mailboxes": folders,
        "mailboxes_made": totals.mailboxes_made,
        "seconds": took.as_secs_f64(),
        "messages_per_second": rate(totals.messages, took),
        "problems": problems,
        "more_problems": more_problems,
    });
    output.print(&value, &text);
    if failed == 0 {
        return Ok(());
    }
    if output == Output::Text {
        let mut err = std::io::stderr().lock();
        for problem in problems {
            let _ = writeln!(err, "{problem}");
        }
    }
    Err(Failure::new(format!("{} on the way", counted(failed, "thing went wrong", "things went wrong")))
        .hint("all else was imported; import what was left out again with --skip-duplicates"))
}
