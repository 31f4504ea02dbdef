//! SELECT of small and large mailboxes: by a server that has them at hand, and by one that was just started.

use std::time::Instant;

use hdrhistogram::Histogram;

use super::Scenario;
use crate::Failure;
use crate::mail::Shape;
use crate::record::Latency;
use crate::stage::{READER, Stage, by_median, micros};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "select-warm",
        about: "SELECT of a mailbox that was selected before, on the same connection",
        run: |stage| Box::pin(warm(stage)),
    },
    Scenario {
        name: "select-cold",
        about: "the first SELECT after a restart, with the page cache dropped",
        run: |stage| Box::pin(cold(stage)),
    },
];

async fn warm(stage: &mut Stage<'_>) -> Result<(), Failure> {
    for &messages in &stage.sizes.selected {
        let variant = format!("{messages} messages");
        if !stage.wants(&variant) {
            continue;
        }
        let mailbox = stage.mailbox(Shape::Tiny, messages).await?;
        let row = once_and_again(stage, &variant, &mailbox, messages).await?;
        stage.add(row);
    }
    Ok(())
}

/// SELECT until the time is over; UNSELECT between two of them is not in the latency.
pub(super) async fn once_and_again(
    stage: &Stage<'_>,
    variant: &str,
    mailbox: &str,
    messages: u64,
) -> Result<crate::record::Row, Failure> {
    let mut client = stage.enter(READER).await?;
    let (select, mut latency) = (format!("SELECT {mailbox}"), Histogram::new(3)?);
    client.command(&select).await?;
    client.command("UNSELECT").await?;
    let timing = stage.begin()?;
    while timing.begun().elapsed() < stage.sizes.time || latency.len() < u64::from(stage.sizes.rounds) {
        let begun = Instant::now();
        let answer = client.ask(&select).await?;
        latency.record(micros(begun))?;
        answer.has("messages", |answer| answer.exists.unwrap_or(0), messages)?;
        client.command("UNSELECT").await?;
    }
    let mut row = stage.end(timing, variant, "selects", latency.len())?;
    row.latency = Some(Latency::of(&latency));
    client.logout().await?;
    Ok(by_median(row))
}

async fn cold(stage: &mut Stage<'_>) -> Result<(), Failure> {
    for &messages in &stage.sizes.selected {
        let variant = format!("{messages} messages");
        if !stage.wants(&variant) {
            continue;
        }
        let mailbox = stage.mailbox(Shape::Tiny, messages).await?;
        let (mut latency, mut is_cold, mut last) = (Histogram::new(3)?, true, None);
        for _ in 0..stage.sizes.rounds {
            is_cold &= stage.peer.restart_cold()?;
            let mut client = stage.enter(READER).await?;
            let timing = stage.begin()?;
            let answer = client.ask(&format!("SELECT {mailbox}")).await?;
            latency.record(micros(timing.begun()))?;
            answer.has("messages", |answer| answer.exists.unwrap_or(0), messages)?;
            last = Some(stage.end(timing, &variant, "selects", 1)?);
            client.logout().await?;
        }
        let Some(mut row) = last else { continue };
        row.latency = Some(Latency::of(&latency));
        row.note = (!is_cold).then(|| "the page cache could not be dropped".to_owned());
        stage.add(by_median(row));
    }
    Ok(())
}
