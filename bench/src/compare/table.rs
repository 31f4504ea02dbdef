//! A comparison as text for a terminal: a line for each variant, a column for each server.

use std::fmt::Write as _;

use super::Comparison;
use super::goals::Verdict;
use super::ratio::{Line, OURS, Spread, left_out};

/// The whole of it.
pub(crate) fn table(comparison: &Comparison) -> String {
    let lines = comparison.lines();
    let mut text = head(comparison);
    let rivals: Vec<&str> =
        comparison.peers.iter().map(|(name, _)| name.as_str()).filter(|name| *name != OURS).collect();
    let mut rows = vec![["scenario", "variant", "unit", OURS].map(str::to_owned).to_vec()];
    if let Some(first) = rows.first_mut() {
        first.extend(rivals.iter().flat_map(|name| [(*name).to_owned(), "times".to_owned()]));
        first.push("goal".to_owned());
    }
    rows.extend(lines.iter().map(|line| cells(line, &rivals)));
    let columns = rows.first().map_or(0, Vec::len);
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let left = at < 3 || at + 1 == columns;
            let _ = if left { write!(line, "{cell:<width$}  ") } else { write!(line, "{cell:>width$}  ") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    foot(&mut text, comparison, &lines);
    text
}

fn head(comparison: &Comparison) -> String {
    let machine = &comparison.machine;
    let versions: Vec<String> = comparison.peers.iter().map(|(name, version)| format!("{name}: {version}")).collect();
    let mut text = format!(
        "{}, {} rounds in turn; bench {}\n{}, {} cores, {} GiB, {}, Linux {}, {}; 4 KB are durable after {} µs\n{}\n",
        comparison.when,
        comparison.rounds,
        comparison.command,
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.system,
        machine.kernel,
        machine.filesystem,
        machine.sync_micros,
        versions.join("; "),
    );
    if !comparison.ceiling.is_empty() {
        let rows = comparison.ceiling.iter();
        let ceiling: Vec<_> =
            rows.map(|row| format!("{} {} {}", row.variant, amount(row.figure.value), row.figure.unit)).collect();
        let _ = writeln!(text, "the generator against a stub: {}", ceiling.join("; "));
    }
    text.push('\n');
    text
}

fn cells(line: &Line, rivals: &[&str]) -> Vec<String> {
    let value = |spread: Option<Spread>| spread.map_or_else(|| "–".to_owned(), |spread| amount(spread.median));
    let mut cells = vec![line.scenario.clone(), line.variant.clone(), line.unit.clone(), value(line.columba)];
    for name in rivals {
        let rival = line.rivals.iter().find(|rival| rival.peer == *name);
        cells.push(value(rival.map(|rival| rival.value)));
        let apart = rival.is_some_and(|rival| rival.apart.is_some());
        cells.push(rival.map_or_else(String::new, |rival| times(rival.ratio) + if apart { " *" } else { "" }));
    }
    cells.push(line.goal.map_or_else(String::new, |(goal, verdict)| format!("{goal} {verdict}")));
    cells
}

/// `3.1× (2.9–3.4)`; where the rounds disagree about who is better, that.
pub(crate) fn times(spread: Spread) -> String {
    if spread.includes_one() {
        return format!("no difference seen ({}–{})", short(spread.low), short(spread.high));
    }
    if spread.rounds == 1 {
        return format!("{}×", short(spread.median));
    }
    format!("{}× ({}–{})", short(spread.median), short(spread.low), short(spread.high))
}

fn short(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 20.0 => format!("{ratio:.0}"),
        ratio if ratio >= 2.0 => format!("{ratio:.1}"),
        ratio => format!("{ratio:.2}"),
    }
}

fn foot(text: &mut String, comparison: &Comparison, lines: &[Line]) {
    let count =
        |wanted: Verdict| lines.iter().filter(|line| line.goal.is_some_and(|(_, verdict)| verdict == wanted)).count();
    let _ = writeln!(
        text,
        "\ngoals: {} met, {} met in the median only, {} missed. Times: how many times better columba is, as the median and the \
         ends of the rounds",
        count(Verdict::Met),
        count(Verdict::Almost),
        count(Verdict::Missed),
    );
    let mut reasons: Vec<String> = Vec::new();
    for rival in lines.iter().flat_map(|line| &line.rivals) {
        let reason = rival.apart.map(|reason| format!("* {} {reason}: shown, and no measure of the goal", rival.peer));
        reasons.extend(reason.filter(|reason| !reasons.contains(reason)));
    }
    for reason in reasons {
        let _ = writeln!(text, "{reason}");
    }
    for skipped in left_out(&comparison.skipped) {
        let _ = writeln!(
            text,
            "left out: {} ({}) by {}: {}",
            skipped.scenario, skipped.variant, skipped.peer, skipped.reason
        );
    }
}

/// A number with three digits that mean something, in groups of three.
pub(crate) fn amount(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value.abs() < 100.0 {
        let digits = match value.abs() {
            small if small < 1.0 => 3,
            small if small < 10.0 => 2,
            _ => 1,
        };
        return format!("{value:.digits$}");
    }
    let whole = format!("{value:.0}");
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole.as_str()), |digits| ("-", digits));
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        let shown: Vec<String> = [0.1234, 1.234, 12.34, 123.4, 1_234_567.0, -1234.0, f64::NAN].map(amount).to_vec();
        assert_eq!(shown, ["0.123", "1.23", "12.3", "123", "1,234,567", "-1,234", "–"]);
    }

    #[test]
    fn a_ratio_says_so_when_the_rounds_disagree() {
        let spread = |low, median, high, rounds| Spread { low, median, high, rounds };
        assert_eq!(times(spread(2.9, 3.12, 30.4, 3)), "3.1× (2.9–30)");
        assert_eq!(times(spread(0.9, 1.1, 1.2, 3)), "no difference seen (0.90–1.20)");
        assert_eq!(times(spread(0.5, 0.5, 0.5, 1)), "0.50×");
    }
}
