//! Curves: what a larger mailbox costs, and what more connections bring.

use std::time::Instant;

use hdrhistogram::Histogram;

use super::Scenario;
use super::append::load;
use super::select::once_and_again;
use crate::Failure;
use crate::mail::Shape;
use crate::stage::{READER, Stage, micros};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "growth-mailbox",
        about: "SELECT, all flags, one flag changed, one message appended, by messages in the mailbox",
        run: |stage| Box::pin(mailbox(stage)),
    },
    Scenario {
        name: "growth-connections",
        about: "durable APPEND of 4 KB, and FETCH of flags, by connections at once",
        run: |stage| Box::pin(connections(stage)),
    },
];

async fn mailbox(stage: &mut Stage<'_>) -> Result<(), Failure> {
    for &messages in &stage.sizes.curve {
        let variant = |what: &str| format!("{what}, {messages} messages");
        if stage.wants(&variant("select")) {
            let name = stage.mailbox(Shape::Tiny, messages).await?;
            let row = once_and_again(stage, &variant("select"), &name, messages).await?;
            stage.add(row);
        }
        if stage.wants(&variant("flags")) {
            let name = stage.mailbox(Shape::Tiny, messages).await?;
            let mut client = stage.select(&name).await?;
            let work = async || client.ask("FETCH 1:* (UID FLAGS)").await?.has_fetches(messages);
            let row = stage.repeat(&variant("flags"), "messages", messages, work).await?;
            stage.add(row);
            client.logout().await?;
        }
        if stage.wants(&variant("store one")) {
            let name = stage.mailbox(Shape::Tiny, messages).await?;
            let mut client = stage.select(&name).await?;
            client.command("STORE 1:* -FLAGS.SILENT (\\Draft)").await?;
            let mut turn = 0_u64;
            let work = async || {
                let sign = if (turn / messages).is_multiple_of(2) { '+' } else { '-' };
                let number = turn % messages * 7_919 % messages + 1;
                turn += 1;
                client.ask(&format!("STORE {number} {sign}FLAGS (\\Draft)")).await?.has_fetches(1)
            };
            let row = stage.repeat(&variant("store one"), "changes", 1, work).await?;
            stage.add(row);
            client.logout().await?;
        }
    }
    Ok(())
}

async fn connections(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let numbers: Vec<usize> = std::iter::successors(Some(1), |number| Some(number * 2))
        .take_while(|number| *number <= stage.sizes.connections)
        .collect();
    for number in numbers {
        let variant = format!("append, {number} connections");
        if stage.wants(&variant) {
            let row = load(stage, &variant, number, 4_096, 1).await?;
            stage.add(row);
        }
        let variant = format!("flags of 300 messages, {number} connections");
        if stage.wants(&variant) {
            flags(stage, &variant, number).await?;
        }
    }
    Ok(())
}

async fn flags(stage: &mut Stage<'_>, variant: &str, connections: usize) -> Result<(), Failure> {
    const MESSAGES: u64 = 300;
    let mailbox = stage.mailbox(Shape::Tiny, MESSAGES).await?;
    let (time, mut working) = (stage.sizes.time, Vec::new());
    for _ in 0..connections {
        let mut client = stage.enter(READER).await?;
        client.command(&format!("EXAMINE {mailbox}")).await?;
        working.push(async move {
            let (begun, mut latency) = (Instant::now(), Histogram::new(3)?);
            while begun.elapsed() < time {
                let begun = Instant::now();
                client.ask("FETCH 1:* (UID FLAGS)").await?.has_fetches(MESSAGES)?;
                latency.record(micros(begun))?;
            }
            Ok(latency)
        });
    }
    let row = stage.crowd(variant, "messages", MESSAGES, working).await?;
    stage.add(row);
    Ok(())
}
