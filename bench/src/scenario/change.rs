//! Changes of flags, COPY, MOVE and EXPUNGE. What is changed is changed back or happens in a copy, so that kept mailboxes stay
//! what they are.

use hdrhistogram::Histogram;

use super::Scenario;
use crate::Failure;
use crate::mail::Shape;
use crate::record::{Latency, Row};
use crate::stage::{READER, Stage, by_pieces, count, fresh, micros};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "store-all",
        about: "STORE 1:* of one flag, set and taken away in turn",
        run: |stage| Box::pin(store_all(stage)),
    },
    Scenario {
        name: "store-one",
        about: "STORE of one flag of one message, again and again",
        run: |stage| Box::pin(store_one(stage)),
    },
    Scenario {
        name: "copy",
        about: "COPY of 10,000 messages into an empty mailbox",
        run: |stage| Box::pin(copy(stage)),
    },
    Scenario {
        name: "move",
        about: "MOVE of 10,000 messages into an empty mailbox",
        run: |stage| Box::pin(move_there(stage)),
    },
    Scenario {
        name: "expunge",
        about: "EXPUNGE of every second of 100,000 messages",
        run: |stage| Box::pin(expunge(stage)),
    },
];

async fn store_all(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let messages = stage.sizes.messages;
    let variant = format!("{messages} messages");
    if !stage.wants(&variant) {
        return Ok(());
    }
    let mailbox = stage.mailbox(Shape::Real, messages).await?;
    let mut client = stage.select(&mailbox).await?;
    client.command("STORE 1:* -FLAGS.SILENT (\\Draft)").await?;
    let mut set = false;
    let work = async || {
        set = !set;
        let sign = if set { '+' } else { '-' };
        client.ask(&format!("STORE 1:* {sign}FLAGS (\\Draft)")).await?.has_fetches(messages)
    };
    let row = stage.repeat(&variant, "messages", messages, work).await?;
    stage.add(row);
    client.command("STORE 1:* -FLAGS.SILENT (\\Draft)").await?;
    client.logout().await
}

async fn store_one(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let messages = stage.sizes.messages;
    let variant = format!("{messages} messages");
    if !stage.wants(&variant) {
        return Ok(());
    }
    let mailbox = stage.mailbox(Shape::Real, messages).await?;
    let mut client = stage.select(&mailbox).await?;
    client.command("STORE 1:* -FLAGS.SILENT (\\Draft)").await?;
    let mut turn = 0_u64;
    let work = async || {
        // A prime step: all over the mailbox, and each message once before the first comes again.
        let (number, sign) =
            ((turn % messages) * 7_919 % messages + 1, if (turn / messages).is_multiple_of(2) { '+' } else { '-' });
        turn += 1;
        client.ask(&format!("STORE {number} {sign}FLAGS (\\Draft)")).await?.has_fetches(1)
    };
    let row = stage.repeat(&variant, "changes", 1, work).await?;
    stage.add(row);
    client.command("STORE 1:* -FLAGS.SILENT (\\Draft)").await?;
    client.logout().await
}

/// A row of things that were done some times with preparations between them.
struct Rounds {
    latency: Histogram<u64>,
    last: Option<Row>,
    seconds: f64,
    cpu_micros: f64,
    written: u64,
}

impl Rounds {
    fn new() -> Result<Self, Failure> {
        Ok(Self { latency: Histogram::new(3)?, last: None, seconds: 0.0, cpu_micros: 0.0, written: 0 })
    }

    fn add(&mut self, row: Row, micros: u64) -> Result<(), Failure> {
        self.latency.record(micros)?;
        self.seconds += row.seconds;
        self.cpu_micros += row.cpu_micros_per_operation;
        self.written += row.written;
        self.last = Some(row);
        Ok(())
    }

    /// The whole: operations and seconds of all rounds.
    fn row(self) -> Option<Row> {
        let (mut row, rounds) = (self.last?, self.latency.len());
        row.operations *= rounds;
        row.seconds = self.seconds;
        row.throughput = row.operations as f64 / row.seconds;
        row.figure.value = row.throughput;
        row.cpu_micros_per_operation = self.cpu_micros / rounds as f64;
        row.written = self.written;
        row.latency = Some(Latency::of(&self.latency));
        Some(row)
    }
}

