//! Log2 histograms: the same bucket rule on both sides.

use crate::pod;

/// Buckets of a [`Log2`]: the last one also takes everything larger.
///
/// In nanoseconds, 40 buckets reach from under 1 ns to about 9 minutes.
pub const BUCKETS: usize = 40;

/// A histogram whose bucket `i` counts the values in `[2^i, 2^(i+1))`; bucket 0 takes 0 too.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log2 {
    /// Number of values.
    pub count: u64,
    /// Exact sum of the values.
    pub sum: u64,
    /// Values per bucket, not cumulative.
    pub buckets: [u64; BUCKETS],
}

pod!(Log2);

impl Log2 {
    /// A histogram with no values.
    pub const EMPTY: Self = Self {
        count: 0,
        sum: 0,
        buckets: [0; BUCKETS],
    };

    /// Adds one value.
    #[expect(
        clippy::inline_always,
        reason = "calls in BPF are limited in depth and stack"
    )]
    #[inline(always)]
    pub fn record(&mut self, value: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
        self.buckets[bucket(value)] += 1;
    }

    /// Adds the values of another histogram, as when the CPUs' copies are summed.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
    }
}

impl Default for Log2 {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// The bucket that counts `value`: the position of its highest bit, at most `BUCKETS - 1`.
///
/// Written without `leading_zeros`: BPF has no such instruction, and the verifier sees the bound.
#[expect(
    clippy::inline_always,
    reason = "calls in BPF are limited in depth and stack"
)]
#[inline(always)]
#[must_use]
pub fn bucket(value: u64) -> usize {
    let mut rest = value;
    let mut index = 0usize;
    if rest >= 1 << 32 {
        rest >>= 32;
        index += 32;
    }
    if rest >= 1 << 16 {
        rest >>= 16;
        index += 16;
    }
    if rest >= 1 << 8 {
        rest >>= 8;
        index += 8;
    }
    if rest >= 1 << 4 {
        rest >>= 4;
        index += 4;
    }
    if rest >= 1 << 2 {
        rest >>= 2;
        index += 2;
    }
    if rest >= 1 << 1 {
        index += 1;
    }
    if index < BUCKETS { index } else { BUCKETS - 1 }
}

/// Largest whole value that bucket `index` counts, `None` for the open last bucket.
#[must_use]
pub fn upper_bound(index: usize) -> Option<u64> {
    (index < BUCKETS - 1).then(|| (1u64 << (index + 1)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_power_of_two_starts_its_bucket() {
        assert_eq!(bucket(0), 0);
        for exponent in 0..64usize {
            let value = 1u64 << exponent;
            assert_eq!(bucket(value), exponent.min(BUCKETS - 1), "2^{exponent}");
            assert_eq!(bucket(value | (value - 1)), exponent.min(BUCKETS - 1));
        }
    }

    #[test]
    fn a_value_lies_within_its_buckets_bounds() {
        for value in [0, 1, 2, 3, 4, 1000, 4095, 4096, 1 << 38, u64::MAX] {
            let index = bucket(value);
            if let Some(upper) = upper_bound(index) {
                assert!(value <= upper);
            }
            if index > 0 {
                assert!(value > upper_bound(index - 1).unwrap());
            }
        }
    }

    #[test]
    fn merge_adds_counts_sums_and_buckets() {
        let (mut left, mut right) = (Log2::EMPTY, Log2::EMPTY);
        left.record(3);
        right.record(3);
        right.record(100);
        left.merge(&right);
        assert_eq!((left.count, left.sum), (3, 106));
        assert_eq!(left.buckets[1], 2);
        assert_eq!(left.buckets[6], 1);
    }
}
