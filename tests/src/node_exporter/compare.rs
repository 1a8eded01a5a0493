//! Compares what both have counted, series by series.
//!
//! Both read the same counters of the kernel's, which never go back. So at every moment sonde's
//! value lies between their value before and their value after it: exactly, whatever happens in
//! between. Over an interval both have grown by the same but for what happened between the readings
//! at its two ends, which is known from theirs.

use std::collections::BTreeMap;

use super::{
    read::Moment,
    row::{Ours, Pair},
    table,
};
use crate::exposition::{Labels, Metrics, Sample};

/// What growth may differ by.
const TOLERANCE: f64 = 0.01;
/// Seconds and bytes are written with as many digits as a double has.
const ROUNDING: f64 = 1e-9;

/// A series of theirs at one moment, and ours for it.
struct Reading {
    before: f64,
    ours: f64,
    after: f64,
}

impl Reading {
    fn is_enclosed(&self) -> bool {
        let slack = self.after.abs() * ROUNDING;
        (self.before - slack..=self.after + slack).contains(&self.ours)
    }

    fn width(&self) -> f64 {
        self.after - self.before
    }

    /// Theirs at the time of ours, if it has grown evenly.
    fn theirs(&self, part: f64) -> f64 {
        self.before + self.width() * part
    }
}

/// One of their series over an interval, or all of a metric together.
#[derive(Debug, Default)]
pub struct Growth {
    /// Series that both have.
    pub series: usize,
    /// By how much theirs has grown.
    pub theirs: f64,
    /// By how much ours has, in their unit.
    pub ours: f64,
    /// How much of theirs fell between the readings at the two ends.
    pub skew: f64,
}

impl Growth {
    fn add(&mut self, other: &Self) {
        self.series += other.series;
        self.theirs += other.theirs;
        self.ours += other.ours;
        self.skew += other.skew;
    }

    /// By how much ours differs, as a part of theirs; `None` where nothing has happened.
    #[must_use]
    pub fn difference(&self) -> Option<f64> {
        (self.theirs > 0.0).then(|| (self.ours - self.theirs).abs() / self.theirs)
    }

    /// Whether they agree within 1 %, or within what fell between the readings where that is more.
    #[must_use]
    pub fn agrees(&self) -> bool {
        (self.ours - self.theirs).abs() <= (self.theirs * TOLERANCE).max(self.skew) + ROUNDING
    }
}

/// What came of comparing.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Counters by their name.
    pub growth: BTreeMap<&'static str, Growth>,
    /// How many numbers that stay as they are were the same.
    pub stable: usize,
    /// What isn't as it must be.
    pub faults: Vec<String>,
}

impl Comparison {
    /// Compares the growth of every counter's series from the first to the last of some moments, and
    /// at each of them that every value of ours lies between theirs.
    #[must_use]
    pub fn of(moments: &[Moment]) -> Self {
        let mut comparison = Self::default();
        let (Some(first), Some(last)) = (moments.first(), moments.last()) else {
            return comparison;
        };
        for row in table::rows() {
            for pair in row.ours.pairs() {
                match row.ours {
                    Ours::Counter(_) => {
                        comparison.enclosed(row.node, pair, moments);
                        comparison.grown(row.node, pair, first, last);
                    }
                    Ours::Stable(_) => comparison.stable(row.node, pair, last),
                    _ => comparison.there(row.node, pair, last),
                }
            }
        }
        comparison.unknown(&first.before.metrics);
        comparison
    }

    /// A metric that no line is about.
    fn unknown(&mut self, theirs: &Metrics) {
        for Sample { name, .. } in theirs.samples() {
            if name.starts_with("node_") && table::row(name).is_none() {
                let fault = format!("{name} isn't in the table");
                if !self.faults.contains(&fault) {
                    self.faults.push(fault);
                }
            }
        }
    }

    fn enclosed(&mut self, node: &str, pair: &Pair, moments: &[Moment]) {
        for moment in moments {
            for (labels, reading) in readings(node, pair, moment) {
                let Some(reading) = reading else { continue };
                if !reading.is_enclosed() {
                    self.faults.push(format!(
                        "{node}{labels:?}: {} isn't between {} and {}",
                        reading.ours, reading.before, reading.after
                    ));
                }
            }
        }
    }

