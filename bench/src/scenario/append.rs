//! Durable APPEND by one client and by many, each into a mailbox of an account of its own, and many messages with one APPEND.

use std::sync::Arc;
use std::time::Instant;

use hdrhistogram::Histogram;

use super::Scenario;
use crate::Failure;
use crate::client::Client;
use crate::mail::{Mail, Shape};
use crate::record::Row;
use crate::stage::{Stage, count, fresh, literal, micros};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "append",
        about: "APPEND of 4 KB, 30 KB and 2 MB, each with its own OK, from 1 and 64 connections",
        run: |stage| Box::pin(append(stage)),
    },
    Scenario {
        name: "multiappend",
        about: "APPEND of 100 messages of 4 KB at once, from one connection",
        run: |stage| Box::pin(multiappend(stage)),
    },
];

const SIZES: [(&str, usize); 3] = [("4 KB", 4_096), ("30 KB", 30_000), ("2 MB", 2_000_000)];
/// Messages of one APPEND.
const BATCH: u64 = 100;

async fn append(stage: &mut Stage<'_>) -> Result<(), Failure> {
    for connections in [1, stage.sizes.connections] {
        for (name, size) in SIZES {
            let variant = format!("{name}, {connections} connections");
            if stage.wants(&variant) {
                let row = load(stage, &variant, connections, size, 1).await?;
                stage.add(row);
            }
        }
    }
    Ok(())
}

async fn multiappend(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let variant = format!("{BATCH} of 4 KB");
    if stage.wants(&variant) {
        let row = load(stage, &variant, 1, 4_096, BATCH).await?;
        stage.add(row);
    }
    Ok(())
}

/// Appends for the time of a load, and looks whether everything is there.
pub(super) async fn load(
    stage: &Stage<'_>,
    variant: &str,
    connections: usize,
    size: usize,
    batch: u64,
) -> Result<Row, Failure> {
    let name = stage.peer.mailbox("appended");
    let commands = Arc::new(commands(stage.mail, &name, size, batch));
    let mut clients = Vec::new();
    for number in 0..connections {
        let mut client = stage.enter(number).await?;
        fresh(&mut client, &name).await?;
        clients.push(client);
    }
    let time = stage.sizes.time;
    let working = clients.into_iter().map(|client| write(client, commands.clone(), time));
    let row = stage.crowd(variant, "messages", batch, working).await?;
    let mut there = 0;
    for number in 0..connections {
        let mut client = stage.enter(number).await?;
        there += count(&mut client, &name).await?.unwrap_or(0);
        client.command(&format!("DELETE {name}")).await?;
        client.logout().await?;
    }
    if there != row.operations {
        return Err(format!("{there} messages are there after {} were answered with OK", row.operations).into());
    }
    Ok(row)
}

/// A few commands that are said in turn, with their tags.
fn commands(mail: &Mail, mailbox: &str, size: usize, batch: u64) -> Vec<Vec<u8>> {
    let few = if size > 1_000_000 { 2 } else { 16 };
    let command = |number: u64| {
        let mut command = format!("x APPEND {mailbox}").into_bytes();
        for message in 0..batch {
            literal(&mut command, &mail.message(Shape::Sized(size), number * batch + message));
        }
        command.extend_from_slice(b"\r\n");
        command
    };
    (0..few).map(command).collect()
}

async fn write(
    mut client: Client,
    commands: Arc<Vec<Vec<u8>>>,
    time: std::time::Duration,
) -> Result<Histogram<u64>, Failure> {
    let (begun, mut latency) = (Instant::now(), Histogram::new(3)?);
    for command in commands.iter().cycle() {
        if begun.elapsed() >= time {
            break;
        }
        let begun = Instant::now();
        client.send(command).await?;
        client.answer().await?.or_failure("APPEND")?;
        latency.record(micros(begun))?;
    }
    Ok(latency)
}
