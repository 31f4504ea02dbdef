//! The commands, one file per noun. Each takes its options, asks on the road of `admin`, and prints what came of it.

mod account;
mod config;
mod export;
mod import;
mod mailbox;
mod quickstart;
mod serve;
mod verify;

use serde_json::json;

pub(crate) use quickstart::QuickAccount;
pub(crate) use serve::server_listener;

use crate::admin::{Connection, Missing, connect};
use crate::cli::{Cli, Command, Place};
use crate::failure::Failure;
use crate::output::Output;
use crate::place::configuration;
use crate::runtime::in_runtime;

/// Runs a command to its end, and gives the exit status.
///
/// # Errors
/// Why it did not do its work, or not all of it.
pub(crate) fn run(cli: Cli) -> Result<u8, Failure> {
    let output = if cli.json { Output::Json } else { Output::Text };
    let place = cli.place;
    let done = match cli.command {
        Command::Check(options) => return in_runtime(crate::check::run(&place, *options, output)),
        // A server gives up its privileges before the first thread of its runtime is there.
        Command::Quickstart(options) => quickstart::run(&place, options, output),
        Command::Serve => serve::run(&place, output),
        Command::Account(command) => in_runtime(account::run(&place, command, output)),
        Command::Mailbox(command) => in_runtime(mailbox::run(&place, command, output)),
        Command::Import(command) => in_runtime(import::run(&place, command, output)),
        Command::Export(command) => in_runtime(export::run(&place, command, output)),
        Command::Config(command) => config::run(&place, command, output),
        Command::Verify => in_runtime(verify::run(&place, output)),
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            output.print(&json!({ "name": "columba", "version": version }), &format!("columba {version}"));
            Ok(())
        }
    };
    done.map(|()| 0)
}

/// Speaks with whoever has the data directory meant by `place`.
async fn reach(place: &Place, missing: Missing) -> Result<Connection, Failure> {
    connect(&configuration(place)?, missing).await
}

/// An answer that does not belong to the question.
fn unexpected() -> Failure {
    Failure::new("the server gave an answer that does not belong to the question").hint("this is a bug of Columba")
}
