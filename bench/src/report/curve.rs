//! Growth: the same scenario at several sizes, as one line for each server in a picture with two logarithmic axes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{colour, escape};
use crate::compare::{Comparison, Spread, amount};

/// Sizes that make a curve.
const LEAST: usize = 3;
/// The picture, in units of about a pixel; the room on its left is for the numbers of the axis.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 24.0;
const AIR: f64 = 12.0;

/// What changes along a curve, and what it is a curve of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    scenario: String,
    /// The variant without its number: ` messages`, `search body,  messages`.
    rest: String,
    unit: String,
}

/// By server: the figure at each size, over the rounds.
type Curves = BTreeMap<String, BTreeMap<u64, Vec<f64>>>;

/// Cuts the size out of a variant: the number that stands before `messages` or `connections`.
fn size(variant: &str) -> Option<(u64, String)> {
    let words: Vec<&str> = variant.split(' ').collect();
    let at = words
        .iter()
        .position(|word| matches!(word.trim_end_matches(','), "messages" | "connections"))?
        .checked_sub(1)?;
    let number = words.get(at)?.parse().ok()?;
    let rest = words.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, word)| *word);
    Some((number, rest.collect::<Vec<_>>().join(" ")))
}

/// All curves there are, as a section of the page.
pub(super) fn curves(page: &mut String, comparison: &Comparison) {
    let mut subjects: BTreeMap<Subject, Curves> = BTreeMap::new();
    for measured in &comparison.rows {
        let row = &measured.row;
        if let Some((size, rest)) = size(&row.variant) {
            let subject = Subject { scenario: row.scenario.clone(), rest, unit: row.figure.unit.clone() };
            let curves = subjects.entry(subject).or_default();
            curves.entry(row.peer.clone()).or_default().entry(size).or_default().push(row.figure.value);
        }
    }
    subjects.retain(|_, curves| curves.values().any(|curve| curve.len() >= LEAST));
    if subjects.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Growth</h2><p class=sub>Both axes are logarithmic; medians over the rounds.</p><div class=cards>",
    );
    for (subject, curves) in &subjects {
        let _ = write!(
            page,
            "<figure class=card><figcaption><b>{}</b> <span class=sub>{}; {}</span></figcaption>{}</figure>",
            escape(&subject.scenario),
            escape(&subject.rest),
            escape(&subject.unit),
            picture(comparison, curves)
        );
    }
    page.push_str("</div>");
}

/// One axis: values between two powers or their neighbours, on a length.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let usable = values.filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) =
            usable.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (1.0, 10.0) };
        // A flat line lies in the middle, and noise is not blown up to the height of the picture.
        let missing = (10.0 / (high / low)).max(1.0).sqrt();
        Self { low: low / missing, high: high * missing, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln();
        ((self.from + part * (self.to - self.from)) * 10.0).round() / 10.0
    }

    fn ticks(&self) -> Vec<f64> {
        let powers = (self.low.log10().ceil() as i32)..=(self.high.log10().floor() as i32);
        let ticks: Vec<f64> = powers.map(|power| 10f64.powi(power)).collect();
        // At most five numbers, or they run into each other.
        let step = ticks.len().div_ceil(5).max(1);
        ticks.into_iter().step_by(step).collect()
    }
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", amount(value / 1e6).trim_end_matches('0').trim_end_matches('.')),
        value if value >= 1e3 => format!("{}k", (value / 1e3).round()),
        value => format!("{value}"),
    }
}

fn picture(comparison: &Comparison, curves: &Curves) -> String {
    let middle = |values: &Vec<f64>| Spread::of(values.clone()).map(|spread| spread.median);
    let sizes = curves.values().flat_map(|curve| curve.keys().map(|size| *size as f64));
    let values = curves.values().flat_map(|curve| curve.values().filter_map(middle));
    let across = Axis::new(sizes, LEFT, WIDTH - AIR);
    let up = Axis::new(values, HEIGHT - BOTTOM, AIR);
    let mut svg = format!("<svg class=curve viewBox='0 0 {WIDTH} {HEIGHT}' role=img>");
    for tick in across.ticks() {
        let x = across.at(tick);
        let _ = write!(
            svg,
            "<line class=grid x1={x} x2={x} y1={AIR} y2={} /><text x={x} y={} text-anchor=middle>{}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - 8.0,
            short(tick)
        );
    }
    for tick in up.ticks() {
        let y = up.at(tick);
        let _ = write!(
            svg,
            "<line class=grid x1={LEFT} x2={} y1={y} y2={y} /><text x={} y={} text-anchor=end>{}</text>",
            WIDTH - AIR,
            LEFT - 6.0,
            y + 4.0,
            short(tick)
        );
    }
    for (peer, curve) in curves {
        let colour = colour(comparison, peer);
        let points: Vec<(f64, f64)> =
            curve.iter().filter_map(|(size, values)| Some((across.at(*size as f64), up.at(middle(values)?)))).collect();
        let line: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
        let _ = write!(
            svg,
            "<polyline class=l{colour} points='{}'><title>{}</title></polyline>",
            line.join(" "),
            escape(peer)
        );
        for (x, y) in points {
            let _ = write!(svg, "<circle class=c{colour} cx={x} cy={y} r=3.5 />");
        }
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_the_number_before_what_is_counted() {
        assert_eq!(size("100000 messages"), Some((100_000, "messages".to_owned())));
        assert_eq!(size("body, 1000 messages"), Some((1000, "body, messages".to_owned())));
        assert_eq!(size("4 KB, 64 connections"), Some((64, "4 KB, connections".to_owned())));
        assert_eq!(size("50 MB"), None);
        assert_eq!(size("messages"), None);
    }
}
