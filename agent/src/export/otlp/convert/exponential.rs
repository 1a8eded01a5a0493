//! Explicit buckets as a base-2 exponential histogram.
//!
//! The agent (and the kernel) counts into explicit buckets, so where a value stood within its
//! bucket is not known any more. Each explicit bucket's whole count goes to the exponential
//! bucket that holds its midpoint. Count and sum stay exact; a quantile is off by at most half
//! the width of the explicit bucket it falls into, in either direction. Counts are not spread
//! over several exponential buckets: that would claim a resolution that wasn't measured, and
//! rounding would make single buckets shrink from one export to the next.
//!
//! What is above the last bound goes to the exponential bucket just above that bound. What is in
//! a bucket whose upper bound is not positive counts as zero.
//!
//! Source: OpenTelemetry metrics data model, exponential histograms.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

use crate::metric::Histogram;

/// The specification's default for the number of buckets.
const MAX_BUCKETS: i32 = 160;
/// 8 buckets for each doubling: still finer than any explicit bounds here.
const MAX_SCALE: i32 = 3;
/// A single bucket then spans 2^1024: anything fits.
const MIN_SCALE: i32 = -10;

/// The parts of an `ExponentialHistogramDataPoint` that differ from an explicit one's.
#[derive(Debug, PartialEq)]
pub struct Exponential {
    /// Buckets are 2^(2^-scale) wide.
    pub scale: i32,
    /// Values that are zero.
    pub zero_count: u64,
    /// Values above zero.
    pub positive: Buckets,
}

/// Converts; `None` for a histogram without positive finite bounds, which says nothing of where
/// its values are.
///
/// The scale depends on the bounds alone, so it is the same in each export of a series.
#[must_use]
pub fn convert(histogram: &Histogram) -> Option<Exponential> {
    let last = *histogram.bounds.last()?;
    let values = representatives(&histogram.bounds);
    let positive = || values.iter().copied().filter(|value| *value > 0.0);
    let lowest = positive().fold(f64::INFINITY, f64::min);
    if last <= 0.0 || !last.is_finite() {
        return None;
    }
    let highest = positive().fold(lowest, f64::max);
    let fits = |scale: &i32| index(highest, *scale) - index(lowest, *scale) < MAX_BUCKETS;
    let scale = (MIN_SCALE..=MAX_SCALE).rev().find(fits)?;
    let offset = index(lowest, scale);
    let length = usize::try_from(index(highest, scale) - offset + 1).ok()?;
    let mut bucket_counts = vec![0_u64; length];
    let mut zero_count = 0;
    for (&value, count) in values.iter().zip(&histogram.counts) {
        if value <= 0.0 {
            zero_count += count;
            continue;
        }
        let slot = usize::try_from(index(value, scale) - offset).ok()?;
        *bucket_counts.get_mut(slot)? += count;
    }
    Some(Exponential {
        scale,
        zero_count,
        positive: Buckets {
            offset,
            bucket_counts,
        },
    })
}

/// For each bucket, +Inf's included, the value that stands for what is in it; 0 for those
/// without positive values.
fn representatives(bounds: &[f64]) -> Vec<f64> {
    let mut values = Vec::with_capacity(bounds.len() + 1);
    let mut lower = 0.0_f64;
    for &upper in bounds {
        values.push(if upper > 0.0 {
            f64::midpoint(lower, upper)
        } else {
            0.0
        });
        lower = upper.max(0.0);
    }
    values.push(lower.next_up());
    values
}

/// Index of the bucket that holds `value`: base^index < value <= base^(index + 1).
#[expect(
    clippy::cast_possible_truncation,
    reason = "the logarithm of a finite positive double is within +-1100, times 8"
)]
fn index(value: f64, scale: i32) -> i32 {
    (value.log2() * f64::from(scale).exp2()).ceil() as i32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::DURATION_BOUNDS;
    use proptest::prelude::*;

    fn histogram(bounds: &[f64], counts: Vec<u64>) -> Histogram {
        Histogram {
            bounds: bounds.into(),
            counts,
            sum: 1.0,
        }
    }

    /// Where the count of explicit bucket `only` went: (lower, upper].
    fn place(bounds: &[f64], only: usize) -> (f64, f64) {
        let mut counts = vec![0; bounds.len() + 1];
        counts[only] = 7;
        let converted = convert(&histogram(bounds, counts)).expect("bounds");
        let buckets = &converted.positive;
        let at = buckets
            .bucket_counts
            .iter()
            .position(|count| *count == 7)
            .expect("one bucket");
        let index = buckets.offset + i32::try_from(at).expect("small");
        let edge = |index: i32| (f64::from(index) * f64::from(-converted.scale).exp2()).exp2();
        (edge(index), edge(index + 1))
    }

    #[test]
    fn duration_buckets_land_around_their_midpoints() {
        let mut lower = 0.0;
        for (index, upper) in DURATION_BOUNDS.iter().enumerate() {
            let (from, to) = place(DURATION_BOUNDS, index);
            let midpoint = f64::midpoint(lower, *upper);
            assert!(from < midpoint && midpoint <= to, "{from} {midpoint} {to}");
            lower = *upper;
        }
        let (from, to) = place(DURATION_BOUNDS, DURATION_BOUNDS.len());
        assert!(from <= 10.0 && to > 10.0);
    }

    #[test]
    fn duration_bounds_fit_at_the_finest_scale() {
        let counts = vec![1; DURATION_BOUNDS.len() + 1];
        let converted = convert(&histogram(DURATION_BOUNDS, counts)).expect("bounds");
        assert_eq!(converted.scale, 3);
        assert!(converted.positive.bucket_counts.len() <= 160);
    }

    #[test]
    fn no_bounds_say_nothing() {
        assert_eq!(convert(&histogram(&[], vec![3])), None);
        assert!(convert(&histogram(&[f64::INFINITY], vec![3, 0])).is_none());
    }

    proptest! {
        #[test]
        fn the_count_is_exact_and_the_buckets_are_few(
            buckets in prop::collection::btree_map(-5_i32..1_000_000, 0_u64..1000, 1..40),
            above in 0_u64..1000,
            unit in prop::sample::select(vec![1e-9, 1e-3, 1.0, 1e6]),
        ) {
            let bounds: Vec<f64> = buckets.keys().map(|key| f64::from(*key) * unit).collect();
            let mut counts: Vec<u64> = buckets.values().copied().collect();
            counts.push(above);
            let total: u64 = counts.iter().sum();
            let converted = convert(&histogram(&bounds, counts));
            prop_assert_eq!(converted.is_some(), bounds.last().is_some_and(|last| *last > 0.0));
            if let Some(converted) = converted {
                let sum: u64 = converted.positive.bucket_counts.iter().sum();
                prop_assert_eq!(sum + converted.zero_count, total);
                prop_assert!(converted.positive.bucket_counts.len() <= 160);
            }
        }
    }
}
