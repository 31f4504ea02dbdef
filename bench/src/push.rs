//! `bench push`: how long after the OK of an APPEND every idle connection on the same mailbox has its EXISTS.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::arrivals::{self, Device};
use crate::client::{Client, Door};
use crate::crowd::{Seat, append, gather, message};
use crate::peer::{Columba, Peer, account};
use crate::place::Place;
use crate::{Failure, Layers};

/// How long a device may wait for what it has to be told before the measurement counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  bench push --idle 1000 --others 9000")]
pub(crate) struct Push {
    /// Idle connections of the account that gets the messages
    #[arg(long, default_value_t = 1_000)]
    idle: usize,
    /// How many of them have the mailbox selected that gets the messages; the rest have another. All, if not said
    #[arg(long)]
    watching: Option<usize>,
    /// Idle connections of other accounts
    #[arg(long, default_value_t = 9_000)]
    others: usize,
    /// Accounts of the others
    #[arg(long, default_value_t = 200)]
    accounts: usize,
    /// Messages that are appended, one after the other
    #[arg(long, default_value_t = 200)]
    appends: usize,
    /// Milliseconds between two of them
    #[arg(long, default_value_t = 50)]
    pause: u64,
    /// Let the devices sleep while the server works, and ask the kernel when each was written to: the server alone is
    /// measured. Plain connections only
    #[arg(long)]
    asleep: bool,
    #[command(flatten)]
    layers: Layers,
}

/// Somebody was told that there are so many messages.
struct Told {
    exists: usize,
    at: Instant,
}

struct Measured {
    /// Microseconds from OK to EXISTS, 0 where EXISTS came first.
    each: Histogram<u64>,
    /// The same for the last of each message's.
    last: Histogram<u64>,
    /// Microseconds from the first octet of APPEND to its OK.
    append: Histogram<u64>,
}

impl Push {
    pub(crate) async fn measure(&self, program: &Path, as_json: bool) -> Result<(), Failure> {
        let mut server = Columba::new(program, Place::new(None, "columba")?, self.accounts.max(1) + 1)?;
        server.start()?;
        let door = Door::new(&server, self.layers)?;
        let mut author = door.enter(0, &account(0)).await?;
        let watching = self.watching.unwrap_or(self.idle).min(self.idle);
        let seats = |count: usize, mailbox| std::iter::repeat_n(Seat { account: account(0), mailbox }, count);
        author.command("CREATE elsewhere").await?;
        let others = (0..self.others)
            .map(|number| Seat { account: account(1 + number % self.accounts.max(1)), mailbox: "INBOX" });
        let crowd = gather(&door, seats(self.idle - watching, "elsewhere").chain(others).collect(), false).await?;
        if self.asleep {
            let devices = gather(&door, seats(watching, "INBOX").collect(), false).await?;
            let devices = devices.into_iter().map(Client::into_device).collect::<Result<Vec<_>, _>>()?;
            let (author, root, push) = (author.into_device()?, server.root()?, self.clone());
            let asleep = tokio::task::spawn_blocking(move || push.appends_asleep(author, devices, root)).await??;
            asleep.report(self, watching, as_json);
            drop(crowd);
            return server.stop();
        }
        let (tell, mut told) = mpsc::unbounded_channel();
        for device in gather(&door, seats(watching, "INBOX").collect(), false).await? {
            tokio::spawn(listen(device, tell.clone()));
        }
        let measured = self.appends(&mut author, watching, &mut told).await?;
        self.report(&measured, watching, as_json);
        drop(crowd);
        server.stop()
    }

    async fn appends(
        &self,
        author: &mut Client,
        watching: usize,
        told: &mut mpsc::UnboundedReceiver<Told>,
    ) -> Result<Measured, Failure> {
        let fresh = || Histogram::new(3);
        let mut measured = Measured { each: fresh()?, last: fresh()?, append: fresh()? };
        for number in 1..=self.appends {
            sleep(Duration::from_millis(self.pause)).await;
            let begun = Instant::now();
            append(author, "INBOX", number).await?;
            let ok = Instant::now();
            measured.append.record(micros(ok.duration_since(begun)))?;
            let mut last = 0;
            for _ in 0..watching {
                let told = timeout(PATIENCE, told.recv()).await?.ok_or("a device has gone")?;
                if told.exists != number {
                    return Err(format!("a device was told of {} messages, not of {number}", told.exists).into());
                }
                let after = micros(told.at.saturating_duration_since(ok));
                measured.each.record(after)?;
                last = last.max(after);
            }
            measured.last.record(last)?;
        }
        Ok(measured)
    }

