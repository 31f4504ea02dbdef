//! The model test of `columba_sim::model`, a minute of it: `MODEL_SEEDS` (300) runs of `MODEL_STEPS` (400) steps from the
//! seed `MODEL_FROM` (1). It says how much it did, also where it passes.

use std::time::Instant;

use columba_sim::model::{Plan, run};

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        println!("model: test");
        return;
    }
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let plan = Plan {
        from: number("MODEL_FROM", 1),
        seeds: number("MODEL_SEEDS", 300),
        steps: usize::try_from(number("MODEL_STEPS", 400)).unwrap_or(400),
        threads: std::thread::available_parallelism().map_or(2, |cores| cores.get().min(4)),
    };
    println!("\nrunning 1 test");
    let begun = Instant::now();
    let (word, passed) = match run(plan, &|_, _| {}) {
        Ok(counts) => {
            let (seeds, steps, resyncs) = (plan.seeds, plan.steps, counts.resyncs);
            println!(
                "model: {seeds} seeds × {steps} steps, {} commands, {resyncs} states brought up to date",
                counts.commands
            );
            println!("test model ... ok ({} s)", begun.elapsed().as_secs());
            ("ok", 1)
        }
        Err(failed) => {
            println!("test model ... FAILED\n\nseed {}: {}", failed.seed, failed.why);
            println!("{} of {} steps are enough:\n\n{}", failed.steps.1, failed.steps.0, failed.script);
            ("FAILED", 0)
        }
    };
    println!("\ntest result: {word}. {passed} passed; {} failed; 0 ignored; 0 measured; 0 filtered out\n", 1 - passed);
    if passed == 0 {
        std::process::exit(101);
    }
}
