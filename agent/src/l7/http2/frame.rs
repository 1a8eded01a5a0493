//! Frame headers: RFC 9113, sections 4 and 6.

/// What a client sends first: section 3.4.
pub(in crate::l7) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame header.
pub(super) const HEADER: usize = 9;
/// Largest payload that may be sent to a peer that hasn't said otherwise: section 6.5.2.
pub(super) const MAX_FRAME: u32 = 16_384;

/// Flags of frames, section 6.
pub(super) mod flag {
    /// The last frame of its stream.
    pub(in crate::l7::http2) const END_STREAM: u8 = 0x1;
    /// SETTINGS and PING: an acknowledgement.
    pub(in crate::l7::http2) const ACK: u8 = 0x1;
    /// The last frame of its header block.
    pub(in crate::l7::http2) const END_HEADERS: u8 = 0x4;
    /// The payload begins with the length of the padding at its end.
    pub(in crate::l7::http2) const PADDED: u8 = 0x8;
    /// Five bytes about priority stand before the header block.
    pub(in crate::l7::http2) const PRIORITY: u8 = 0x20;
}

/// Types of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    ResetStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// One of an extension: to be passed over (section 4.1).
    Other(u8),
}

impl Kind {
    const fn of(code: u8) -> Self {
        match code {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::ResetStream,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            other => Self::Other(other),
        }
    }

    /// Extensions that are sent unasked: ALTSVC (RFC 7838), ORIGIN (RFC 8336) and
    /// `PRIORITY_UPDATE` (RFC 9218).
    const fn is_known_extension(code: u8) -> bool {
        matches!(code, 0x0a | 0x0c | 0x10)
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Bytes of the payload.
    pub(super) length: u32,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    /// 0 for the connection itself.
    pub(super) stream: u32,
    /// The reserved bit, which is 0.
    reserved: bool,
}

impl FrameHeader {
    pub(super) const fn read(bytes: [u8; HEADER]) -> Self {
        let [l2, l1, l0, kind, flags, s3, s2, s1, s0] = bytes;
        let stream = u32::from_be_bytes([s3, s2, s1, s0]);
        Self {
            length: u32::from_be_bytes([0, l2, l1, l0]),
            kind: Kind::of(kind),
            flags,
            stream: stream & (u32::MAX >> 1),
            reserved: stream >> 31 == 1,
        }
    }

    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether its stream and length are as its type demands (section 6). What is not is an error
    /// of the connection, or no frame at all.
    pub(super) const fn is_sound(&self) -> bool {
        let on_stream = self.stream != 0;
        match self.kind {
            Kind::Data | Kind::Headers | Kind::PushPromise | Kind::Continuation => on_stream,
            Kind::Priority => on_stream && self.length == 5,
            Kind::ResetStream => on_stream && self.length == 4,
            Kind::Settings => {
                !on_stream
                    && self.length.is_multiple_of(6)
                    && (!self.has(flag::ACK) || self.length == 0)
            }
            Kind::Ping => !on_stream && self.length == 8,
            Kind::GoAway => !on_stream && self.length >= 8,
            Kind::WindowUpdate => self.length == 4,
            Kind::Other(_) => true,
        }
    }

    /// Whether bytes of which that isn't known look like a frame header: no more than `longest`
    /// bytes, a known type, no flag and bit that has no meaning, a stream that may exist.
    pub(super) const fn is_likely(&self, longest: u32) -> bool {
        let flags = match self.kind {
            Kind::Data => flag::END_STREAM | flag::PADDED,
            Kind::Headers => flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY,
            Kind::PushPromise => flag::END_HEADERS | flag::PADDED,
            Kind::Settings | Kind::Ping => flag::ACK,
            Kind::Continuation => flag::END_HEADERS,
            Kind::Priority | Kind::ResetStream | Kind::GoAway | Kind::WindowUpdate => 0,
            Kind::Other(code) if Kind::is_known_extension(code) => 0,
            Kind::Other(_) => return false,
        };
        self.length <= longest && self.flags & !flags == 0 && !self.reserved && self.is_sound()
    }
}

/// Whether bytes look like frames from their beginning: at least one whole header, and one after
/// each frame that ends within them.
pub(super) fn are_frames(mut bytes: &[u8], longest: u32) -> bool {
    let mut seen = false;
    while let Some(header) = bytes.first_chunk() {
        let header = FrameHeader::read(*header);
        if !header.is_likely(longest) {
            return false;
        }
        seen = true;
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        bytes = bytes
            .get(HEADER.saturating_add(length)..)
            .unwrap_or_default();
    }
    seen
}

/// Whether a connection that was open before looks as if frames began here.
pub(in crate::l7) fn looks_late(bytes: &[u8]) -> bool {
    are_frames(bytes, MAX_FRAME)
}

/// Whether a direction begins as that of a server: with SETTINGS, section 3.4.
pub(in crate::l7) fn starts_as_server(bytes: &[u8]) -> bool {
    let header = bytes.first_chunk().map(|header| FrameHeader::read(*header));
    header.is_some_and(|header| {
        header.kind == Kind::Settings && header.flags == 0 && header.is_likely(MAX_FRAME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: u8, kind: u8, flags: u8, stream: u8) -> [u8; HEADER] {
        [0, 0, length, kind, flags, 0, 0, 0, stream]
    }

    #[test]
    fn frames_look_like_frames() {
        let settings = header(0, 4, 0, 0);
        let update = [&header(4, 8, 0, 0)[..], &[0, 1, 0, 0]].concat();
        assert!(are_frames(&settings, MAX_FRAME));
        assert!(are_frames(&[&update[..], &settings].concat(), MAX_FRAME));
        assert!(are_frames(
            &[&settings[..], &update[..5]].concat(),
            MAX_FRAME
        ));
        assert!(!are_frames(&settings[..8], MAX_FRAME), "too little to say");
    }

    #[test]
    fn other_bytes_do_not() {
        for bytes in [
            [0; HEADER],
            *b"GET / HTT",
            *b"HTTP/1.1 ",
            header(1, 4, 0, 0),
            header(0, 4, 0, 1),
            header(6, 4, 1, 0),
            header(7, 6, 0, 0),
            header(0, 1, 0x40, 1),
            header(0, 0, 0, 0),
            header(0, 0x21, 0, 0),
            [0, 0, 1, 1, 4, 0x80, 0, 0, 1],
            [0, 0x40, 1, 0, 0, 0, 0, 0, 1],
        ] {
            assert!(!are_frames(&bytes, MAX_FRAME), "{bytes:?}");
        }
        let first_is_right = [&header(0, 4, 0, 0)[..], b"GET / HTT"].concat();
        assert!(!are_frames(&first_is_right, MAX_FRAME));
    }
}
