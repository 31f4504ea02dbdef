//! From rows to ratios: what was measured in the same round is compared with each other, and what differs between rounds is
//! the noise. It knows no text and no picture.

use serde::Serialize;

use super::goals::{self, Goal, Verdict};
use crate::record::{Better, Row, Skipped};

/// One row and the round it was measured in.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
pub(crate) struct Measured {
    /// From 1.
    pub(crate) round: u32,
    #[serde(flatten)]
    pub(crate) row: Row,
}

/// The middle of what was measured, and its ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
    /// How many rounds it is of.
    pub(crate) rounds: usize,
}

impl Spread {
    /// None of no numbers, or of such as are no numbers.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self { low, median: f64::midpoint(lower, upper), high, rounds: values.len() })
    }

    /// Whether the rounds do not agree on which side of 1 it is. One round alone cannot disagree.
    pub(crate) fn includes_one(&self) -> bool {
        self.rounds > 1 && self.low <= 1.0 && self.high >= 1.0
    }
}

/// One server beside Columba. Ratios are above 1 where Columba is better.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rival {
    pub(crate) peer: String,
    pub(crate) value: Spread,
    pub(crate) ratio: Spread,
    /// Why the goal does not look at it, where it does not.
    pub(crate) apart: Option<&'static str>,
}

/// What is compared: one variant of one scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) scenario: String,
    pub(crate) variant: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    /// None where Columba has no row.
    pub(crate) columba: Option<Spread>,
    pub(crate) rivals: Vec<Rival>,
    pub(crate) goal: Option<(Goal, Verdict)>,
}

/// The name of the server that the others are compared with.
pub(crate) const OURS: &str = "columba";

/// A line for each variant, in the order in which they were first measured. `peers` is the order of the rivals.
pub(crate) fn lines(rows: &[Measured], peers: &[String]) -> Vec<Line> {
    let mut keys: Vec<(&str, &str)> = Vec::new();
    for Measured { row, .. } in rows {
        let key = (row.scenario.as_str(), row.variant.as_str());
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys.into_iter().filter_map(|(scenario, variant)| line(rows, peers, scenario, variant)).collect()
}

fn line(rows: &[Measured], peers: &[String], scenario: &str, variant: &str) -> Option<Line> {
    let of = |peer: &str| -> Vec<&Measured> {
        let fits = |row: &Row| row.scenario == scenario && row.variant == variant && row.peer == peer;
        rows.iter().filter(|measured| fits(&measured.row)).collect()
    };
    let values = |measured: &[&Measured]| Spread::of(measured.iter().map(|m| m.row.figure.value).collect());
    let (ours, mut rivals) = (of(OURS), Vec::new());
    let first = rows.iter().find(|m| m.row.scenario == scenario && m.row.variant == variant)?;
    let (unit, better) = (first.row.figure.unit.clone(), first.row.figure.better);
    for peer in peers.iter().filter(|peer| *peer != OURS) {
        let theirs = of(peer);
        let ratios = ours.iter().filter_map(|our| {
            let their = theirs.iter().find(|their| their.round == our.round)?;
            Some(times_better(our.row.figure.value, their.row.figure.value, better))
        });
        let (Some(value), Some(ratio)) = (values(&theirs), Spread::of(ratios.collect())) else { continue };
        rivals.push(Rival { peer: peer.clone(), value, ratio, apart: goals::apart(peer, scenario) });
    }
    let columba = values(&ours);
    let goal = goals::goal(scenario, variant).map(|goal| {
        let best = best(&ours, &rivals, better, &of);
        (goal, goals::verdict(goal, &ours.iter().map(|m| &m.row).collect::<Vec<_>>(), best))
    });
    Some(Line { scenario: scenario.to_owned(), variant: variant.to_owned(), unit, better, columba, rivals, goal })
}

/// How many times better we are than the best of the rivals that count, over the rounds.
fn best<'a>(
    ours: &[&Measured],
    rivals: &[Rival],
    better: Better,
    of: &impl Fn(&str) -> Vec<&'a Measured>,
) -> Option<Spread> {
    let counting: Vec<_> = rivals.iter().filter(|rival| rival.apart.is_none()).map(|rival| of(&rival.peer)).collect();
    let ratios = ours.iter().filter_map(|our| {
        let of_round = counting.iter().flatten().filter(|their| their.round == our.round);
        let ratio = |their: &&Measured| times_better(our.row.figure.value, their.row.figure.value, better);
        of_round.map(ratio).min_by(f64::total_cmp)
    });
    Spread::of(ratios.collect())
}

/// Above 1 where ours is better.
fn times_better(ours: f64, theirs: f64, better: Better) -> f64 {
    match better {
        Better::Higher => ours / theirs,
        Better::Lower => theirs / ours,
    }
}

/// What was left out, once each.
pub(crate) fn left_out(skipped: &[Skipped]) -> Vec<Skipped> {
    let mut once: Vec<Skipped> = Vec::new();
    for one in skipped {
        let same = |other: &Skipped| {
            (&other.scenario, &other.variant, &other.peer) == (&one.scenario, &one.variant, &one.peer)
        };
        if !once.iter().any(same) {
            once.push(one.clone());
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Used;

    fn measured(round: u32, peer: &str, per_second: u64) -> Measured {
        Measured {
            round,
            row: Row::new(peer, "fetch-flags", "10 messages", "messages", per_second, 1.0, Used::default()),
        }
    }

    #[test]
    fn a_ratio_is_taken_within_a_round_and_its_noise_between_them() {
        let rows = [
            measured(1, "columba", 100),
            measured(1, "cyrus", 50),
            measured(2, "columba", 300),
            measured(2, "cyrus", 100),
            measured(3, "columba", 400),
            measured(3, "cyrus", 100),
        ];
        let lines = lines(&rows, &["columba".to_owned(), "cyrus".to_owned()]);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].columba, Some(Spread { low: 100.0, median: 300.0, high: 400.0, rounds: 3 }));
        assert_eq!(lines[0].rivals[0].ratio, Spread { low: 2.0, median: 3.0, high: 4.0, rounds: 3 });
        assert!(!lines[0].rivals[0].ratio.includes_one());
        // Three times the best is the goal: the median has it, the first round has not.
        assert_eq!(lines[0].goal.map(|(_, verdict)| verdict), Some(Verdict::Almost));
    }

    #[test]
    fn a_rival_that_is_not_as_durable_is_shown_and_no_measure() {
        let rows = [measured(1, "columba", 400), measured(1, "cyrus", 100), measured(1, "dovecot-default", 800)];
        let peers = ["cyrus", "dovecot-default"].map(str::to_owned);
        let lines = lines(&rows, &peers);
        assert_eq!(lines[0].rivals.len(), 2);
        assert!(lines[0].rivals[1].apart.is_some());
        assert_eq!(lines[0].goal.map(|(_, verdict)| verdict), Some(Verdict::Met));
    }

    #[test]
    fn rounds_that_disagree_show_no_difference_and_one_round_alone_shows_what_it_has() {
        assert!(Spread::of(vec![0.9, 1.2]).is_some_and(|spread| spread.includes_one()));
        assert!(Spread::of(vec![1.0]).is_some_and(|spread| !spread.includes_one()));
        assert_eq!(Spread::of(vec![f64::INFINITY, f64::NAN]), None);
        assert_eq!(times_better(2.0, 8.0, Better::Lower), 4.0);
    }
}
