//! Many devices at once: they connect, log in, select a mailbox and idle, a few at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Failure;
use crate::client::{Client, Door};

/// Devices that log in at the same time; the server's listeners hold many more.
const AT_ONCE: usize = 64;

/// Where a device goes.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) account: String,
    pub(crate) mailbox: &'static str,
}

/// Brings a device to each seat. With `fetch` it reads all flags and envelopes before it idles.
pub(crate) async fn gather(door: &Door, seats: Vec<Seat>, fetch: bool) -> Result<Vec<Client>, Failure> {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut coming = JoinSet::new();
    for (number, seat) in seats.into_iter().enumerate() {
        let (door, gate) = (door.clone(), gate.clone());
        coming.spawn(async move {
            let _turn = gate.acquire().await?;
            let mut client = door.enter(number, &seat.account).await?;
            client.command(&format!("SELECT {}", seat.mailbox)).await?;
            if fetch {
                client.command("FETCH 1:* (UID FLAGS ENVELOPE)").await?;
            }
            client.idle().await?;
            Ok::<_, Failure>(client)
        });
    }
    let mut there = Vec::with_capacity(coming.len());
    while let Some(client) = coming.join_next().await {
        there.push(client??);
    }
    Ok(there)
}

/// Puts messages into a mailbox.
pub(crate) async fn fill(client: &mut Client, mailbox: &str, messages: usize) -> Result<(), Failure> {
    for number in 0..messages {
        append(client, mailbox, number).await?;
    }
    Ok(())
}

/// One message.
pub(crate) async fn append(client: &mut Client, mailbox: &str, number: usize) -> Result<(), Failure> {
    let message = message(number);
    client.command(&format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len())).await
}

/// What it says.
pub(crate) fn message(number: usize) -> String {
    format!(
        "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Message {number}\r\n\
         Date: Thu, 1 Jan 2026 10:00:00 +0000\r\nMessage-ID: <{number}@example.org>\r\n\r\nThis is message {number}.\r\n"
    )
}
