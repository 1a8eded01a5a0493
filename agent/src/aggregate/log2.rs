//! The kernel's log2 histograms of nanoseconds to metric histograms of seconds.

use std::sync::{Arc, LazyLock};

use sonde_common::hist::{BUCKETS, Log2};

use crate::metric::Histogram;

/// Which of the log2 bounds are told. The others' counts go to the next one that is.
#[derive(Debug)]
pub struct Bounds {
    /// Exponents of two, ascending, below [`BUCKETS`]: bound `2^exponent` nanoseconds.
    exponents: Vec<usize>,
    seconds: Arc<[f64]>,
}

impl Bounds {
    /// Every `step`th power of two nanoseconds from `2^first` to `2^last`.
    fn new(first: usize, last: usize, step: usize) -> Self {
        let exponents: Vec<usize> = (first..=last.min(BUCKETS - 1)).step_by(step).collect();
        let seconds = exponents
            .iter()
            .map(|exponent| (1_u64 << exponent) as f64 / 1e9)
            .collect();
        Self { exponents, seconds }
    }
}

/// By powers of four from 1.024 us to 17.2 s: for what has one histogram per service and system
/// call.
pub static COARSE: LazyLock<Bounds> = LazyLock::new(|| Bounds::new(10, 34, 2));

/// By powers of two from 1.024 us to 17.2 s: for what has few histograms.
pub static FINE: LazyLock<Bounds> = LazyLock::new(|| Bounds::new(10, 34, 1));

/// The distribution in seconds; `None` when it has no values.
///
/// Bucket `i` of a [`Log2`] holds whole nanoseconds below `2^(i+1)`, which is the `le` that its
/// values are counted under: rounded up, never down. The sum is the kernel's own, exact one.
#[must_use]
pub fn histogram(log2: &Log2, bounds: &Bounds) -> Option<Histogram> {
    let mut counts = vec![0; bounds.exponents.len() + 1];
    for (index, count) in log2.buckets.iter().enumerate() {
        // The last bucket is open: no bound holds all of it.
        let bucket = if index + 1 == BUCKETS {
            bounds.exponents.len()
        } else {
            bounds
                .exponents
                .partition_point(|exponent| *exponent < index + 1)
        };
        if let Some(sum) = counts.get_mut(bucket) {
            *sum += count;
        }
    }
    (counts.iter().any(|count| *count > 0)).then(|| Histogram {
        bounds: Arc::clone(&bounds.seconds),
        counts,
        sum: log2.sum as f64 / 1e9,
    })
}

/// What came to a cumulative histogram since `last`. A part that a torn read shows smaller than
/// before counts nothing.
#[must_use]
pub fn growth(now: &Log2, last: &Log2) -> Log2 {
    let mut growth = Log2::EMPTY;
    growth.count = now.count.saturating_sub(last.count);
    growth.sum = now.sum.saturating_sub(last.sum);
    for ((grown, now), last) in growth.buckets.iter_mut().zip(now.buckets).zip(last.buckets) {
        *grown = now.saturating_sub(last);
    }
    growth
}

/// Raises every part of `highest` to that of `now`.
pub fn raise(highest: &mut Log2, now: &Log2) {
    highest.count = highest.count.max(now.count);
    highest.sum = highest.sum.max(now.sum);
    for (highest, now) in highest.buckets.iter_mut().zip(now.buckets) {
        *highest = now.max(*highest);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log2(values: &[u64]) -> Log2 {
        let mut log2 = Log2::EMPTY;
        for value in values {
            log2.record(*value);
        }
        log2
    }

    #[test]
    fn bounds_are_rounded_up_to_the_next_power() {
        let histogram = histogram(&log2(&[0, 1023, 1024, 4095, 4096]), &COARSE).unwrap();
        assert_eq!(histogram.counts.get(..3), Some(&[2, 2, 1][..]));
        let first: Vec<_> = histogram.bounds.iter().take(3).copied().collect();
        assert_eq!(first, [1.024e-6, 4.096e-6, 16.384e-6]);
    }

    #[test]
    fn no_values_are_absent_rather_than_zero() {
        assert_eq!(histogram(&Log2::EMPTY, &FINE), None);
    }

    #[test]
    fn a_torn_read_never_counts_back() {
        let mut highest = log2(&[5, 5]);
        let torn = log2(&[5]);
        assert_eq!(growth(&torn, &highest), Log2::EMPTY);
        raise(&mut highest, &torn);
        assert_eq!(growth(&log2(&[5, 5, 5]), &highest), log2(&[5]));
    }

    proptest! {
        #[test]
        fn every_value_is_under_its_bound(value in 0_u64..1 << 45) {
            for bounds in [&*COARSE, &*FINE] {
                let histogram = histogram(&log2(&[value]), bounds).unwrap();
                prop_assert_eq!(histogram.count(), 1);
                let bucket = histogram.counts.iter().position(|count| *count == 1).unwrap();
                let seconds = value as f64 / 1e9;
                if let Some(upper) = histogram.bounds.get(bucket) {
                    prop_assert!(seconds <= *upper);
                }
                if bucket > 0 {
                    prop_assert!(seconds >= histogram.bounds[bucket - 1]);
                }
                prop_assert!((histogram.sum - seconds).abs() < 1e-12);
            }
        }
    }
}
