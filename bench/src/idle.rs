//! `bench idle`: the server's memory for each connection that is logged in, has a mailbox selected and idles.

use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::client::Door;
use crate::crowd::{Seat, fill, gather};
use crate::peer::{Columba, Peer, account, rest};
use crate::place::Place;
use crate::{Failure, Layers};

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  bench idle --connections 10000 --accounts 200 --tls")]
pub(crate) struct Idle {
    /// Connections, spread evenly over the accounts
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    #[arg(long, default_value_t = 200)]
    accounts: usize,
    /// Messages in each account's INBOX
    #[arg(long, default_value_t = 100)]
    messages: usize,
    /// Fetch flags and envelopes of all messages before idling, as a device does: the answers need room
    #[arg(long)]
    fetch: bool,
    #[command(flatten)]
    layers: Layers,
}

impl Idle {
    pub(crate) async fn measure(&self, program: &Path, as_json: bool) -> Result<(), Failure> {
        let accounts = self.accounts.max(1);
        let mut server = Columba::new(program, Place::new(None, "columba")?, accounts)?;
        server.start()?;
        let empty = rest(server.root()?).await?;
        let door = Door::new(&server, self.layers)?;
        for number in 0..accounts {
            let mut first = door.enter(number, &account(number)).await?;
            fill(&mut first, "INBOX", self.messages).await?;
        }
        let seat = |number| Seat { account: account(number % accounts), mailbox: "INBOX" };
        let there = gather(&door, (0..self.connections).map(seat).collect(), self.fetch).await?;
        let full = rest(server.root()?).await?;
        let each = full.saturating_sub(empty) / self.connections.max(1) as u64;
        if as_json {
            let document = json!({
                "layers": self.layers.name(), "connections": there.len(), "accounts": accounts, "messages": self.messages,
                "fetched": self.fetch,
                "empty_bytes": empty, "full_bytes": full, "bytes_per_connection": each,
            });
            println!("{document}");
        } else {
            println!(
                "{} connections of {accounts} accounts, {}: {each} bytes each ({} KiB above the empty server's {} KiB)",
                there.len(),
                self.layers.name(),
                full.saturating_sub(empty) / 1024,
                empty / 1024,
            );
        }
        drop(there);
        server.stop()
    }
}
