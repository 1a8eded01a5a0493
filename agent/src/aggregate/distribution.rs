//! Histograms of whole numbers: counts and sums stay exact until a snapshot turns them into
//! seconds.

use std::sync::{Arc, LazyLock};

use crate::metric::{DURATION_BOUNDS, Histogram};

/// Bucket bounds in whole units, and what they are in the metric's unit.
#[derive(Debug)]
pub struct Scale {
    /// Inclusive upper bounds, ascending.
    bounds: Vec<u64>,
    /// The same in the metric's unit.
    converted: Arc<[f64]>,
    /// Whole units per one unit of the metric.
    divisor: f64,
}

/// Nanoseconds over the conventions' duration buckets, told in seconds.
pub static DURATION: LazyLock<Scale> = LazyLock::new(|| Scale {
    // The products are whole numbers far below 2^53, so rounding only removes the error of
    // decimal fractions.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive and at most 10^10"
    )]
    bounds: DURATION_BOUNDS
        .iter()
        .map(|seconds| (seconds * 1e9).round() as u64)
        .collect(),
    converted: DURATION_BOUNDS.into(),
    divisor: 1e9,
});

/// Bytes, by powers of four from 64 B to 1 GiB. The conventions name no buckets for body sizes.
pub static SIZE: LazyLock<Scale> = LazyLock::new(|| {
    let bounds: Vec<u64> = (3..=15).map(|exponent| 4_u64.pow(exponent)).collect();
    let converted = bounds.iter().map(|bound| *bound as f64).collect();
    Scale {
        bounds,
        converted,
        divisor: 1.0,
    }
});

impl Scale {
    /// Index of the bucket that counts `value`; the number of bounds for the one above them all.
    #[must_use]
    pub fn bucket(&self, value: u64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }

    /// `value` in the metric's unit.
    #[must_use]
    pub fn convert(&self, value: u64) -> f64 {
        value as f64 / self.divisor
    }
}

/// A distribution over a [`Scale`]. Takes no room for buckets before its first value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    counts: Vec<u64>,
    sum: u64,
}

impl Distribution {
    /// Adds one value and says in which bucket. Always give the same scale to one distribution.
    pub fn record(&mut self, scale: &Scale, value: u64) -> usize {
        if self.counts.is_empty() {
            self.counts = vec![0; scale.bounds.len() + 1];
        }
        let bucket = scale.bucket(value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(value);
        bucket
    }

    /// Adds all values of another distribution over the same scale.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.counts.clone_from(&other.counts);
        } else {
            for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
                *mine += theirs;
            }
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The distribution in the metric's unit; `None` when there are no values.
    #[must_use]
    pub fn histogram(&self, scale: &Scale) -> Option<Histogram> {
        (!self.is_empty()).then(|| Histogram {
            bounds: Arc::clone(&scale.converted),
            counts: self.counts.clone(),
            sum: scale.convert(self.sum),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_bounds_are_the_metrics_bounds() {
        for (whole, seconds) in DURATION.bounds.iter().zip(DURATION_BOUNDS) {
            assert!((DURATION.convert(*whole) - seconds).abs() < f64::EPSILON);
        }
        assert_eq!(DURATION.bounds.first(), Some(&100_000));
        assert_eq!(DURATION.bounds.last(), Some(&10_000_000_000));
        assert_eq!(
            (SIZE.bounds.first(), SIZE.bounds.last()),
            (Some(&64), Some(&(1 << 30)))
        );
    }

    #[test]
    fn bounds_are_inclusive() {
        assert_eq!(DURATION.bucket(0), 0);
        assert_eq!(DURATION.bucket(100_000), 0);
        assert_eq!(DURATION.bucket(100_001), 1);
        assert_eq!(DURATION.bucket(10_000_000_000), 17);
        assert_eq!(DURATION.bucket(u64::MAX), 18);
    }

    #[test]
    fn sums_are_exact_where_adding_fractions_would_drift() {
        let mut distribution = Distribution::default();
        for _ in 0..1_000_000 {
            distribution.record(&DURATION, 100_000);
        }
        let histogram = distribution.histogram(&DURATION).unwrap();
        assert_eq!(histogram.count(), 1_000_000);
        assert!((histogram.sum - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn nothing_recorded_is_absent_rather_than_zero() {
        assert_eq!(Distribution::default().histogram(&SIZE), None);
    }

    #[test]
    fn merged_distributions_have_the_values_of_both() {
        let (mut left, mut right) = (Distribution::default(), Distribution::default());
        right.record(&SIZE, 65);
        left.merge(&right);
        left.record(&SIZE, 1);
        left.merge(&right);
        let histogram = left.histogram(&SIZE).unwrap();
        assert_eq!(histogram.counts.get(..2), Some(&[1, 2][..]));
        assert!((histogram.sum - 131.0).abs() < f64::EPSILON);
    }
}
