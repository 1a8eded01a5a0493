//! What became of everything that the byte-stream model was given.

use crate::reason::reasons;

reasons! {
    /// Why a request that was seen gave no exchange.
    Dropped {
        /// Bytes were missed in which whole messages may have been, so that no answer can be told
        /// to be this request's.
        Uncertain => "pairing_uncertain",
        /// More requests in flight on the connection than allowed; the connection was given up.
        PipelineFull => "pipeline_full",
        /// More streams open on an HTTP/2 connection than allowed; the others go on.
        StreamsFull => "streams_full",
        /// More requests in flight in all than allowed; a connection of HTTP/1.x was given up.
        InFlightFull => "in_flight_full",
        /// The server of an HTTP/2 connection said (GOAWAY) that it hasn't looked at the request and
        /// won't.
        GoneAway => "goaway",
        /// The connection turned into a tunnel before its turn.
        Tunnel => "tunnel",
        /// It stands where, after missed bytes, it can't be told from a body, or on a connection
        /// that was given up. Only those at the start of a read or write are seen.
        Unsynchronised => "unsynchronised",
    }
}

reasons! {
    /// Why bytes where a message should begin were not taken for one.
    Rejection {
        /// Neither a request line nor a status line.
        NotHttp => "not_http",
        /// A TLS record.
        Tls => "tls",
        /// A request line without a version.
        Http09 => "http_0_9",
        /// The stream ended within a head.
        Incomplete => "incomplete_head",
    }
}

reasons! {
    /// Why a connection is no longer, or was never, looked at.
    GivenUp {
        /// The table had no room.
        TableFull => "table_full",
        /// More requests in flight on the connection than allowed.
        PipelineFull => "pipeline_full",
        /// More requests in flight in all than allowed.
        InFlightFull => "in_flight_full",
        /// A client that pipelines, and a gap that may have held messages.
        PipelineLost => "pipeline_lost",
        /// An answer that is no HTTP.
        InvalidResponse => "invalid_response",
        /// Silent for a long time while the table was full.
        Idle => "idle",
        /// Another protocol; the stage `http_message` counts which.
        OtherProtocol => "other_protocol",
    }
}

reasons! {
    /// What was seen and is no message of its own, or not a whole one.
    Other {
        /// An exchange was given up because no answer, or no more of it, came in time: it counts
        /// as one that failed.
        Aged => "aged",
        /// An answer without a request that it could belong to.
        OrphanResponse => "orphan_response",
        /// A message with a head longer than what was captured of it.
        TruncatedHead => "truncated_head",
        /// A body whose framing, or an HTTP/2 frame whose header, stood in bytes that were not
        /// captured.
        FramingLost => "framing_lost",
        /// An HTTP/2 message with header fields that the compression refers to by what was sent
        /// before sonde saw the connection, or was missed. What they say isn't known.
        HiddenFields => "hidden_fields",
        /// An HTTP/2 header block of which a part was missed, or that can't be decoded.
        HeaderBlock => "header_block",
        /// A stream that an HTTP/2 server pushed: it is no answer to a request.
        Pushed => "pushed",
        /// A stream's position jumped: records were lost.
        Gap => "gap",
        /// A segment began before the end of an earlier one; the overlap was left out.
        Overlap => "overlap",
        /// A segment of a connection that is not in the table.
        UnknownConnection => "unknown_connection",
    }
}

/// Counts since the table was made; all only grow.
///
/// `requests == exchanges + sum(dropped) + in flight` holds whenever no call is running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests of which at least the beginning was seen.
    pub requests: u64,
    /// Exchanges given out.
    pub exchanges: u64,
    /// Of those, how many were given up because no answer, or no more of it, came in time.
    pub aged: u64,
    /// Answers without a request that they could belong to.
    pub orphan_responses: u64,
    /// Messages with a head longer than what was captured of it.
    pub truncated: u64,
    /// Bodies and HTTP/2 frames whose framing stood in bytes that were not captured.
    pub framing_lost: u64,
    /// HTTP/2 messages with header fields that are not known.
    pub hidden_fields: u64,
    /// HTTP/2 header blocks that were not whole, or could not be decoded.
    pub header_blocks: u64,
    /// Streams that an HTTP/2 server pushed.
    pub pushed: u64,
    /// Times that a stream's position jumped: records were lost.
    pub gaps: u64,
    /// Bytes that the jumps left out.
    pub gap_bytes: u64,
    /// Segments that began before the end of an earlier one; the overlap was left out.
    pub overlaps: u64,
    /// Segments of connections that are not in the table.
    pub unknown_connection: u64,
    dropped: [u64; Dropped::ALL.len()],
    rejected: [u64; Rejection::ALL.len()],
    given_up: [u64; GivenUp::ALL.len()],
}

impl Counters {
    /// Requests that gave no exchange, for this reason.
    #[must_use]
    pub const fn dropped(&self, reason: Dropped) -> u64 {
        self.dropped[reason as usize]
    }

    /// Beginnings that were not taken for a message, for this reason.
    #[must_use]
    pub const fn rejected(&self, reason: Rejection) -> u64 {
        self.rejected[reason as usize]
    }

    /// Connections no longer looked at, for this reason.
    #[must_use]
    pub const fn given_up(&self, reason: GivenUp) -> u64 {
        self.given_up[reason as usize]
    }

    /// Requests that gave no exchange.
    #[must_use]
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Requests that gave no exchange, by the label of their reason.
    pub fn dropped_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        label(Dropped::ALL, Dropped::reason, &self.dropped)
    }

    /// Beginnings that were not taken for a message, by the label of their reason.
    pub fn rejected_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        label(Rejection::ALL, Rejection::reason, &self.rejected)
    }

    /// Connections no longer looked at, by the label of their reason.
    pub fn given_up_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        label(GivenUp::ALL, GivenUp::reason, &self.given_up)
    }

    /// What was seen and is no message of its own, or not a whole one, by the label of its reason.
    #[must_use]
    pub fn others_by_reason(&self) -> [(&'static str, u64); Other::ALL.len()] {
        std::array::from_fn(|index| {
            let other = Other::ALL[index];
            let count = match other {
                Other::Aged => self.aged,
                Other::OrphanResponse => self.orphan_responses,
                Other::TruncatedHead => self.truncated,
                Other::FramingLost => self.framing_lost,
                Other::HiddenFields => self.hidden_fields,
                Other::HeaderBlock => self.header_blocks,
                Other::Pushed => self.pushed,
                Other::Gap => self.gaps,
                Other::Overlap => self.overlaps,
                Other::UnknownConnection => self.unknown_connection,
            };
            (other.reason(), count)
        })
    }

    pub(super) fn drop_request(&mut self, reason: Dropped) {
        self.dropped[reason as usize] += 1;
    }

    /// Counts a request that doesn't even join those in flight.
    pub(super) fn pass_over_request(&mut self, reason: Dropped) {
        self.requests += 1;
        self.drop_request(reason);
    }

    pub(super) fn reject(&mut self, reason: Rejection) {
        self.rejected[reason as usize] += 1;
    }

    pub(super) fn give_up(&mut self, reason: GivenUp) {
        self.given_up[reason as usize] += 1;
    }
}

fn label<R: Copy>(
    all: &'static [R],
    name: impl Fn(R) -> &'static str,
    counts: &[u64],
) -> impl Iterator<Item = (&'static str, u64)> {
    all.iter()
        .map(move |reason| name(*reason))
        .zip(counts.iter().copied())
}
