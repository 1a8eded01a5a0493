//! Many short queues in one pool.
//!
//! Almost every connection has no request or one in flight. A queue of its own would keep memory
//! on each idle connection; here an empty queue is three numbers, and all that is in flight
//! stands in one vector that can be walked without visiting idle connections.

/// No slot.
const NONE: u32 = u32::MAX;
/// Slots that stay allocated when the pool has become empty.
const KEPT: usize = 1024;

enum Slot<T> {
    Free { next: u32 },
    Used { next: u32, value: T },
}

/// Where the values of all queues are.
pub(super) struct Pool<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    used: usize,
}

impl<T> Pool<T> {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            used: 0,
        }
    }

    /// Values in all queues.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// The values of all queues, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Used { value, .. } => Some(value),
            Slot::Free { .. } => None,
        })
    }

    /// Adds a value outside of any queue; where it is. The caller removes it.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let used = Slot::Used { next: NONE, value };
        self.used += 1;
        if let Some(slot) = self.slots.get_mut(self.free as usize) {
            let index = self.free;
            if let Slot::Free { next } = *slot {
                self.free = next;
            }
            *slot = used;
            return index;
        }
        let index = u32::try_from(self.slots.len()).expect("the caller caps the pool");
        self.slots.push(used);
        index
    }

    /// Drops a value where it is; the slot after it in its queue.
    pub(super) fn remove(&mut self, index: u32) -> Option<u32> {
        let slot = self.slots.get_mut(index as usize)?;
        let Slot::Used { next, .. } = *slot else {
            return None;
        };
        *slot = Slot::Free { next: self.free };
        self.free = index;
        self.used -= 1;
        self.shrink();
        Some(next)
    }

    /// Gives the memory of a burst back once nothing is in flight.
    fn shrink(&mut self) {
        if self.used == 0 && self.slots.len() > KEPT {
            self.slots = Vec::new();
            self.free = NONE;
        }
    }

    /// The value that was inserted there.
    pub(super) fn value(&mut self, index: u32) -> Option<&mut T> {
        self.get_mut(index).map(|(_, value)| value)
    }

    fn get_mut(&mut self, index: u32) -> Option<(&mut u32, &mut T)> {
        match self.slots.get_mut(index as usize)? {
            Slot::Used { next, value } => Some((next, value)),
            Slot::Free { .. } => None,
        }
    }
}

/// First in, first out, with the values in a [`Pool`]. Must be used with one pool only, and
/// emptied before it is dropped.
#[derive(Debug)]
pub(super) struct Queue {
    head: u32,
    tail: u32,
    len: u32,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self {
            head: NONE,
            tail: NONE,
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn push<T>(&mut self, pool: &mut Pool<T>, value: T) {
        let index = pool.insert(value);
        match pool.get_mut(self.tail) {
            Some((next, _)) if self.len > 0 => *next = index,
            _ => self.head = index,
        }
        self.tail = index;
        self.len += 1;
    }

    /// Drops the oldest value; `false` when there is none.
    pub(super) fn drop_front<T>(&mut self, pool: &mut Pool<T>) -> bool {
        let Some(next) = pool.remove(self.head) else {
            return false;
        };
        self.len -= 1;
        self.head = next;
        if self.len == 0 {
            *self = Self::new();
        }
        true
    }

    /// Where the oldest value is, taken out of the queue but not of the pool.
    pub(super) fn detach_front<T>(&mut self, pool: &mut Pool<T>) -> Option<u32> {
        let index = self.head;
        let (next, _) = pool.get_mut(index)?;
        self.head = std::mem::replace(next, NONE);
        self.len -= 1;
        if self.len == 0 {
            *self = Self::new();
        }
        Some(index)
    }

    /// The oldest value.
    pub(super) fn front<'a, T>(&self, pool: &'a mut Pool<T>) -> Option<&'a mut T> {
        pool.get_mut(self.head).map(|(_, value)| value)
    }

    /// The newest value.
    pub(super) fn back<'a, T>(&self, pool: &'a mut Pool<T>) -> Option<&'a mut T> {
        pool.get_mut(self.tail).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Queues that share a pool behave as queues of their own.
        #[test]
        fn queues_do_not_mix(steps in prop::collection::vec((0..4_usize, any::<bool>()), 0..200)) {
            let mut pool = Pool::new();
            let mut queues = [const { Queue::new() }; 4];
            let mut model = vec![VecDeque::new(); 4];
            for (value, (which, push)) in steps.into_iter().enumerate() {
                if push {
                    queues[which].push(&mut pool, value);
                    model[which].push_back(value);
                } else {
                    let dropped = queues[which].drop_front(&mut pool);
                    prop_assert_eq!(dropped, model[which].pop_front().is_some());
                }
                prop_assert_eq!(queues[which].front(&mut pool).copied(), model[which].front().copied());
                prop_assert_eq!(queues[which].back(&mut pool).copied(), model[which].back().copied());
                prop_assert_eq!(queues[which].len(), model[which].len());
                let total: usize = model.iter().map(VecDeque::len).sum();
                prop_assert_eq!(pool.len(), total);
                prop_assert_eq!(pool.iter().count(), total);
            }
        }
    }

    #[test]
    fn memory_of_a_burst_is_given_back() {
        let mut pool = Pool::new();
        let mut queue = Queue::new();
        for value in 0..10_000 {
            queue.push(&mut pool, value);
        }
        while queue.drop_front(&mut pool) {}
        assert!(pool.slots.capacity() <= KEPT);
    }
}
