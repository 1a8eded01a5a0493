//! Heads that were read lately, by their bytes.
//!
//! On a keep-alive connection a client mostly sends the same head again, and a server the same
//! one until its `Date` is another. To compare a head costs a tenth of reading it. What is found
//! here is what the parser made of exactly these bytes, so nothing can differ but the cost.
//!
//! It holds on to whole heads, at most [`SLOTS`] of each kind, but to none with credentials, cookies
//! or a query: those are read each time. The ring buffer, which is mapped into the agent's memory as
//! well, keeps many times that, until it is written over.

/// Heads that are remembered.
const SLOTS: usize = 128;
/// Longer heads are not remembered: they are rare, and each is mostly another.
const LONGEST: usize = 1024;
/// Heads in a row that are not remembered, at most, where none was ever seen twice.
const PATIENCE: u8 = 63;

/// What was read lately. One slot per hash: a new head takes the place of the old one.
#[derive(Debug)]
pub(super) struct Memo<T> {
    slots: Vec<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    /// The head, with its blank line.
    bytes: Vec<u8>,
    value: Option<T>,
    /// Heads that were not remembered here in a row, after the last one that was in vain.
    passed: u8,
    /// How many are to be passed over: doubles with each head that was remembered in vain, so
    /// that heads of which no two are equal cost little more than without a memory.
    pass: u8,
}

impl<T: Clone> Memo<T> {
    pub(super) fn new() -> Self {
        let mut slots = Vec::new();
        slots.resize_with(SLOTS, || Slot {
            bytes: Vec::new(),
            value: None,
            passed: 0,
            pass: 0,
        });
        Self { slots }
    }

    /// Whether some head that is held has these bytes in it.
    #[cfg(test)]
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        let mut held = self.slots.iter().map(|slot| &slot.bytes);
        held.any(|head| head.windows(bytes.len()).any(|window| window == bytes))
    }

    /// What was read from the head that `bytes` begin with, and its length.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<(T, usize)> {
        let slot = self.slots.get_mut(slot_of(bytes))?;
        let value = slot.value.as_ref()?;
        if !bytes.starts_with(&slot.bytes) {
            return None;
        }
        slot.pass = 0;
        Some((value.clone(), slot.bytes.len()))
    }

    /// Remembers what was read from the first `length` of `bytes`. It must not depend on what
    /// follows them.
    pub(super) fn remember(&mut self, bytes: &[u8], length: usize, value: &T) {
        let Some(slot) = self.slots.get_mut(slot_of(bytes)) else {
            return;
        };
        let Some(head) = bytes.get(..length).filter(|head| head.len() <= LONGEST) else {
            return;
        };
        if slot.passed < slot.pass {
            slot.passed += 1;
            return;
        }
        slot.passed = 0;
        slot.pass = (slot.pass * 2 + 1).min(PATIENCE);
        slot.bytes.clear();
        slot.bytes.extend_from_slice(head);
        slot.value = Some(value.clone());
    }
}

/// By the length of a read or write, which most heads have to themselves, and some of its first
/// bytes.
fn slot_of(bytes: &[u8]) -> usize {
    /// Where the path stands, or the server's name, and where the first fields differ.
    const LOOKED_AT: [usize; 6] = [4, 12, 20, 28, 56, 88];
    let words = LOOKED_AT.iter().map_while(|at| {
        let word = bytes.get(*at..)?.first_chunk()?;
        Some(u64::from_le_bytes(*word))
    });
    let mixed = words.fold(bytes.len() as u64, |sum, word| {
        (sum.rotate_left(13) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    usize::try_from(mixed >> 32).unwrap_or_default() % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_found_whatever_follows_it() {
        let mut memo = Memo::new();
        let head = b"HTTP/1.1 204 No Content\r\n\r\n";
        memo.remember(head, head.len(), &7);
        assert_eq!(memo.find(head), Some((7, head.len())));
        assert_eq!(memo.find(&head[..head.len() - 1]), None);
        let with_body = [&head[..10], b"12345"].concat();
        memo.remember(&with_body, 10, &8);
        assert_eq!(memo.find(&with_body), Some((8, 10)));
    }

    #[test]
    fn heads_that_never_repeat_are_remembered_ever_more_rarely() {
        let mut memo = Memo::new();
        let head = |number: u32| format!("{}{number:08}", "x".repeat(96)).into_bytes();
        let heads = (0..10_000).map(head);
        let kept = heads.filter(|head| {
            assert_eq!(memo.find(head), None);
            memo.remember(head, head.len(), &());
            memo.slots[slot_of(head)].bytes == *head
        });
        assert!(kept.count() < 200);
    }

    #[test]
    fn a_head_that_changes_now_and_then_is_remembered_at_once() {
        let mut memo = Memo::new();
        for second in 0..100 {
            let head = format!("HTTP/1.1 200 OK\r\nDate: {second:02}\r\n\r\n").into_bytes();
            memo.remember(&head, head.len(), &second);
            for _ in 0..3 {
                assert_eq!(memo.find(&head), Some((second, head.len())));
            }
        }
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut memo = Memo::new();
        for number in 0..10_000 {
            let head = vec![b'x'; number];
            memo.remember(&head, head.len(), &());
        }
        let held: usize = memo.slots.iter().map(|slot| slot.bytes.capacity()).sum();
        assert!(held <= SLOTS * LONGEST * 2);
    }
}
