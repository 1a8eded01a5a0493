//! Values that are added up: of points that turn out to be one series.

use super::{Histogram, Point, Value};

impl Point {
    /// Adds what another point of the same series has counted. A value of another kind stays out.
    pub fn add(&mut self, other: &Self) {
        self.start = self.start.min(other.start);
        self.value.add(&other.value);
        self.exemplars.extend_from_slice(&other.exemplars);
    }
}

impl Value {
    /// Adds another value of the same kind; one of another kind stays out.
    pub fn add(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Integer(sum), Self::Integer(more)) => *sum = sum.saturating_add(*more),
            (Self::Histogram(sum), Self::Histogram(more)) => sum.add(more),
            (sum, more) => {
                if let (Some(left), Some(right)) = (scalar(sum), scalar(more)) {
                    *sum = Self::Float(left + right);
                }
            }
        }
    }
}

fn scalar(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Histogram(_) => None,
    }
}

impl Histogram {
    /// Adds another distribution, on the bounds that both have, which is exact whatever their
    /// bounds are.
    pub fn add(&mut self, more: &Self) {
        if self.bounds == more.bounds {
            for (count, other) in self.counts.iter_mut().zip(&more.counts) {
                *count = count.saturating_add(*other);
            }
        } else {
            let common: Vec<f64> = self
                .bounds
                .iter()
                .copied()
                .filter(|bound| more.bounds.contains(bound))
                .collect();
            let mut counts = self.coarsened(&common);
            for (count, other) in counts.iter_mut().zip(more.coarsened(&common)) {
                *count = count.saturating_add(other);
            }
            self.counts = counts;
            self.bounds = common.into();
        }
        self.sum += more.sum;
    }

    /// The counts on some of its own bounds.
    fn coarsened(&self, bounds: &[f64]) -> Vec<u64> {
        let mut counts = vec![0_u64; bounds.len() + 1];
        for (index, count) in self.counts.iter().enumerate() {
            let bound = self.bounds.get(index).copied().unwrap_or(f64::INFINITY);
            // As many places as bounds, and one: a bound that is above all of them has the last.
            let place = &mut counts[bounds.partition_point(|common| *common < bound)];
            *place = place.saturating_add(*count);
        }
        counts
    }
}
