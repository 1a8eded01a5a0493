//! What a benchmark measured: a value per round, and what is wanted of their median.

use serde::Serialize;

/// One measured thing.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) name: String,
    /// The unit of `base` and `with`, and of the figure itself unless that is a ratio.
    pub(super) unit: &'static str,
    /// What each round gave without the agent; empty where there is nothing to compare with.
    pub(super) base: Vec<f64>,
    /// What each round gave with the agent.
    pub(super) with: Vec<f64>,
    pub(super) kind: Kind,
    pub(super) goal: Option<Goal>,
}

/// How a round's two values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// With the agent, divided by without.
    Ratio,
    /// With the agent, less without.
    Difference,
    /// With the agent; there is no other.
    Value,
}

/// What is wanted of the median.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// Median and range of some values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// None of no values.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[half]
        } else {
            f64::midpoint(sorted[half - 1], sorted[half])
        };
        Some(Self { median, min, max })
    }
}

impl Figure {
    /// One value per round.
    pub(super) fn per_round(&self) -> Vec<f64> {
        let pairs = self.base.iter().zip(&self.with);
        match self.kind {
            Kind::Ratio => pairs.map(|(base, with)| with / base).collect(),
            Kind::Difference => pairs.map(|(base, with)| with - base).collect(),
            Kind::Value => self.with.clone(),
        }
    }

    /// The figure itself, over all rounds.
    pub(super) fn spread(&self) -> Option<Spread> {
        Spread::of(&self.per_round())
    }

    /// Whether the goal is met; none without a goal or without a value.
    pub(super) fn met(&self) -> Option<bool> {
        let median = self.spread()?.median;
        Some(match self.goal? {
            Goal::AtLeast(limit) => median >= limit,
            Goal::AtMost(limit) => median <= limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_odd_and_an_even_number_of_values() {
        let odd = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!(
            odd,
            Spread {
                median: 2.0,
                min: 1.0,
                max: 3.0
            }
        );
        let even = Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(
            even,
            Spread {
                median: 2.5,
                min: 1.0,
                max: 4.0
            }
        );
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn ratio_is_of_each_round_and_not_of_the_medians() {
        let figure = Figure {
            name: "throughput".into(),
            unit: "requests/s",
            base: vec![100.0, 200.0, 400.0],
            with: vec![90.0, 100.0, 380.0],
            kind: Kind::Ratio,
            goal: Some(Goal::AtLeast(0.8)),
        };
        assert_eq!(figure.per_round(), [0.9, 0.5, 0.95]);
        assert_eq!(figure.met(), Some(true));
    }

    #[test]
    fn a_goal_is_judged_by_the_median() {
        let figure = |with: &[f64]| Figure {
            name: "added latency".into(),
            unit: "us",
            base: vec![20.0; with.len()],
            with: with.to_vec(),
            kind: Kind::Difference,
            goal: Some(Goal::AtMost(10.0)),
        };
        assert_eq!(figure(&[25.0, 29.0, 99.0]).met(), Some(true));
        assert_eq!(figure(&[25.0, 31.0, 99.0]).met(), Some(false));
        assert_eq!(figure(&[]).met(), None);
    }
}
