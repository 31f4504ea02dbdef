//! What a scenario works with: the server, connections to it, mailboxes that are filled, and the way from work to a row.

use std::time::Instant;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::client::{Answer, Client, Door};
use crate::mail::{Mail, Shape};
use crate::peer::{Gauge, Peer, account};
use crate::record::{Better, Figure, Latency, Record, Row, Skipped};
use crate::sizes::Sizes;
use crate::{Failure, Layers};

/// The account that has the filled mailboxes.
pub(crate) const READER: usize = 0;
/// One MULTIAPPEND has at most so many messages and octets when a mailbox is filled.
const BATCH: u64 = 500;
const BATCH_OCTETS: usize = 4 << 20;

pub(crate) struct Stage<'a> {
    pub(crate) peer: &'a mut dyn Peer,
    pub(crate) sizes: &'a Sizes,
    pub(crate) mail: &'a Mail,
    layers: Layers,
    /// Only variants with this in their name.
    only: Option<&'a str>,
    scenario: &'static str,
    pub(crate) record: Record,
}

/// A measurement under way.
pub(crate) struct Timing {
    gauge: Gauge,
    begun: Instant,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(
        peer: &'a mut dyn Peer,
        sizes: &'a Sizes,
        mail: &'a Mail,
        layers: Layers,
        only: Option<&'a str>,
    ) -> Self {
        let record = Record { peer: peer.name().to_owned(), version: peer.version().to_owned(), ..Record::default() };
        Self { peer, sizes, mail, layers, only, scenario: "", record }
    }

    /// The scenario that follows.
    pub(crate) fn begins(&mut self, scenario: &'static str) {
        self.scenario = scenario;
    }

    /// Whether a variant is to be done: it was not left out by the command line, and the server can do it.
    pub(crate) fn wants(&mut self, variant: &str) -> bool {
        let variant = self.full(variant);
        if self.only.is_some_and(|only| !variant.contains(only)) {
            return false;
        }
        if let Some(reason) = self.peer.quirk(self.scenario, &variant) {
            self.skip(&variant, reason);
            return false;
        }
        progress(&format!("{}: {} ({variant})", self.peer.name(), self.scenario));
        true
    }

    /// A variant with how connections are made, which is part of what is compared.
    fn full(&self, variant: &str) -> String {
        match self.layers.name() {
            "plain" => variant.to_owned(),
            layers if variant.is_empty() => layers.to_owned(),
            layers => format!("{variant}, {layers}"),
        }
    }

    pub(crate) fn skip(&mut self, variant: &str, reason: &str) {
        progress(&format!("{}: {} ({variant}) is left out: {reason}", self.peer.name(), self.scenario));
        self.record.skipped.push(Skipped {
            scenario: self.scenario.to_owned(),
            variant: variant.to_owned(),
            peer: self.record.peer.clone(),
            reason: reason.to_owned(),
        });
    }

    /// The rest of the scenario is not done: something went wrong.
    pub(crate) fn fail(&mut self, reason: &str) {
        self.skip("the rest", reason);
        self.record.failed += 1;
    }

    pub(crate) fn door(&self) -> Result<Door, Failure> {
        Door::new(self.peer, self.layers)
    }

    /// A connection of an account, logged in.
    pub(crate) async fn enter(&self, number: usize) -> Result<Client, Failure> {
        self.door()?.enter(0, &account(number)).await
    }

    /// A connection of the reader with a mailbox selected.
    pub(crate) async fn select(&self, mailbox: &str) -> Result<Client, Failure> {
        let mut client = self.enter(READER).await?;
        client.command(&format!("SELECT {mailbox}")).await?;
        Ok(client)
    }

    pub(crate) fn begin(&self) -> Result<Timing, Failure> {
        Ok(Timing { gauge: Gauge::begin(self.peer.root()?)?, begun: Instant::now() })
    }

    /// The row of a measurement that is over, with operations a second as its figure.
    pub(crate) fn end(&self, timing: Timing, variant: &str, unit: &str, operations: u64) -> Result<Row, Failure> {
        let seconds = timing.begun.elapsed().as_secs_f64();
        let used = timing.gauge.read()?;
        Ok(Row::new(self.peer.name(), self.scenario, &self.full(variant), unit, operations, seconds, used))
    }

    pub(crate) fn add(&mut self, row: Row) {
        progress(&format!("  {:.0} {} ({:.2} s)", row.figure.value, row.figure.unit, row.seconds));
        self.record.rows.push(row);
    }

    /// Does something again and again for the time of a load, after a first time that counts apart. `each` operations are done
    /// at a time; what it gives is the answer it read. The row has the latency of each time.
    pub(crate) async fn repeat(
        &self,
        variant: &str,
        unit: &str,
        each: u64,
        mut work: impl AsyncFnMut() -> Result<Answer, Failure>,
    ) -> Result<Row, Failure> {
        let begun = Instant::now();
        work().await?;
        let first = begun.elapsed();
        let mut latency = Histogram::new(3)?;
        let (mut times, mut read) = (0_u64, 0);
        let timing = self.begin()?;
        while times < u64::from(self.sizes.rounds) || timing.begun.elapsed() < self.sizes.time {
            let begun = Instant::now();
            read += work().await?.octets;
            latency.record(micros(begun))?;
            times += 1;
        }
        let mut row = self.end(timing, variant, unit, times * each)?;
        row.latency = Some(Latency::of(&latency));
        row.read = Some(read);
        row.more.insert("first_ms".to_owned(), first.as_secs_f64() * 1e3);
        Ok(row)
    }

