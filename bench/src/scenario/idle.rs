//! Devices that idle: when they are told of a message, and what the server's memory for each is.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Scenario;
use crate::Failure;
use crate::Layers;
use crate::client::Door;
use crate::crowd::{Seat, append, fill, gather};
use crate::peer::{account, rest};
use crate::push::listen;
use crate::record::{Better, Figure, Latency};
use crate::stage::{Stage, fresh, progress};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "idle-push",
        about: "from the OK of an APPEND until one and fifty idle devices have read EXISTS",
        run: |stage| Box::pin(push(stage)),
    },
    Scenario {
        name: "idle-memory",
        about: "memory for each of 500 and 10,000 idle connections: plain, TLS, COMPRESS",
        run: |stage| Box::pin(memory(stage)),
    },
];

/// How long a device may wait for what it has to be told.
const PATIENCE: Duration = Duration::from_secs(60);
/// Idle connections of one account, and messages in each INBOX.
const OF_ONE_ACCOUNT: usize = 50;
const MESSAGES: usize = 20;
/// The part of the free memory that idle connections may be foreseen to take.
const ROOM: f64 = 0.6;

async fn push(stage: &mut Stage<'_>) -> Result<(), Failure> {
    const MAILBOX: &str = "INBOX";
    for devices in [1, 50] {
        let variant = format!("{devices} devices");
        if !stage.wants(&variant) {
            continue;
        }
        let mut author = stage.enter(0).await?;
        empty(&mut author).await?;
        let (tell, mut told) = mpsc::unbounded_channel();
        let seats = std::iter::repeat_n(Seat { account: account(0), mailbox: MAILBOX }, devices).collect();
        for device in gather(&stage.door()?, seats, false).await? {
            tokio::spawn(listen(device, tell.clone()));
        }
        let (mut latency, timing) = (Histogram::new(3)?, stage.begin()?);
        for number in 1..=usize::try_from(stage.sizes.pushes)? {
            append(&mut author, MAILBOX, number).await?;
            let ok = Instant::now();
            for _ in 0..devices {
                // A device may be told of others' messages before; only of this one counts.
                let told = loop {
                    let told = timeout(PATIENCE, told.recv()).await.map_err(|_| "a device was not told")?;
                    let told = told.ok_or("a device has gone")?;
                    if told.exists == number {
                        break told;
                    }
                };
                let after = told.at.saturating_duration_since(ok).as_micros();
                latency.record(u64::try_from(after).unwrap_or(u64::MAX))?;
            }
        }
        let mut row = stage.end(timing, &variant, "messages", stage.sizes.pushes)?;
        let told = Latency::of(&latency);
        row.figure = Figure { value: told.p99_micros as f64 / 1e3, unit: "ms (p99)".to_owned(), better: Better::Lower };
        row.latency = Some(told);
        stage.add(row);
        empty(&mut author).await?;
        author.logout().await?;
    }
    Ok(())
}

async fn empty(client: &mut crate::client::Client) -> Result<(), Failure> {
    if client.ask("SELECT INBOX").await?.exists.unwrap_or(0) > 0 {
        client.command("STORE 1:* +FLAGS.SILENT (\\Deleted)").await?;
    }
    client.command("CLOSE").await
}

async fn memory(stage: &mut Stage<'_>) -> Result<(), Failure> {
    const IDLED: &str = "idled";
    for layers in [
        Layers::default(),
        Layers { tls: true, ..Layers::default() },
        Layers { compress: true, ..Layers::default() },
        Layers { tls_compress: true, ..Layers::default() },
    ] {
        let mut each = None;
        for &connections in &stage.sizes.idle {
            let variant = format!("{connections}, {}", layers.name());
            if !stage.wants(&variant) {
                continue;
            }
            if let Some(each) = each
                && each * connections as f64 > free_memory()? * ROOM
            {
                stage.skip(&variant, &format!("{:.0} KB for each would not fit in memory", each / 1e3));
                continue;
            }
            // What came before has left nothing behind that would be counted, or hide what comes.
            stage.peer.stop()?;
            stage.peer.start()?;
            let accounts = connections.div_ceil(OF_ONE_ACCOUNT);
            let mailbox = stage.peer.mailbox(IDLED).leak();
            let door = Door::new(stage.peer, layers)?;
            for number in 0..accounts {
                let mut client = door.enter(0, &account(number)).await?;
                fresh(&mut client, mailbox).await?;
                fill(&mut client, mailbox, MESSAGES).await?;
                client.logout().await?;
            }
            stage.peer.stop()?;
            stage.peer.start()?;
            // The number is how it grows from a tenth of them to all: what all share, and what the first ones bring about, is no
            // part of it.
            let door = Door::new(stage.peer, layers)?;
            let seats = |from, to| {
                let seat = |number| Seat { account: account(number % accounts), mailbox };
                (from..to).map(seat).collect::<Vec<_>>()
            };
            let few = connections.div_ceil(10);
            let first = gather(&door, seats(0, few), false).await?;
            let before = at_rest(stage).await?;
            let timing = stage.begin()?;
            let rest = gather(&door, seats(few, connections), false).await?;
            let after = at_rest(stage).await?;
            progress(&format!(
                "  {before} octets with {} devices, {after} with {}",
                first.len(),
                first.len() + rest.len()
            ));
            let mut row = stage.end(timing, &variant, "connections", rest.len() as u64)?;
            let value = after.saturating_sub(before) as f64 / (connections - few).max(1) as f64;
            each = Some(value);
            row.figure = Figure { value, unit: "bytes per connection".to_owned(), better: Better::Lower };
            row.more.insert("all_mb".to_owned(), after as f64 / 1e6);
            stage.add(row);
        }
    }
    Ok(())
}

/// The memory when nothing changes any more. One login comes before: what a check of a password needed for a moment is then in
/// each of the numbers, or in none.
async fn at_rest(stage: &Stage<'_>) -> Result<u64, Failure> {
    stage.enter(0).await?.logout().await?;
    rest(stage.peer.root()?).await
}

/// Octets that programs can have before the machine swaps or kills.
fn free_memory() -> Result<f64, Failure> {
    let info = std::fs::read_to_string("/proc/meminfo")?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:")).ok_or("no MemAvailable")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
}
