//! The dynamic table, as far as it is known.
//!
//! An index counts from the newest entry back (RFC 7541 section 2.3.3), and entries leave at the
//! old end only. So whoever has seen every insertion since some moment knows every entry from
//! then on by its index, whatever came before, and whatever has been evicted: an index never
//! leads to another entry, only beyond those that are known. To keep an entry longer than the
//! encoder does is harmless as well; it merely isn't asked for again.

use std::collections::VecDeque;

/// Largest table that is kept, by the RFC's measure of size. Of a larger one the oldest entries
/// are not known.
const CAP: u32 = 64 * 1024;
/// Size of a table of which nothing else was said: RFC 9113 section 6.5.2.
const DEFAULT: u32 = 4096;
/// What an entry counts beside its name and value: RFC 7541 section 4.1.
const OVERHEAD: u32 = 32;

/// Memory for the tables of all connections, by the RFC's measure of size.
#[derive(Debug)]
pub(in crate::l7) struct Budget {
    pub(in crate::l7) all: usize,
    pub(in crate::l7) used: usize,
}

/// A table of what was made of the fields.
#[derive(Debug)]
pub(super) struct Table<T> {
    /// The newest first.
    entries: VecDeque<Entry<T>>,
    /// Sum of the entries' sizes.
    size: u32,
    /// The encoder's limit; [`CAP`] when that is higher or not known.
    max: u32,
    /// All that the encoder may refer to is here.
    complete: bool,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    size: u32,
}

impl<T> Table<T> {
    /// A table at the beginning of a connection.
    pub(super) const fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            max: DEFAULT,
            complete: true,
        }
    }

    /// A table of which nothing is known.
    pub(super) const fn late() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            max: CAP,
            complete: false,
        }
    }

    /// Whether an index that leads nowhere is the encoder's mistake.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// The entry that was inserted so many insertions before the last one.
    pub(super) fn get(&self, back: u32) -> Option<&T> {
        let entry = self.entries.get(usize::try_from(back).ok()?)?;
        Some(&entry.value)
    }

    /// Inserts an entry whose name and value have this length together (section 4.4).
    pub(super) fn insert(&mut self, value: T, length: u32, budget: &mut Budget) {
        let size = length.saturating_add(OVERHEAD);
        self.evict(self.max.saturating_sub(size), budget);
        if size > self.max && self.max < CAP {
            // Too large for the table, which is empty now.
            return;
        }
        self.size = self.size.saturating_add(size);
        budget.used += size as usize;
        self.entries.push_front(Entry { value, size });
        while budget.used > budget.all && self.drop_oldest(budget) {
            self.complete = false;
        }
    }

    /// Takes a dynamic table size update in (section 6.3).
    pub(super) fn resize(&mut self, max: u32, budget: &mut Budget) {
        self.max = max.min(CAP);
        self.evict(self.max, budget);
        // Nothing is left that could be unknown.
        self.complete |= max == 0;
    }

    /// Insertions were missed: no index leads to a known entry any more, until it is an entry that
    /// is inserted from here on.
    pub(super) fn forget(&mut self, budget: &mut Budget) {
        while self.drop_oldest(budget) {}
        self.entries = VecDeque::new();
        self.max = CAP;
        self.complete = false;
    }

    fn evict(&mut self, down_to: u32, budget: &mut Budget) {
        while self.size > down_to && self.drop_oldest(budget) {
            self.complete &= self.max < CAP;
        }
    }

    fn drop_oldest(&mut self, budget: &mut Budget) -> bool {
        let Some(entry) = self.entries.pop_back() else {
            return false;
        };
        self.size -= entry.size;
        budget.used -= entry.size as usize;
        true
    }
}
