//! Measures a server, Columba or another, from outside, by what a device on loopback sees and what the kernel says of the process.
//! It starts the server it measures, in a data directory of its own, and knows nothing of what is inside.

mod arrivals;
mod client;
mod compare;
mod crowd;
mod idle;
mod machine;
mod mail;
mod peer;
mod peers;
mod place;
mod push;
mod record;
mod report;
mod run;
mod scenario;
mod setup;
mod sizes;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What any measurement may end with, in words.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser, Debug)]
#[command(name = "bench", about = "Measures a Columba server", arg_required_else_help = true)]
struct Cli {
    /// The server: a release build, for numbers that mean something
    #[arg(long, global = true, value_name = "FILE", default_value = "target/release/columba")]
    server: PathBuf,

    /// Print one JSON document instead of text for people
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Install the servers that Columba is compared with, from Debian's packages (root or sudo)
    Setup(setup::Setup),
    /// The servers that can be measured, and whether each works here
    Peers(peers::Peers),
    /// Measure one server in scenarios
    Run(Box<run::Run>),
    /// Measure servers in turn, several times: a table of ratios, all numbers as JSON, and a page with pictures
    Compare(Box<compare::Compare>),
    /// Make the table and the page again from what `compare` wrote
    Report(compare::Report),
    /// List the scenarios
    Scenarios,
    /// Memory of the server for each connection that is logged in, has a mailbox selected and idles
    Idle(idle::Idle),
    /// Time from the OK of an APPEND to the EXISTS on every other connection
    Push(push::Push),
}

/// How connections are made.
#[derive(Args, Clone, Copy, Debug, Default)]
#[group(multiple = false)]
struct Layers {
    /// Without TLS (the default)
    #[arg(long)]
    plain: bool,
    /// With TLS
    #[arg(long)]
    tls: bool,
    /// Without TLS, with COMPRESS=DEFLATE
    #[arg(long)]
    compress: bool,
    /// With TLS and COMPRESS=DEFLATE
    #[arg(long)]
    tls_compress: bool,
}

impl Layers {
    fn has_tls(self) -> bool {
        self.tls || self.tls_compress
    }

    fn has_compression(self) -> bool {
        self.compress || self.tls_compress
    }

    fn name(self) -> &'static str {
        match (self.has_tls(), self.has_compression()) {
            (false, false) => "plain",
            (true, false) => "tls",
            (false, true) => "compress",
            (true, true) => "tls and compress",
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The server inherits it.
    let limit = getrlimit(Resource::Nofile);
    _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    // One thread is enough for every load, and leaves the rest of the machine to the server; ten thousand devices need more.
    let runtime = match &cli.command {
        Command::Run(_) | Command::Compare(_) => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        _ => tokio::runtime::Runtime::new(),
    };
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    let measured = runtime.block_on(async {
        match &cli.command {
            Command::Setup(setup) => setup.install(),
            Command::Peers(peers) => peers.show(&cli.server),
            Command::Run(run) => run.measure(&cli.server, cli.json).await,
            Command::Compare(compare) => compare.measure(&cli.server, cli.json).await,
            Command::Report(report) => report.show(cli.json),
            Command::Scenarios => {
                run::list(cli.json);
                Ok(())
            }
            Command::Idle(idle) => idle.measure(&cli.server, cli.json).await,
            Command::Push(push) => push.measure(&cli.server, cli.json).await,
        }
    });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
