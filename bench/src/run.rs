//! `bench run`: scenarios against one server, and their rows as a table or as JSON.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::mail::Mail;
use crate::peer::{Peer, open};
use crate::record::{Record, Row};
use crate::scenario::{Scenario, all};
use crate::sizes::Sizes;
use crate::stage::Stage;
use crate::{Failure, Layers};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  bench run --quick                                                  all scenarios, small: does everything work
  bench run --peer dovecot --scenario fetch-flags --scenario search
  bench run --scenario select-warm --full --keep /var/tmp/bench      the mailboxes stay for the next run
  bench run --scenario append --variant '4 KB, 64' --tls --json")]
pub(crate) struct Run {
    /// The server that is measured; `bench peers` lists them
    #[arg(long, default_value = "columba", value_name = "NAME")]
    peer: String,
    #[command(flatten)]
    pub(crate) choice: Choice,
}

/// What is measured, and how large.
#[derive(Args, Clone, Debug)]
pub(crate) struct Choice {
    /// Only this one, several times for several; `bench scenarios` lists them. A trailing `*` stands for any end
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Only variants with this in their name
    #[arg(long, value_name = "TEXT")]
    variant: Option<String>,
    /// Small mailboxes and short loads, some seconds in all: that everything works, not how fast
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// The sizes that targets are about: up to a million messages, hours
    #[arg(long)]
    full: bool,
    /// Messages of the mailbox that most scenarios read and change
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Seconds that a load goes on and a query is repeated
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Keep servers with their mailboxes below this directory, and use what is there: filling takes most of a run
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// What mail is made from
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    #[command(flatten)]
    layers: Layers,
}

impl Choice {
    pub(crate) fn sizes(&self) -> Result<Sizes, Failure> {
        let mut sizes = match (self.quick, self.full) {
            (true, _) => Sizes::quick(),
            (_, true) => Sizes::full(),
            _ => Sizes::usual(),
        };
        if let Some(messages) = self.messages {
            sizes.messages = messages.max(1);
        }
        if let Some(seconds) = self.seconds {
            sizes.time = std::time::Duration::try_from_secs_f64(seconds)?;
        }
        Ok(sizes)
    }

    /// The scenarios that were asked for, in the order of the list.
    pub(crate) fn scenarios(&self) -> Result<Vec<&'static Scenario>, Failure> {
        let fits =
            |wanted: &str, name: &str| wanted.strip_suffix('*').map_or(wanted == name, |start| name.starts_with(start));
        if let Some(unknown) = self.scenarios.iter().find(|wanted| !all().any(|scenario| fits(wanted, scenario.name))) {
            return Err(format!("there is no scenario {unknown}; `bench scenarios` lists them").into());
        }
        let chosen = |scenario: &&Scenario| {
            self.scenarios.is_empty() || self.scenarios.iter().any(|wanted| fits(wanted, scenario.name))
        };
        Ok(all().filter(chosen).collect())
    }

    /// Runs a scenario against a server that is prepared, and starts it before if it does not run. What fails is among what was
    /// left out, with its reason.
    pub(crate) async fn measure(
        &self,
        peer: &mut dyn Peer,
        sizes: &Sizes,
        mail: &Mail,
        scenario: &'static Scenario,
    ) -> Result<Record, Failure> {
        if peer.addresses().is_err() {
            peer.start()?;
        }
        let mut stage = Stage::new(peer, sizes, mail, self.layers, self.variant.as_deref());
        stage.begins(scenario.name);
        if let Err(error) = (scenario.run)(&mut stage).await {
            stage.fail(&error.to_string());
        }
        Ok(stage.record)
    }

    pub(crate) fn mail(&self) -> Mail {
        Mail::new(self.seed)
    }
}

impl Run {
    pub(crate) async fn measure(&self, program: &Path, as_json: bool) -> Result<(), Failure> {
        let (sizes, mail, scenarios) = (self.choice.sizes()?, self.choice.mail(), self.choice.scenarios()?);
        let mut peer = open(&self.peer, program, self.choice.keep.as_deref(), sizes.accounts())?;
        let mut record =
            Record { peer: peer.name().to_owned(), version: peer.version().to_owned(), ..Record::default() };
        for scenario in scenarios {
            let done = self.choice.measure(&mut *peer, &sizes, &mail, scenario).await?;
            record.rows.extend(done.rows);
            record.skipped.extend(done.skipped);
            record.failed += done.failed;
        }
        peer.stop()?;
        if as_json {
            println!("{}", serde_json::to_string_pretty(&record)?);
        } else {
            print!("{}", table(&record));
        }
        if record.failed > 0 { Err(format!("{} scenarios failed", record.failed).into()) } else { Ok(()) }
    }
}

/// `bench scenarios`: a line for each.
pub(crate) fn list(as_json: bool) {
    if as_json {
        let list: Vec<_> = all().map(|s| serde_json::json!({ "name": s.name, "about": s.about })).collect();
        return println!("{}", serde_json::Value::from(list));
    }
    for scenario in all() {
        println!("{:<26} {}", scenario.name, scenario.about);
    }
}

fn table(record: &Record) -> String {
    let head =
        ["scenario", "variant", "figure", "p50 ms", "p99 ms", "max ms", "CPU µs/op", "peak MB", "written MB", ""];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(record.rows.iter().map(cells));
    let widths: Vec<usize> =
        (0..head.len()).map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0)).collect();
    let mut text = format!("{} ({})\n", record.peer, record.version);
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate();
        let cells =
            cells.map(|(at, (cell, width))| if at < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    for skipped in &record.skipped {
        text.push_str(&format!("left out: {} ({}): {}\n", skipped.scenario, skipped.variant, skipped.reason));
    }
    text
}

fn cells(row: &Row) -> [String; 10] {
    let ms = |micros: Option<u64>| micros.map_or(String::new(), |micros| format!("{:.2}", micros as f64 / 1e3));
    let mega = |octets: u64| format!("{:.1}", octets as f64 / 1e6);
    let more: Vec<String> = row.more.iter().map(|(name, value)| format!("{name} {value:.2}")).collect();
    [
        row.scenario.clone(),
        row.variant.clone(),
        format!("{:.*} {}", if row.figure.value < 100.0 { 2 } else { 0 }, row.figure.value, row.figure.unit),
        ms(row.latency.map(|latency| latency.p50_micros)),
        ms(row.latency.map(|latency| latency.p99_micros)),
        ms(row.latency.map(|latency| latency.max_micros)),
        format!("{:.1}", row.cpu_micros_per_operation),
        mega(row.peak_pss),
        mega(row.written),
        more.join(", "),
    ]
}
