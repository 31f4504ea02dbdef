//! Delivery by LMTP, from one connection and from many, each to an account of its own.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Scenario;
use crate::Failure;
use crate::client::{Client, Door};
use crate::mail::Shape;
use crate::stage::{Stage, count, micros};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "lmtp",
    about: "LMTP deliveries of 4 KB and 30 KB from 1 and 64 connections",
    run: |stage| Box::pin(lmtp(stage)),
}];

async fn lmtp(stage: &mut Stage<'_>) -> Result<(), Failure> {
    for connections in [1, stage.sizes.connections] {
        for (name, size) in [("4 KB", 4_096), ("30 KB", 30_000)] {
            let variant = format!("{name}, {connections} connections");
            if !stage.wants(&variant) {
                continue;
            }
            let mut before = 0;
            for number in 0..connections {
                before += inbox(stage, number, false).await?;
            }
            let door = stage.peer.addresses()?.lmtp;
            let messages: Vec<Vec<u8>> =
                (0..16).map(|number| stuffed(&stage.mail.message(Shape::Sized(size), number).octets)).collect();
            let (messages, mut working) = (Arc::new(messages), Vec::new());
            for number in 0..connections {
                let client = Door::lmtp(&door).await?;
                working.push(deliver(client, stage.peer.recipient(number), messages.clone(), stage.sizes.time));
            }
            let row = stage.crowd(&variant, "messages", 1, working).await?;
            let mut after = 0;
            for number in 0..connections {
                after += inbox(stage, number, true).await?;
            }
            if after - before != row.operations {
                return Err(format!("{} messages came of {} that were taken", after - before, row.operations).into());
            }
            stage.add(row);
        }
    }
    Ok(())
}

/// How many messages an account's INBOX has, which is emptied if that is wanted.
async fn inbox(stage: &Stage<'_>, number: usize, empty: bool) -> Result<u64, Failure> {
    let mut client = stage.enter(number).await?;
    let messages = count(&mut client, "INBOX").await?.ok_or("there is no INBOX")?;
    if empty && messages > 0 {
        client.command("SELECT INBOX").await?;
        client.command("STORE 1:* +FLAGS.SILENT (\\Deleted)").await?;
        client.command("CLOSE").await?;
    }
    client.logout().await?;
    Ok(messages)
}

/// A message as DATA has it: dots at the beginnings of lines doubled, and the dot that ends it (RFC 5321 §4.5.2).
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            data.push(b'.');
        }
        data.extend_from_slice(line);
    }
    data.extend_from_slice(b".\r\n");
    data
}

async fn deliver(
    mut client: Client,
    recipient: String,
    messages: Arc<Vec<Vec<u8>>>,
    time: Duration,
) -> Result<Histogram<u64>, Failure> {
    reply(&mut client, "220").await?;
    client.send(b"LHLO bench.example.org\r\n").await?;
    reply(&mut client, "250").await?;
    let envelope = format!("MAIL FROM:<ann@example.org>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
    let (begun, mut latency) = (Instant::now(), Histogram::new(3)?);
    for message in messages.iter().cycle() {
        if begun.elapsed() >= time {
            break;
        }
        let begun = Instant::now();
        client.send(envelope.as_bytes()).await?;
        for code in ["250", "250", "354"] {
            reply(&mut client, code).await?;
        }
        client.send(message).await?;
        reply(&mut client, "250").await?;
        latency.record(micros(begun))?;
    }
    client.send(b"QUIT\r\n").await?;
    Ok(latency)
}

/// Reads a reply, of several lines maybe, that has to have that code.
async fn reply(client: &mut Client, code: &str) -> Result<(), Failure> {
    loop {
        let line = client.line().await?;
        if !line.starts_with(code.as_bytes()) {
            return Err(io::Error::other(format!("LMTP: {}", String::from_utf8_lossy(&line))).into());
        }
        if line.get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled() {
        assert_eq!(stuffed(b"a\r\n.\r\n..b\r\nc.\r\n"), b"a\r\n..\r\n...b\r\nc.\r\n.\r\n");
    }
}
