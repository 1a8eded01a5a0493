//! HTTP/2 frames, byte by byte (RFC 9113 section 4.1).

/// What a client sends before its first frame.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a body.
pub const DATA: u8 = 0;
/// A head, or the beginning of one.
pub const HEADERS: u8 = 1;
/// What an end asks of the other one.
pub const SETTINGS: u8 = 4;
/// More room for bodies.
pub const WINDOW_UPDATE: u8 = 8;
/// The rest of a head.
pub const CONTINUATION: u8 = 9;

/// Of DATA and HEADERS: nothing more comes from this end.
pub const END_STREAM: u8 = 1;
/// Of HEADERS and CONTINUATION: the head is whole.
pub const END_HEADERS: u8 = 4;

/// A frame.
///
/// # Panics
///
/// When the payload's length doesn't fit in 32 bits.
#[must_use]
pub fn of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A SETTINGS frame that asks for nothing.
#[must_use]
pub fn settings() -> Vec<u8> {
    of(SETTINGS, 0, 0, &[])
}
