//! Many runs, on all cores; and of the first that fails, the shortest that still does.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::actions::{self, Step};
use super::game::{self, Broken, Counts};
use super::house::{self, House};

/// Tries to make a failing run shorter.
const SHRINKING_TRIES: usize = 600;
/// How long that may take.
const SHRINKING_TIME: Duration = Duration::from_secs(120);

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first seed.
    pub from: u64,
    /// How many seeds.
    pub seeds: u64,
    /// Steps of each.
    pub steps: usize,
    /// Runs at once.
    pub threads: usize,
}

/// A run that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Of the run.
    pub seed: u64,
    /// What is wrong.
    pub why: String,
    /// Steps of the run, and of the shortest that still fails.
    pub steps: (usize, usize),
    /// The shortest one, as a script.
    pub script: String,
}

/// Runs all; `tell` is told of every run that ended well, on the thread it ran on.
///
/// # Errors
/// The first run that failed, made short.
pub fn run(plan: Plan, tell: &(dyn Fn(u64, Counts) + Sync)) -> Result<Counts, Box<Failed>> {
    let features = house::announced().map_err(|why| failed(plan.from, why))?;
    let (next, stop) = (AtomicU64::new(plan.from), AtomicBool::new(false));
    let sum = Mutex::new(Ok(Counts::default()));
    std::thread::scope(|scope| {
        for _ in 0..plan.threads.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= plan.from.saturating_add(plan.seeds) {
                        return;
                    }
                    let outcome = one(seed, plan.steps, &features);
                    let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    match (outcome, &mut *sum) {
                        (Ok(counts), Ok(sum)) => {
                            sum.add(counts);
                            tell(seed, counts);
                        }
                        (Err(failed), Ok(_)) => {
                            *sum = Err(failed);
                            stop.store(true, Ordering::Relaxed);
                        }
                        (_, Err(_)) => {}
                    }
                }
            });
        }
    });
    sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn failed(seed: u64, why: String) -> Box<Failed> {
    Box::new(Failed { seed, why, steps: (0, 0), script: String::new() })
}

fn one(seed: u64, count: usize, features: &[String]) -> Result<Counts, Box<Failed>> {
    let house = House::draw(seed, features);
    let steps = actions::steps(seed, house.seats.len(), count);
    let title = format!("Seed {seed} of the model test, {count} steps, made short");
    match guarded(&house, &steps, &title) {
        Ok(counts) => Ok(counts),
        Err(broken) => {
            let (short, broken) = shrink(&house, &steps, broken, &title);
            Err(Box::new(Failed { seed, why: broken.why, steps: (count, short), script: broken.script }))
        }
    }
}

/// A panic of the server fails the run, too.
fn guarded(house: &House, steps: &[Step], title: &str) -> Result<Counts, Broken> {
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| game::play(house, steps, title)));
    played.unwrap_or_else(|_| {
        Err(Broken { steps: steps.len(), why: "the server panicked".into(), script: format!("# {title}: a panic\n") })
    })
}

/// Leaves out steps, many at once and then few, as long as what is left fails.
fn shrink(house: &House, steps: &[Step], broken: Broken, title: &str) -> (usize, Broken) {
    let begun = Instant::now();
    let mut best: Vec<Step> = steps[..broken.steps.min(steps.len())].to_vec();
    let (mut broken, mut tries) = (broken, 0);
    let mut attempt = |candidate: &[Step]| {
        tries += 1;
        let may = tries <= SHRINKING_TRIES && begun.elapsed() < SHRINKING_TIME;
        if may { Some(guarded(house, candidate, title).err()) } else { None }
    };
    for client in 0..house.seats.len() {
        let without: Vec<Step> = best.iter().filter(|step| step.client != client).copied().collect();
        if let Some(Some(still)) = attempt(&without) {
            best = without[..still.steps.min(without.len())].to_vec();
            broken = still;
        }
    }
    let mut chunk = best.len().div_ceil(2).max(1);
    loop {
        let (mut from, mut shorter) = (0, false);
        while from < best.len() {
            let mut without = best.clone();
            without.drain(from..(from + chunk).min(best.len()));
            match attempt(&without) {
                None => return (best.len(), broken),
                Some(Some(still)) => {
                    without.truncate(still.steps);
                    (best, broken, shorter) = (without, still, true);
                }
                Some(None) => from += chunk,
            }
        }
        match (chunk, shorter) {
            (1, false) => return (best.len(), broken),
            (1, true) => {}
            _ => chunk = chunk.div_ceil(2),
        }
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.commands += other.commands;
        self.resyncs += other.resyncs;
    }
}
