//! The model test by hand, for as long as one likes:
//! `cargo run -p columba-sim --example model -- [--seeds N] [--steps N] [--from SEED] [--threads N] [--out FILE]`.
//! The first seed that fails is made short and written to FILE (model.script), to be played with the other scripts.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use columba_sim::model::{Plan, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| arguments.iter().position(|word| word == name).and_then(|at| arguments.get(at + 1));
    let number = |name: &str, default: u64| option(name).and_then(|word| word.parse().ok()).unwrap_or(default);
    let plan = Plan {
        from: number("--from", 1),
        seeds: number("--seeds", 1_000),
        steps: usize::try_from(number("--steps", 400)).unwrap_or(400),
        threads: usize::try_from(number("--threads", 2)).unwrap_or(2),
    };
    let (begun, done) = (Instant::now(), AtomicU64::new(0));
    let outcome = run(plan, &|_, _| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(100) {
            println!("{done} of {} seeds, {} s", plan.seeds, begun.elapsed().as_secs());
        }
    });
    match outcome {
        Ok(counts) => {
            println!(
                "{} seeds × {} steps: {} commands, {} states brought up to date, {} s",
                plan.seeds,
                plan.steps,
                counts.commands,
                counts.resyncs,
                begun.elapsed().as_secs()
            );
            ExitCode::SUCCESS
        }
        Err(failed) => {
            let file = option("--out").map_or("model.script", String::as_str);
            println!("seed {}: {}\n{} of {} steps are enough", failed.seed, failed.why, failed.steps.1, failed.steps.0);
            match std::fs::write(file, &failed.script) {
                Ok(()) => println!("written to {file}"),
                Err(error) => println!("{error}; here it is:\n{}", failed.script),
            }
            ExitCode::FAILURE
        }
    }
}