    fn report(&self, measured: &Measured, watching: usize, as_json: bool) {
        if as_json {
            let document = json!({
                "layers": self.layers.name(), "idle": self.idle, "watching": watching, "others": self.others,
                "appends": self.appends, "ok_to_exists_micros": numbers(&measured.each),
                "ok_to_last_exists_micros": numbers(&measured.last), "append_micros": numbers(&measured.append),
            });
            return println!("{document}");
        }
        println!(
            "{} appends, {watching} connections watching of {} idle on the account, {} others, {}:",
            self.appends,
            self.idle,
            self.others,
            self.layers.name()
        );
        line("OK to EXISTS", &measured.each);
        line("OK to the last EXISTS", &measured.last);
        line("APPEND to OK", &measured.append);
    }
}

/// What was measured while the devices slept.
struct Asleep {
    /// Microseconds from the first octet that tells of the message, to its author or to a device, to each EXISTS.
    each: Histogram<u64>,
    /// The same for the last of each message's.
    last: Histogram<u64>,
    /// Microseconds from the OK to each EXISTS, 0 where EXISTS came first.
    ok: Histogram<u64>,
    /// Nanoseconds of the server's processor time for one message: the APPEND, and all the EXISTS.
    cpu_nanos: u64,
}

impl Push {
    fn appends_asleep(&self, mut author: Device, mut devices: Vec<Device>, root: u32) -> Result<Asleep, Failure> {
        let fresh = || Histogram::new(3);
        let mut asleep = Asleep { each: fresh()?, last: fresh()?, ok: fresh()?, cpu_nanos: 0 };
        let begun = processor_nanos(root)?;
        for number in 1..=self.appends {
            std::thread::sleep(Duration::from_millis(self.pause));
            let message = message(number);
            author.send(format!("x APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()).as_bytes())?;
            arrivals::sleep();
            let ok = author.arrival(|line| line.starts_with(b"x OK"))?;
            let exists = format!("* {number} EXISTS");
            let told = devices.iter_mut().map(|device| device.arrival(|line| line == exists.as_bytes()));
            let told = told.collect::<Result<Vec<_>, _>>()?;
            let first = told.iter().copied().fold(ok, Ord::min);
            for at in &told {
                asleep.each.record(at.micros_since(first))?;
                asleep.ok.record(at.micros_since(ok))?;
            }
            asleep.last.record(told.iter().copied().fold(first, Ord::max).micros_since(first))?;
        }
        asleep.cpu_nanos = processor_nanos(root)?.saturating_sub(begun) / self.appends.max(1) as u64;
        Ok(asleep)
    }
}

impl Asleep {
    fn report(&self, push: &Push, watching: usize, as_json: bool) {
        let per_device = self.cpu_nanos / watching.max(1) as u64;
        if as_json {
            let document = json!({
                "layers": push.layers.name(), "idle": push.idle, "watching": watching, "others": push.others,
                "appends": push.appends, "first_to_exists_micros": numbers(&self.each),
                "first_to_last_exists_micros": numbers(&self.last), "ok_to_exists_micros": numbers(&self.ok),
                "server_cpu_nanos_per_append": self.cpu_nanos, "server_cpu_nanos_per_device": per_device,
            });
            return println!("{document}");
        }
        println!(
            "{} appends, {watching} connections watching of {} idle on the account, {} others, asleep:",
            push.appends, push.idle, push.others
        );
        line("first word to EXISTS", &self.each);
        line("first word to the last EXISTS", &self.last);
        line("OK to EXISTS", &self.ok);
        println!(
            "  processor time of the server: {} µs for each append, {per_device} ns for each device",
            self.cpu_nanos / 1000
        );
    }
}

/// Processor time of all threads of a process so far.
fn processor_nanos(pid: u32) -> Result<u64, Failure> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let times = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        sum += times.split_ascii_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

fn numbers(h: &Histogram<u64>) -> serde_json::Value {
    json!({ "p50": h.value_at_quantile(0.5), "p99": h.value_at_quantile(0.99), "max": h.max() })
}

fn line(what: &str, h: &Histogram<u64>) {
    let [p50, p99, max] = [h.value_at_quantile(0.5), h.value_at_quantile(0.99), h.max()];
    println!("  {what}: p50 {p50} µs, p99 {p99} µs, max {max} µs");
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Tells of each EXISTS, until the connection ends.
async fn listen(mut device: Client, tell: mpsc::UnboundedSender<Told>) {
    while let Ok(line) = device.line().await {
        let at = Instant::now();
        let exists = line.strip_prefix(b"* ").and_then(|rest| rest.strip_suffix(b" EXISTS"));
        let exists = exists.and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
        if let Some(exists) = exists
            && tell.send(Told { exists, at }).is_err()
        {
            return;
        }
    }
}
