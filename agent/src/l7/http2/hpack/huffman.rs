//! The Huffman code of RFC 7541, Appendix B.

use super::Error;

/// Length of each byte's code, in bits; the last is that of the end of string. The code is
/// canonical (codes of one length go up with the byte), so that the lengths are all of it.
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// Bytes and the end of string.
const SYMBOLS: usize = 257;
const END: u16 = 256;
/// Longest code.
const LONGEST: u8 = 30;
/// Inner nodes of the code's tree.
const NODES: usize = SYMBOLS - 1;

/// What four bits lead to from a node. No code is shorter than five bits, so at most one byte is
/// complete on the way.
#[derive(Clone, Copy)]
struct Step {
    node: u8,
    /// The byte that was completed.
    byte: Option<u8>,
    /// The bits are those of the end of string, which must not be coded (section 5.2).
    end: bool,
}

struct Machine {
    steps: [[Step; 16]; NODES],
    /// Whether a string may end there: what follows its last byte is less than eight ones.
    last: [bool; NODES],
}

static MACHINE: Machine = machine(&tree());

/// A child of a node: another node, or `LEAF` plus a symbol.
const LEAF: u16 = 0x8000;
const NONE: u16 = u16::MAX;

#[expect(clippy::cast_possible_truncation, reason = "there are 257 symbols")]
const fn tree() -> [[u16; 2]; NODES] {
    let mut nodes = [[NONE; 2]; NODES];
    let (mut used, mut code, mut length) = (1, 0_u32, 1);
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] == length {
                used = insert(&mut nodes, used, code, length, symbol as u16);
                code += 1;
            }
            symbol += 1;
        }
        code <<= 1;
        length += 1;
    }
    nodes
}

/// Hangs a symbol up at its code; how many nodes there are then.
const fn insert(
    nodes: &mut [[u16; 2]; NODES],
    mut used: u16,
    code: u32,
    length: u8,
    symbol: u16,
) -> u16 {
    let (mut node, mut depth) = (0, length);
    while depth > 1 {
        depth -= 1;
        let bit = (code >> depth & 1) as usize;
        if nodes[node][bit] == NONE {
            nodes[node][bit] = used;
            used += 1;
        }
        node = nodes[node][bit] as usize;
    }
    nodes[node][(code & 1) as usize] = LEAF | symbol;
    used
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "there are 256 nodes and bytes"
)]
const fn machine(tree: &[[u16; 2]; NODES]) -> Machine {
    const NOWHERE: Step = Step {
        node: 0,
        byte: None,
        end: false,
    };
    let mut steps = [[NOWHERE; 16]; NODES];
    let mut node = 0;
    while node < NODES {
        let mut bits = 0;
        while bits < 16 {
            let (mut step, mut at, mut left) = (NOWHERE, node, 4);
            while left > 0 {
                left -= 1;
                let child = tree[at][bits >> left & 1];
                at = child as usize;
                if child & LEAF != 0 {
                    step.end |= child == LEAF | END;
                    step.byte = Some(child as u8);
                    at = 0;
                }
            }
            step.node = at as u8;
            steps[node][bits] = step;
            bits += 1;
        }
        node += 1;
    }
    let mut last = [false; NODES];
    let (mut at, mut ones) = (0, 0);
    while ones < 8 {
        last[at] = true;
        at = tree[at][1] as usize;
        ones += 1;
    }
    Machine { steps, last }
}

/// Decodes a string, and gives its bytes to `take`.
pub(super) fn decode(bytes: &[u8], mut take: impl FnMut(u8)) -> Result<(), Error> {
    let mut node = 0;
    for byte in bytes {
        for bits in [byte >> 4, byte & 15] {
            let step = &MACHINE.steps[usize::from(node)][usize::from(bits)];
            if step.end {
                return Err(Error::Huffman);
            }
            if let Some(byte) = step.byte {
                take(byte);
            }
            node = step.node;
        }
    }
    if MACHINE.last[usize::from(node)] {
        Ok(())
    } else {
        Err(Error::Huffman)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Codes bytes, with `padding` as the last bits.
    fn encode(text: &[u8], padding: u32) -> Vec<u8> {
        let mut codes = [(0_u32, 0_u8); SYMBOLS];
        let (mut code, mut length) = (0_u32, 1);
        while length <= LONGEST {
            for (symbol, own) in LENGTHS.iter().enumerate() {
                if *own == length {
                    codes[symbol] = (code, length);
                    code += 1;
                }
            }
            code <<= 1;
            length += 1;
        }
        let mut bits: Vec<bool> = Vec::new();
        for byte in text {
            let (code, length) = codes[usize::from(*byte)];
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push(padding >> (bits.len() % 8) & 1 == 1);
        }
        bits.chunks(8)
            .map(|eight| eight.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit)))
            .collect()
    }

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        decode(bytes, |byte| text.push(byte)).map(|()| text)
    }

    #[test]
    fn the_specifications_example_is_read() {
        let coded = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        assert_eq!(decoded(&coded), Ok(b"www.example.com".to_vec()));
        assert_eq!(encode(b"www.example.com", u32::MAX), coded);
    }

    #[test]
    fn padding_is_less_than_eight_ones() {
        // `0` is five zero bits.
        assert_eq!(decoded(&[0b0000_0111]), Ok(b"0".to_vec()));
        assert_eq!(decoded(&[0b0000_0110]), Err(Error::Huffman));
        assert_eq!(decoded(&[0b0000_0111, 0xff]), Err(Error::Huffman));
        assert_eq!(decoded(&[0xff]), Err(Error::Huffman));
        assert_eq!(decoded(&[]), Ok(Vec::new()));
    }

    #[test]
    fn the_end_of_string_must_not_be_coded() {
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), Err(Error::Huffman));
    }

    proptest! {
        #[test]
        fn what_was_coded_is_read(text in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decoded(&encode(&text, u32::MAX)), Ok(text));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decoded(&bytes);
        }
    }
}
