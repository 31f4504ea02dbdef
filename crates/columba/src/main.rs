//! The binary: arguments, configuration, subcommands. The only crate that names engines.
//!
//! Invariants:
//! - A command that did not do its work ends with status 1 and says on standard error what happened and what to do.
//! - Standard output holds results alone: text for people, or with `--json` one JSON document.
//! - No password is ever an argument, in the environment, or in a log.
//! - A store is changed by one process at a time: by the server, or by a command where no server runs.

mod admin;
mod certificate;
mod cli;
mod commands;
mod config;
mod failure;
mod formats;
mod guide;
mod handed;
mod output;
mod password_entry;
mod place;
mod privileges;
mod progress;
mod runtime;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use cli::{Cli, Command};
use failure::Failure;

/// glibc's keeps what password hashing and large answers took: 20 MB for each thread that ever hashed. This one gives it
/// back to the system. It also takes the place of malloc (its feature `override`), for the sake of SQLite: glibc kept 5 MB for
/// each thread that had written, long after SQLite had freed them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A wrong command line ends here with status 2.
    let cli = Cli::parse();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody may be there to read it, and the status says it too.
            let _ = writeln!(std::io::stderr(), "columba: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> Result<(), Failure> {
    start_logging(&cli)?;
    commands::run(cli)
}

fn start_logging(cli: &Cli) -> Result<(), Failure> {
    let usual = if matches!(cli.command, Command::Serve) { "info" } else { "warn" };
    let filter = cli.log.as_deref().filter(|filter| !filter.is_empty()).unwrap_or(usual);
    let filter: Targets = filter.parse().map_err(|error| {
        Failure::new(format!("--log {filter}: {error}")).hint("write error, warn, info, debug or trace")
    })?;
    let ansi = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi);
    tracing_subscriber::registry().with(lines).with(filter).init();
    Ok(())
}