    /// Lets so many clients work at once, each in a task of its own, for the time of a load. What a client gives is the latencies
    /// of its operations, in microseconds.
    pub(crate) async fn crowd<F>(
        &self,
        variant: &str,
        unit: &str,
        each: u64,
        clients: impl IntoIterator<Item = F>,
    ) -> Result<Row, Failure>
    where
        F: Future<Output = Result<Histogram<u64>, Failure>> + Send + 'static,
    {
        let timing = self.begin()?;
        let mut working = JoinSet::new();
        for client in clients {
            working.spawn(client);
        }
        let mut latency = Histogram::new(3)?;
        while let Some(done) = working.join_next().await {
            latency.add(done??)?;
        }
        let mut row = self.end(timing, variant, unit, latency.len() * each)?;
        row.latency = Some(Latency::of(&latency));
        Ok(row)
    }

    /// The name of a mailbox of the reader that has the first so many messages of a shape; it is filled where it has not.
    pub(crate) async fn mailbox(&self, shape: Shape, messages: u64) -> Result<String, Failure> {
        let kind = match shape {
            Shape::Real => "mail".to_owned(),
            Shape::Tiny => "tiny".to_owned(),
            Shape::Sized(size) => format!("sized{size}"),
            Shape::Attached(size) => format!("attached{size}"),
        };
        let name = self.peer.mailbox(&format!("{kind}-{messages}"));
        let mut client = self.enter(READER).await?;
        if count(&mut client, &name).await? != Some(messages) {
            fresh(&mut client, &name).await?;
            self.fill(&mut client, &name, shape, messages).await?;
        }
        client.logout().await?;
        Ok(name)
    }

    async fn fill(&self, client: &mut Client, name: &str, shape: Shape, messages: u64) -> Result<(), Failure> {
        let (mut next, mut told, begun) = (0, Instant::now(), Instant::now());
        while next < messages {
            let mut command = format!("f APPEND {name}").into_bytes();
            let first = next;
            while next < messages && next < first + BATCH && (command.len() < BATCH_OCTETS || next == first) {
                literal(&mut command, &self.mail.message(shape, next));
                next += 1;
            }
            command.extend_from_slice(b"\r\n");
            client.send(&command).await?;
            client.answer().await?.or_failure("APPEND")?;
            if told.elapsed().as_secs() >= 5 {
                let speed = next as f64 / begun.elapsed().as_secs_f64();
                progress(&format!("  filling {name}: {next} of {messages}, {speed:.0} per second"));
                told = Instant::now();
            }
        }
        match count(client, name).await? {
            Some(there) if there == messages => Ok(()),
            there => Err(format!("{name} has {there:?} messages after {messages} were appended").into()),
        }
    }
}

impl Timing {
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }
}

/// A message as APPEND has it, after the mailbox's name or another message.
pub(crate) fn literal(command: &mut Vec<u8>, message: &crate::mail::Message) {
    command.extend_from_slice(format!(" {} {{{}+}}\r\n", message.attributes, message.octets.len()).as_bytes());
    command.extend_from_slice(&message.octets);
}

/// The mailbox is there and empty.
pub(crate) async fn fresh(client: &mut Client, name: &str) -> Result<(), Failure> {
    if count(client, name).await?.is_some() {
        client.command(&format!("DELETE {name}")).await?;
    }
    client.command(&format!("CREATE {name}")).await
}

/// How many messages a mailbox has; nothing where there is none.
pub(crate) async fn count(client: &mut Client, name: &str) -> Result<Option<u64>, Failure> {
    let mut messages = None;
    client.say(format!("STATUS {name} (MESSAGES)").as_bytes()).await?;
    let answer = client.answer_with(|line| messages = number_after(line, "MESSAGES ").or(messages)).await?;
    if answer.status.starts_with("OK") { Ok(messages) } else { Ok(None) }
}

/// The number that follows a word in a line.
pub(crate) fn number_after(line: &[u8], word: &str) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let (_, rest) = line.split_once(word)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Runs a command about many messages in pieces that every server takes, with the numbers at `{}`.
pub(crate) async fn by_pieces(
    client: &mut Client,
    command: &str,
    numbers: impl Iterator<Item = u64>,
) -> Result<(), Failure> {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    for piece in numbers.chunks(500) {
        client.command(&command.replace("{}", &piece.join(","))).await?;
    }
    Ok(())
}

pub(crate) fn micros(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Makes the median latency, in milliseconds, a row's figure: what one does once and waits for.
pub(crate) fn by_median(mut row: Row) -> Row {
    if let Some(latency) = row.latency {
        row.figure = Figure { value: latency.p50_micros as f64 / 1e3, unit: "ms".to_owned(), better: Better::Lower };
    }
    row
}

/// Makes millions of octets read a second a row's figure.
pub(crate) fn by_octets(mut row: Row) -> Row {
    if let Some(read) = row.read {
        row.figure = Figure { value: read as f64 / 1e6 / row.seconds, unit: "MB/s".to_owned(), better: Better::Higher };
    }
    row
}

/// Tells whoever waits what is being done.
pub(crate) fn progress(line: &str) {
    eprintln!("{line}");
}
