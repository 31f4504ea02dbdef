//! What commands print: text for people or one JSON document for programs. Numbers, sizes and times as people read them.

use std::io::{self, Write};
use std::time::Duration;

use columba_types::DateTime;
use serde::Serialize;

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    Text,
    Json,
}

impl Output {
    /// Prints a result: `text` for people, `value` for programs.
    pub(crate) fn print(self, value: &impl Serialize, text: &str) {
        match self {
            Self::Text => print(text),
            Self::Json => print(&serde_json::to_string(value).unwrap_or_default()),
        }
    }
}

/// Prints to standard output at once. That nobody reads it any more is no reason to fail.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    let _ = write!(out, "{text}{end}").and_then(|()| out.flush());
}

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `3 messages`, `1 message`.
pub(crate) fn counted(number: u64, noun: &str, plural: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{} {plural}", count(number)) }
}

/// Octets as `12 B`, `3.4 KB`, `5.6 MB`.
pub(crate) fn size(octets: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut value = octets as f64;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{octets} {name}") } else { format!("{value:.1} {name}") }
}

/// Seconds as `0.04 s`, `12.3 s`, `3 min 5 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let secs = duration.as_secs_f64();
    match secs {
        s if s < 1.0 => format!("{s:.2} s"),
        s if s < 120.0 => format!("{s:.1} s"),
        _ => format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60),
    }
}

/// A moment as `2026-11-22 21:04 UTC`.
pub(crate) fn moment(unix_secs: i64) -> String {
    let moment = DateTime::utc(unix_secs);
    let (date, (hour, minute, _)) = (moment.local_date(), moment.local_time());
    format!("{:04}-{:02}-{:02} {hour:02}:{minute:02} UTC", date.year, date.month, date.day)
}

/// Rows in columns as wide as they need to be; the first row is the heading. Columns named in `right` are numbers.
pub(crate) fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            let gap = if column == 0 { "" } else { "  " };
            let (before, after) = if right.contains(&column) { (padding.as_str(), "") } else { ("", padding.as_str()) };
            line.extend([gap, before, cell, after]);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_for_people() {
        assert_eq!([count(0), count(999), count(1_000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [size(999), size(999_949), size(999_960), size(1_500_000_000)],
            ["999 B", "999.9 KB", "1.0 MB", "1.5 GB"]
        );
        assert_eq!(seconds(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 5 s");
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(counted(1, "message", "messages"), "1 message");
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["NAME".into(), "N".into()], vec!["ä".into(), "100".into()]];
        assert_eq!(table(&rows, &[1]), "NAME    N\nä     100\n");
    }
}
