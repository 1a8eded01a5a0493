//! Tables by numbers.
//!
//! std's hasher keeps whoever chooses the keys from making all of them collide, and costs more
//! than all the rest of a look-up. Numbers that the agent or the kernel gives out (connections,
//! processes, series, addresses in memory) are chosen by nobody. Text that comes from outside
//! belongs into a table with std's hasher.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A table whose keys are made of numbers that nobody outside chooses.
pub type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Multiplies and folds: a few instructions for each number.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberHasher(u64);

impl NumberHasher {
    fn add(&mut self, number: u64) {
        // 2^64 over the golden ratio: consecutive numbers end up far apart (Knuth, volume 3,
        // section 6.4). The table looks at the lowest and at the highest bits.
        let mixed = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.add(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.add(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.add(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.add(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.add(number.cast_unsigned() as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        hash::{BuildHasher, Hash},
    };

    use super::*;

    fn hashes<T: Hash>(keys: impl Iterator<Item = T>) -> (usize, usize) {
        let hasher = BuildHasherDefault::<NumberHasher>::default();
        let all: Vec<u64> = keys.map(|key| hasher.hash_one(key)).collect();
        let low: HashSet<u64> = all.iter().map(|hash| hash & 0xfff).collect();
        let high: HashSet<u64> = all.iter().map(|hash| hash >> 57).collect();
        (low.len(), high.len())
    }

    #[test]
    fn keys_spread_over_the_bits_that_a_table_looks_at() {
        // Of 4096 values drawn at random, 2589 differ.
        for (low, high) in [
            hashes(0..4096_u64),
            hashes((0..4096_u64).map(|key| key << 12)),
            hashes((0..4096_usize).map(|key| 0x7f00_0000_0000 + key * 64)),
            hashes((0..4096_u32).map(|key| (key / 64, Some(key % 64)))),
        ] {
            assert!(low > 2000, "{low}");
            assert_eq!(high, 128);
        }
    }
}
