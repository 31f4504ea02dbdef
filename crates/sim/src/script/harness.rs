//! Finds the scripts, plays each in every mode on every ground it is given, and reports the way libtest does, so that
//! `cargo test` shows one line per script. With COLUMBA_BLESS=FILE:LINE[,LINE…] it rewrites just those lines by what
//! the server said.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ground::Ground;
use super::parse;
use super::play::{self, Failure, Outcome};

/// One way to play all scripts.
pub struct Variant {
    /// Shown where a script fails.
    pub name: &'static str,
    /// Makes a fresh ground.
    pub ground: Box<dyn Fn() -> Result<Box<dyn Ground>, String> + Sync>,
}

impl std::fmt::Debug for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What the command line asks for; the options of libtest that change nothing here are taken and ignored.
struct Arguments {
    filters: Vec<String>,
    exact: bool,
    list: bool,
    threads: usize,
}

impl Arguments {
    fn read(threads: usize) -> Self {
        let mut arguments = Self { filters: Vec::new(), exact: false, list: false, threads };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--exact" => arguments.exact = true,
                "--list" => arguments.list = true,
                "--test-threads" => {
                    arguments.threads = words.next().and_then(|n| n.parse().ok()).unwrap_or(arguments.threads);
                }
                "--format" | "--color" | "--logfile" | "--skip" | "-Z" => {
                    words.next();
                }
                option if option.starts_with('-') => {}
                filter => arguments.filters.push(filter.to_owned()),
            }
        }
        arguments
    }

    fn wants(&self, name: &str) -> bool {
        let fits = |filter: &String| if self.exact { name == filter } else { name.contains(filter.as_str()) };
        self.filters.is_empty() || self.filters.iter().any(fits)
    }
}

/// Plays all scripts below `root` in every variant, on so many threads unless the command line says otherwise.
/// Returns the status the process should end with.
pub fn main(root: &Path, messages: &Path, variants: &[Variant], threads: usize) -> i32 {
    let arguments = Arguments::read(threads);
    let mut paths = Vec::new();
    find_scripts(root, &mut paths);
    paths.sort();
    let scripts: Vec<(String, PathBuf)> = paths
        .into_iter()
        .map(|path| (path.strip_prefix(root).unwrap_or(&path).with_extension("").display().to_string(), path))
        .filter(|(name, _)| arguments.wants(name))
        .collect();
    if arguments.list {
        scripts.iter().for_each(|(name, _)| println!("{name}: test"));
        return 0;
    }
    println!("\nrunning {} tests", scripts.len());
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let elsewhere = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                while let Some((name, path)) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = play_file(path, messages, variants);
                    match &result {
                        Ok(None) => println!("test {name} ... ok"),
                        Ok(Some(why)) => {
                            elsewhere.fetch_add(1, Ordering::Relaxed);
                            println!("test {name} ... not for this ground: {why}");
                        }
                        Err(_) => println!("test {name} ... FAILED"),
                    }
                    if let (Err(report), Ok(mut failures)) = (result, failures.lock()) {
                        failures.push((name.clone(), report));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    if !failures.is_empty() {
        println!("\nfailures:");
        failures.iter().for_each(|(name, report)| println!("\n---- {name} ----\n{report}"));
    }
    let (failed, elsewhere) = (failures.len(), elsewhere.into_inner());
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let passed = scripts.len() - failed - elsewhere;
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {elsewhere} filtered out\n"
    );
    if failed == 0 { 0 } else { 101 }
}

fn find_scripts(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| entry.ok().map(|e| e.path())) {
        if path.is_dir() {
            find_scripts(&path, found);
        } else if path.extension().is_some_and(|e| e == "script") {
            found.push(path);
        }
    }
}

/// `Ok(Some(why))` when no variant could play it.
fn play_file(path: &Path, messages: &Path, variants: &[Variant]) -> Result<Option<&'static str>, String> {
    let source = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let file = |name: &str| std::fs::read(messages.join(name)).ok();
    let script = parse::parse(&source, &file).map_err(|(line, e)| format!("{}:{line}: {e}", path.display()))?;
    let mut report = String::new();
    let mut passed_over = Some("nothing can play it");
    let mut any = false;
    for variant in variants {
        for mode in &script.modes {
            let outcome = (variant.ground)()
                .map(|mut ground| play::play(&script, *mode, &mut *ground))
                .map_err(|e| format!("{}: {e}", variant.name))?;
            match outcome {
                Outcome::Passed => any = true,
                Outcome::PassedOver(why) => passed_over = Some(why),
                Outcome::Failed(failure) => {
                    bless(path, &failure);
                    let place = format!("{}:{}", path.display(), failure.line);
                    let Failure { message, transcript, .. } = *failure;
                    let _ = writeln!(report, "{place}: ({}, {}) {message}", variant.name, mode.name());
                    let _ = writeln!(report, "  conversation:\n{}", last_lines(&transcript, 16));
                }
            }
        }
    }
    if !report.is_empty() {
        return Err(report);
    }
    Ok(if any { None } else { passed_over })
}

/// Rewrites the expectation that failed, if just that line was asked for.
fn bless(path: &Path, failure: &Failure) {
    let (Ok(asked), Some(got)) = (std::env::var("COLUMBA_BLESS"), &failure.got) else { return };
    let Some((file, lines)) = asked.rsplit_once(':') else { return };
    if !path.ends_with(file) || !lines.split(',').any(|line| line.parse() == Ok(failure.line)) {
        return;
    }
    let Ok(source) = std::fs::read_to_string(path) else { return };
    let mut lines: Vec<String> = source.lines().map(str::to_owned).collect();
    if let Some(line) = lines.get_mut(failure.line - 1)
        && let Some(at) = line.find("S: ")
    {
        line.truncate(at + 3);
        line.push_str(got);
        match std::fs::write(path, lines.join("\n") + "\n") {
            Ok(()) => println!("blessed {}:{}", path.display(), failure.line),
            Err(e) => println!("cannot bless {}: {e}", path.display()),
        }
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