async fn copy(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let copied = stage.sizes.copied.min(stage.sizes.messages);
    let variant = format!("{copied} messages");
    if !stage.wants(&variant) {
        return Ok(());
    }
    let mailbox = stage.mailbox(Shape::Real, stage.sizes.messages).await?;
    let there = stage.peer.mailbox("copied");
    let (mut client, mut rounds) = (stage.select(&mailbox).await?, Rounds::new()?);
    for _ in 0..stage.sizes.rounds {
        fresh(&mut client, &there).await?;
        let timing = stage.begin()?;
        client.command(&format!("COPY 1:{copied} {there}")).await?;
        let took = micros(timing.begun());
        rounds.add(stage.end(timing, &variant, "messages", copied)?, took)?;
        expect(count(&mut client, &there).await?, copied)?;
    }
    client.command(&format!("DELETE {there}")).await?;
    if let Some(row) = rounds.row() {
        stage.add(row);
    }
    client.logout().await
}

fn expect(there: Option<u64>, messages: u64) -> Result<(), Failure> {
    if there == Some(messages) { Ok(()) } else { Err(format!("{there:?} messages are there, not {messages}").into()) }
}

async fn move_there(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let moved = stage.sizes.copied.min(stage.sizes.messages);
    let variant = format!("{moved} messages");
    if !stage.wants(&variant) {
        return Ok(());
    }
    let mailbox = stage.mailbox(Shape::Real, stage.sizes.messages).await?;
    let [mut from, mut to] = [stage.peer.mailbox("moved"), stage.peer.mailbox("moved-on")];
    let (mut client, mut rounds) = (stage.select(&mailbox).await?, Rounds::new()?);
    fresh(&mut client, &from).await?;
    client.command(&format!("COPY 1:{moved} {from}")).await?;
    for _ in 0..stage.sizes.rounds {
        fresh(&mut client, &to).await?;
        client.command(&format!("SELECT {from}")).await?;
        let timing = stage.begin()?;
        client.command(&format!("MOVE 1:* {to}")).await?;
        let took = micros(timing.begun());
        rounds.add(stage.end(timing, &variant, "messages", moved)?, took)?;
        expect(count(&mut client, &to).await?, moved)?;
        std::mem::swap(&mut from, &mut to);
    }
    client.command("UNSELECT").await?;
    for name in [from, to] {
        client.command(&format!("DELETE {name}")).await?;
    }
    if let Some(row) = rounds.row() {
        stage.add(row);
    }
    client.logout().await
}

async fn expunge(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let messages = stage.sizes.expunged;
    let variant = format!("half of {messages}");
    if !stage.wants(&variant) {
        return Ok(());
    }
    let mailbox = stage.mailbox(Shape::Tiny, messages).await?;
    let there = stage.peer.mailbox("expunged");
    let (mut client, mut rounds) = (stage.enter(READER).await?, Rounds::new()?);
    for _ in 0..stage.sizes.rounds {
        client.command(&format!("SELECT {mailbox}")).await?;
        fresh(&mut client, &there).await?;
        client.command(&format!("COPY 1:* {there}")).await?;
        client.command(&format!("SELECT {there}")).await?;
        by_pieces(&mut client, "STORE {} +FLAGS.SILENT (\\Deleted)", (1..=messages).step_by(2)).await?;
        let timing = stage.begin()?;
        client.ask("EXPUNGE").await?.has("EXPUNGE responses", |answer| answer.expunges, messages.div_ceil(2))?;
        let took = micros(timing.begun());
        rounds.add(stage.end(timing, &variant, "messages", messages.div_ceil(2))?, took)?;
        client.command("UNSELECT").await?;
        expect(count(&mut client, &there).await?, messages / 2)?;
    }
    client.command(&format!("DELETE {there}")).await?;
    if let Some(row) = rounds.row() {
        stage.add(row);
    }
    client.logout().await
}
