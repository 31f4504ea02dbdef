//! Which configuration and data directory a command means.

use std::path::{Path, PathBuf};

use crate::cli::Place;
use crate::config::{self, Config};
use crate::failure::Failure;

/// Where `quickstart` keeps its data, and where other commands look for it.
pub(crate) const QUICKSTART_DATA: &str = "columba-data";

/// The configuration that a command meant by `place` works with.
///
/// # Errors
/// Every mistake of a configuration file; or that there is nothing to work with.
pub(crate) fn configuration(place: &Place) -> Result<Config, Failure> {
    let mut config = match configuration_file(place) {
        Some(path) => read_file(&path)?,
        None => {
            let data = match &place.data {
                Some(data) => data.clone(),
                None if Path::new(QUICKSTART_DATA).join("format").exists() => QUICKSTART_DATA.into(),
                None => {
                    let hint = "give --data DIR or --config FILE, or start a server with `columba quickstart`";
                    let what = format!("there is neither ./{QUICKSTART_DATA} nor {}", config::DEFAULT_PATH);
                    return Err(Failure::new(what).hint(hint));
                }
            };
            Config::defaults(absolute(&data)?)
        }
    };
    if let Some(data) = &place.data {
        config.move_data(absolute(data)?);
    }
    Ok(config)
}

/// The file that counts: the one named, or the usual one if nothing else was named or lies here.
pub(crate) fn configuration_file(place: &Place) -> Option<PathBuf> {
    let here = || place.data.is_some() || Path::new(QUICKSTART_DATA).join("format").exists();
    let usual = || Path::new(config::DEFAULT_PATH).exists().then(|| config::DEFAULT_PATH.into());
    place.config.clone().or_else(|| if here() { None } else { usual() })
}

/// Reads a configuration file.
///
/// # Errors
/// That it cannot be read; or every mistake, drawn.
pub(crate) fn read_file(path: &Path) -> Result<Config, Failure> {
    let (text, base) = file_text(path)?;
    config::read(&text, &base).map_err(|mistakes| {
        let drawn: String = mistakes.iter().map(|m| m.render(&path.display().to_string(), &text)).collect();
        let count = mistakes.len();
        let what = format!("{drawn}{} in {}", plural(count, "mistake"), path.display());
        Failure::new(what).hint("`columba config default` prints a file with every setting explained")
    })
}

/// The text of a configuration file, and the directory that paths in it are relative to.
pub(crate) fn file_text(path: &Path) -> Result<(String, PathBuf), Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!("the configuration {} cannot be read: {error}", path.display()))
            .hint("`columba config default` prints one to begin with")
    })?;
    let base = absolute(path)?.parent().unwrap_or(Path::new("/")).to_owned();
    Ok((text, base))
}

/// The path from the root, so that it means the same wherever it is used.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

pub(crate) fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
