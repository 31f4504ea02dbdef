//! `bench compare`: servers one after the other, several times, and what that says about them. What is measured is the
//! scenarios' matter; here is the order, the bookkeeping, and what is written.

mod goals;
mod ratio;
mod table;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

pub(crate) use goals::Verdict;
pub(crate) use ratio::{Line, Measured, OURS, Spread, left_out, lines};
pub(crate) use table::{amount, table};

use crate::Failure;
use crate::machine::{Machine, now};
use crate::peer::{Peer, open};
use crate::record::{Row, Skipped};
use crate::report;
use crate::run::Choice;

/// The scenario that measures the generator itself: once is enough, whoever the servers are.
const CEILING: &str = "ceiling";

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  bench compare --peer dovecot --quick                        all scenarios, small: does everything work
  bench compare --peer dovecot --peer cyrus --rounds 5        the table that counts, in some minutes
  bench compare --peer cyrus --scenario 'fetch-*' --out fetch writes fetch.json and fetch.html")]
pub(crate) struct Compare {
    /// A server to compare with, several times for several; `bench peers` lists them
    #[arg(long = "peer", value_name = "NAME", required = true)]
    peers: Vec<String>,
    /// How often all of them take their turn: the noise is what differs between rounds
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Where the numbers go, as FILE.json and FILE.html
    #[arg(long, default_value = "bench-compare", value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  bench report bench-compare.json      prints the table, and writes bench-compare.html")]
pub(crate) struct Report {
    /// What `bench compare` wrote
    #[arg(value_name = "FILE.json")]
    file: PathBuf,
}

/// Everything a comparison measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Comparison {
    /// When it began.
    pub(crate) when: String,
    /// What it was asked to do: the command line without the program.
    pub(crate) command: String,
    pub(crate) rounds: u32,
    pub(crate) machine: Machine,
    /// Name and version of each server, Columba first.
    pub(crate) peers: Vec<(String, String)>,
    /// What the generator does against a stub.
    pub(crate) ceiling: Vec<Row>,
    pub(crate) rows: Vec<Measured>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Comparison {
    pub(crate) fn lines(&self) -> Vec<Line> {
        let peers: Vec<String> = self.peers.iter().map(|(name, _)| name.clone()).collect();
        lines(&self.rows, &peers)
    }

    /// Writes `out`.json and `out`.html, each whole or not at all.
    fn write(&self, out: &Path) -> Result<(), Failure> {
        for (ending, text) in [("json", serde_json::to_string_pretty(self)?), ("html", report::page(self))] {
            let unfinished = with_ending(out, "unfinished");
            std::fs::write(&unfinished, text).map_err(|error| format!("{}: {error}", unfinished.display()))?;
            std::fs::rename(unfinished, with_ending(out, ending))?;
        }
        Ok(())
    }
}

/// `name.ending`, also where the name has a dot of its own.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

impl Compare {
    pub(crate) async fn measure(&self, program: &Path, as_json: bool) -> Result<(), Failure> {
        let (sizes, mail) = (self.choice.sizes()?, self.choice.mail());
        let mut peers: Vec<Box<dyn Peer>> = Vec::new();
        for name in std::iter::once(OURS).chain(self.peers.iter().map(String::as_str)) {
            let peer = open(name, program, self.choice.keep.as_deref(), sizes.accounts())?;
            if peers.iter().all(|other| other.name() != peer.name()) {
                peers.push(peer);
            }
        }
        let directory = self.choice.keep.clone().unwrap_or_else(std::env::temp_dir);
        let mut comparison = Comparison {
            when: now(),
            command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
            machine: Machine::look(&directory)?,
            peers: peers.iter().map(|peer| (peer.name().to_owned(), peer.version().to_owned())).collect(),
            ..Comparison::default()
        };
        let (ceiling, scenarios): (Vec<_>, Vec<_>) =
            self.choice.scenarios()?.into_iter().partition(|scenario| scenario.name == CEILING);
        for (scenario, peer) in ceiling.into_iter().zip(&mut peers) {
            comparison.ceiling = self.choice.measure(&mut **peer, &sizes, &mail, scenario).await?.rows;
            peer.stop()?;
        }
        for round in 1..=self.rounds {
            for scenario in &scenarios {
                for peer in &mut peers {
                    eprintln!("bench: round {round} of {}, {}, {}", self.rounds, scenario.name, peer.name());
                    // Each turn begins with a server that was just started, so that its memory is that of the scenario.
                    let record = self.choice.measure(&mut **peer, &sizes, &mail, scenario).await?;
                    peer.stop()?;
                    comparison.rows.extend(record.rows.into_iter().map(|row| Measured { round, row }));
                    comparison.skipped.extend(record.skipped);
                }
            }
            comparison.rounds = round;
            // What is measured stays, whatever comes after.
            comparison.write(&self.out)?;
        }
        comparison.write(&self.out)?;
        comparison.show(&self.out, as_json)
    }
}

impl Report {
    pub(crate) fn show(&self, as_json: bool) -> Result<(), Failure> {
        let text = std::fs::read_to_string(&self.file).map_err(|error| format!("{}: {error}", self.file.display()))?;
        let comparison: Comparison = serde_json::from_str(&text)
            .map_err(|error| format!("{}: not what `bench compare` writes: {error}", self.file.display()))?;
        let out = self.file.with_extension("");
        let html = with_ending(&out, "html");
        std::fs::write(&html, report::page(&comparison)).map_err(|error| format!("{}: {error}", html.display()))?;
        comparison.show(&out, as_json)
    }
}

impl Comparison {
    /// Prints the table, or all lines as JSON.
    fn show(&self, out: &Path, as_json: bool) -> Result<(), Failure> {
        if as_json {
            println!("{}", serde_json::to_string_pretty(&self.lines())?);
        } else {
            print!("{}", table(self));
        }
        eprintln!("bench: {0}.json has every row, {0}.html the picture", out.display());
        Ok(())
    }
}
