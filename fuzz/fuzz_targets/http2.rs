//! Conversations over HTTP/2 (RFC 9113): what is read begins with the client's preface, and
//! `^TFSSSS` within a piece stands for a frame's head: type, flags and stream number as printable
//! characters, its length being that of the bytes up to the next `^`.
#![no_main]

use std::cell::Cell;

use libfuzzer_sys::fuzz_target;
use sonde_common::event::http::Direction;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fuzz_target!(|text: &[u8]| {
    sonde_fuzz::check_all(text, || {
        let begun = Cell::new(false);
        Box::new(move |direction, bytes| {
            let mut stream = Vec::new();
            if direction == Direction::Receive && !begun.replace(true) {
                stream.extend_from_slice(PREFACE);
            }
            let mut parts = bytes.split(|byte| *byte == b'^');
            stream.extend_from_slice(parts.next().unwrap_or_default());
            parts.for_each(|part| frame(part, &mut stream));
            stream
        })
    });
});

/// RFC 9113, section 4.1. Digits are what they say, other characters what they are.
fn frame(part: &[u8], stream: &mut Vec<u8>) {
    let value = |byte: u8| {
        if byte.is_ascii_digit() {
            byte - b'0'
        } else {
            byte
        }
    };
    let [kind, flags, number, payload @ ..] = part else {
        stream.extend_from_slice(part);
        return;
    };
    let length = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    stream.extend_from_slice(&length[1..]);
    stream.extend_from_slice(&[value(*kind), value(*flags), 0, 0, 0, value(*number)]);
    stream.extend_from_slice(payload);
}
