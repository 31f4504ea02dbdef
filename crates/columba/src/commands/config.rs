//! `columba config …`

use std::path::PathBuf;

use serde_json::json;

use crate::cli::{Config as Command, Place};
use crate::config;
use crate::failure::Failure;
use crate::output::{Output, print};
use crate::place::{configuration, configuration_file, file_text, read_file};

pub(super) fn run(place: &Place, command: Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Check { file } => check(place, file, output),
        Command::Show => {
            let config = configuration(place)?;
            output.print(&config, &config.to_toml());
            Ok(())
        }
        Command::Default => {
            output.print(&json!({ "file": config::DEFAULT_FILE }), config::DEFAULT_FILE);
            Ok(())
        }
    }
}

fn check(place: &Place, file: Option<PathBuf>, output: Output) -> Result<(), Failure> {
    let Some(path) = file.or_else(|| configuration_file(place)) else {
        return Err(Failure::new("no configuration file was named").hint("name one: columba config check FILE"));
    };
    if output == Output::Text {
        read_file(&path)?;
        print(&format!("{}: no mistakes", path.display()));
        return Ok(());
    }
    let (text, base) = file_text(&path)?;
    let mistakes = config::read(&text, &base).err().unwrap_or_default();
    print(&json!({ "file": path, "ok": mistakes.is_empty(), "mistakes": mistakes }).to_string());
    match mistakes.len() {
        0 => Ok(()),
        count => Err(Failure::new(format!("{} in {}", crate::place::plural(count, "mistake"), path.display()))),
    }
}