    fn grown(&mut self, node: &'static str, pair: &Pair, first: &Moment, last: &Moment) {
        let parts = (first.part(pair.resource), last.part(pair.resource));
        let begin: Vec<_> = readings(node, pair, first);
        for (labels, end) in readings(node, pair, last) {
            let found = begin.iter().find(|(begin, _)| *begin == labels);
            let begin = found.and_then(|(_, begin)| begin.as_ref());
            let (Some(begin), Some(end), (Some(from), Some(to))) = (begin, end, parts) else {
                self.absent(node, pair, &labels, first, last);
                continue;
            };
            let growth = Growth {
                series: 1,
                theirs: end.theirs(to) - begin.theirs(from),
                ours: end.ours - begin.ours,
                skew: begin.width() + end.width(),
            };
            if !growth.agrees() {
                self.faults.push(format!("{node}{labels:?}: {growth:?}"));
            }
            self.growth.entry(node).or_default().add(&growth);
        }
    }

    /// What ours leaves out must be at rest: a device that nobody uses.
    fn absent(&mut self, node: &str, pair: &Pair, labels: &Labels, first: &Moment, last: &Moment) {
        let value = |moment: &Moment| theirs(&moment.before.metrics, node, labels);
        if value(first) != value(last) {
            self.faults.push(format!(
                "{node}{labels:?} has grown, and there is no {}",
                pair.sonde
            ));
        }
    }

    fn stable(&mut self, node: &str, pair: &Pair, moment: &Moment) {
        for (labels, reading) in readings(node, pair, moment) {
            match reading {
                Some(reading) if reading.is_enclosed() => self.stable += 1,
                // It wasn't stable: XFS makes inodes as it needs them.
                Some(reading) if reading.width().abs() > 0.0 => {}
                Some(reading) => self.faults.push(format!(
                    "{node}{labels:?} is {}, ours {}",
                    reading.after, reading.ours
                )),
                // Filesystems and interfaces of which ours leaves some out.
                None if !pair.join.is_empty() => {}
                None => self.faults.push(format!("{node} has no {}", pair.sonde)),
            }
        }
    }

    fn there(&mut self, node: &str, pair: &Pair, moment: &Moment) {
        let theirs = readings(node, pair, moment);
        // Of devices and filesystems ours leaves some out.
        let some_left_out = !pair.join.is_empty();
        if !some_left_out
            && !theirs.is_empty()
            && theirs.iter().all(|(_, reading)| reading.is_none())
        {
            self.faults.push(format!("{node} has no {}", pair.sonde));
        }
    }
}

fn theirs(metrics: &Metrics, node: &str, labels: &Labels) -> Option<f64> {
    let mut samples = metrics.of(node, &[]);
    samples
        .find(|sample| sample.labels == *labels)
        .map(|sample| sample.value)
}

/// Their series at a moment, each with both of their values and ours; `None` where ours is absent.
fn readings(node: &str, pair: &Pair, moment: &Moment) -> Vec<(Labels, Option<Reading>)> {
    let samples = moment.before.metrics.of(node, pair.theirs);
    samples
        .map(|sample| {
            let reading = || {
                Some(Reading {
                    before: sample.value,
                    ours: ours(pair, &sample.labels, &moment.ours)?,
                    after: theirs(&moment.after.metrics, node, &sample.labels)?,
                })
            };
            (sample.labels.clone(), reading())
        })
        .collect()
}

fn ours(pair: &Pair, theirs: &Labels, ours: &Metrics) -> Option<f64> {
    let mut wanted = pair.ours.to_vec();
    for (their, our) in pair.join {
        wanted.push((our, theirs.get(*their)?));
    }
    Some(ours.sum(pair.sonde, &wanted)? * pair.scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_enclosed_by_those_around_it() {
        let reading = |ours| Reading {
            before: 10.0,
            ours,
            after: 20.0,
        };
        assert!(reading(10.0).is_enclosed() && reading(20.0).is_enclosed());
        assert!(!reading(9.0).is_enclosed() && !reading(21.0).is_enclosed());
    }

    #[test]
    fn growth_agrees_within_a_hundredth_or_what_fell_between_the_readings() {
        let growth = |ours, skew| Growth {
            series: 1,
            theirs: 1000.0,
            ours,
            skew,
        };
        assert!(growth(1010.0, 0.0).agrees());
        assert!(!growth(1011.0, 0.0).agrees());
        assert!(growth(1050.0, 60.0).agrees());
        assert!(!growth(1070.0, 60.0).agrees());
    }
}
