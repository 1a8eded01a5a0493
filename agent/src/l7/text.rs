//! Strings of an exchange: bounded, valid UTF-8, shared where they repeat.

use std::sync::Arc;

/// Strings that are remembered.
const SLOTS: usize = 1024;
/// Longer ones are not worth remembering.
const LONGEST: usize = 256;

/// Remembers recent strings, so that a host or path that repeats is not allocated again.
///
/// One slot per hash: a new string takes the place of the old one, so memory is bounded and
/// nothing has to be evicted.
pub(super) struct Interner {
    slots: Vec<Option<Arc<str>>>,
}

impl Interner {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![None; SLOTS],
        }
    }

    /// The bytes as text (replacement characters for what is not UTF-8), cut to at most
    /// `longest` bytes; and whether it was cut.
    pub(super) fn text(&mut self, bytes: &[u8], longest: usize) -> (Arc<str>, bool) {
        let cut = bytes.len() > longest;
        let bytes = bytes.get(..longest).unwrap_or(bytes);
        if let Some(Some(known)) = self.slots.get(hash(bytes) % SLOTS)
            && known.as_bytes() == bytes
        {
            return (Arc::clone(known), cut);
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => self.intern(text),
            // The cut went through a character.
            Err(error) if cut && error.error_len().is_none() => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                self.intern(&String::from_utf8_lossy(valid))
            }
            Err(_) => self.intern(&String::from_utf8_lossy(bytes)),
        };
        (text, cut)
    }

    fn intern(&mut self, text: &str) -> Arc<str> {
        if text.len() > LONGEST {
            return text.into();
        }
        let Some(slot) = self.slots.get_mut(hash(text.as_bytes()) % SLOTS) else {
            return text.into();
        };
        match slot {
            Some(known) if **known == *text => Arc::clone(known),
            _ => Arc::clone(slot.insert(text.into())),
        }
    }
}

/// The bytes as text, control characters and what is not UTF-8 replaced, cut to at most `longest`
/// bytes.
pub(super) fn printable(bytes: &[u8], longest: usize) -> String {
    let mut kept = String::with_capacity(bytes.len().min(longest));
    // What is cut off may be in the middle of a character; it is beyond the end anyway.
    let bytes = bytes.get(..longest.saturating_add(4)).unwrap_or(bytes);
    for character in String::from_utf8_lossy(bytes).chars() {
        let character = if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        };
        if kept.len() + character.len_utf8() > longest {
            break;
        }
        kept.push(character);
    }
    kept
}

/// A quick hash; collisions cost an allocation and nothing else.
fn hash(bytes: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    let last = rest
        .iter()
        .fold(0, |last, byte| last << 8 | u64::from(*byte));
    for word in words
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .chain([last])
    {
        state = (state ^ word).wrapping_mul(FACTOR);
        state ^= state >> 29;
    }
    // The upper bits depend on every byte.
    usize::try_from(state >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_share_memory() {
        let mut interner = Interner::new();
        let (one, _) = interner.text(b"/orders/7", 100);
        let (two, _) = interner.text(b"/orders/7", 100);
        assert!(Arc::ptr_eq(&one, &two));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let mut interner = Interner::new();
        assert_eq!(interner.text("aé".as_bytes(), 2), ("a".into(), true));
        assert_eq!(interner.text("aé".as_bytes(), 3), ("aé".into(), false));
    }

    #[test]
    fn fault_04_invalid_utf8_is_replaced() {
        let mut interner = Interner::new();
        assert_eq!(interner.text(b"/\xff\x00x", 9).0.as_ref(), "/\u{fffd}\0x");
    }
}
