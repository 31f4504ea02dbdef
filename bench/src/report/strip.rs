//! Pictures that are one strip: a bar from 1 to a ratio, a range of latencies. They have no text of their own, so that they can
//! be stretched to any width; what they are of stands beside them.

use std::fmt::Write as _;

use crate::compare::Spread;

/// Units of a strip's width and height, stretched by the page.
const WIDTH: f64 = 1000.0;

/// A logarithmic scale for all strips of a kind.
#[derive(Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// With room for all of these, and for a factor of two at least.
    pub(super) fn around(values: impl Iterator<Item = f64>) -> Self {
        let usable = values.filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) =
            usable.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return Self { low: 0.5, high: 2.0 };
        }
        Self { low: low / 1.1, high: (high * 1.1).max(low * 2.0) }
    }

    /// Where a value lies, from 0 to [`WIDTH`].
    fn at(&self, value: f64) -> f64 {
        let part = (value.clamp(self.low, self.high) / self.low).ln() / (self.high / self.low).ln();
        (part * WIDTH * 10.0).round() / 10.0
    }

    /// Upright lines at powers of ten, and at 1.
    fn grid(&self) -> String {
        let mut grid = String::new();
        let mut power = self.low.log10().ceil();
        while power <= self.high.log10().floor() {
            let at = self.at(10f64.powf(power));
            let class = if power == 0.0 { "one" } else { "grid" };
            let _ = write!(grid, "<rect class={class} x={at} y=0 width=1.5 height=20 />");
            power += 1.0;
        }
        grid
    }

    fn strip(&self, inside: &str) -> String {
        let grid = self.grid();
        format!(
            "<svg class=strip viewBox='0 0 {WIDTH} 20' preserveAspectRatio=none aria-hidden=true>{grid}{inside}</svg>"
        )
    }
}

fn rect(class: &str, from: f64, to: f64, y: f64, height: f64) -> String {
    let (left, width) = (from.min(to), (from - to).abs().max(2.0));
    format!("<rect class='{class}' x={left} y={y} width={width:.1} height={height} />")
}

/// From 1 to the ratio, with its spread, and a mark where the goal is.
pub(super) fn bar(scale: &Scale, ratio: &Spread, goal: Option<f64>, colour: usize) -> String {
    let at = |value| scale.at(value);
    let class = if ratio.includes_one() { format!("c{colour} faint") } else { format!("c{colour}") };
    let mut inside = rect(&class, at(1.0), at(ratio.median), 4.0, 12.0);
    if ratio.rounds > 1 {
        inside.push_str(&rect("whisker", at(ratio.low), at(ratio.high), 9.0, 2.0));
    }
    if let Some(goal) = goal {
        inside.push_str(&rect("mark", at(goal), at(goal) + 5.0, 0.0, 20.0));
    }
    scale.strip(&inside)
}

/// From the median over p99 to the maximum.
pub(super) fn range(scale: &Scale, [p50, p99, max]: [f64; 3], colour: usize) -> String {
    let at = |value| scale.at(value);
    let colour = format!("c{colour}");
    let inside = [
        rect(&format!("{colour} faint"), at(p99), at(max), 9.0, 2.0),
        rect(&format!("{colour} faint"), at(p50), at(p99), 5.0, 10.0),
        rect(&colour, at(p50) - 4.0, at(p50) + 4.0, 2.0, 16.0),
    ];
    scale.strip(&inside.concat())
}

/// The little square that a server is known by.
pub(super) fn legend_mark(colour: usize) -> String {
    format!(
        "<svg class=key viewBox='0 0 10 10' aria-hidden=true><rect class=c{colour} width=10 height=10 rx=2 /></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_holds_what_it_was_made_for_and_nothing_leaves_it() {
        let scale = Scale::around([0.5, 8.0, f64::NAN, 0.0].into_iter());
        assert!(scale.at(0.5) > 0.0 && scale.at(8.0) < WIDTH && scale.at(1.0) < scale.at(2.0));
        assert_eq!((scale.at(0.0), scale.at(1e9)), (0.0, WIDTH));
        let empty = Scale::around(std::iter::empty());
        assert_eq!(empty.at(1.0), WIDTH / 2.0);
    }
}
