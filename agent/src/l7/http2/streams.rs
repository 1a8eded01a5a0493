//! The streams of one connection that are not over.

use super::{chunk::Payload, messages::Messages};
use crate::l7::{exchange::Failure, headers::Headers, rpc::RpcStatus};

/// One stream: a request and its answer.
#[derive(Debug)]
pub(super) struct Stream {
    /// The exchange's place in the pool; `None` while only the answer was told of.
    pub(super) request: Option<u32>,
    pub(super) asked: Half,
    pub(super) answered: Half,
    pub(super) answer: Answer,
    /// It is a gRPC call.
    pub(super) grpc: bool,
    /// When its last frame moved, in either direction.
    pub(super) last: u64,
    /// Frames were missed in which its end may have been.
    pub(super) doubtful: bool,
}

/// What is known of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// First byte.
    pub(super) start: Option<u64>,
    pub(super) status: Option<u16>,
    pub(super) headers: Headers,
    pub(super) grpc_status: Option<RpcStatus>,
    pub(super) truncated: bool,
    /// Last byte, or when it was given up.
    pub(super) end: Option<u64>,
    pub(super) failure: Option<Failure>,
}

/// One direction of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Half {
    /// Payload of DATA frames.
    payload: u64,
    /// None of it was missed.
    exact: bool,
    pub(super) ended: bool,
    messages: Messages,
}

impl Half {
    /// A direction of which nothing was seen.
    pub(super) const fn unseen() -> Self {
        Self {
            payload: 0,
            exact: false,
            ended: false,
            messages: Messages::Unknown,
        }
    }

    /// A direction that begins; only gRPC's messages are counted.
    pub(super) const fn begun(grpc: bool) -> Self {
        Self {
            payload: 0,
            exact: true,
            ended: false,
            messages: if grpc {
                Messages::NONE
            } else {
                Messages::Unknown
            },
        }
    }

    /// A direction that is over and had so many bytes, if that is known.
    pub(super) const fn over(payload: Option<u64>) -> Self {
        Self {
            payload: match payload {
                Some(bytes) => bytes,
                None => 0,
            },
            exact: payload.is_some(),
            ended: true,
            messages: Messages::Unknown,
        }
    }

    /// DATA.
    pub(super) fn pass(&mut self, payload: Payload<'_>) {
        match payload {
            Payload::Chunk(chunk) => {
                self.payload = self.payload.saturating_add(chunk.len());
                self.messages.pass(chunk);
            }
            Payload::Padded => self.miss(),
        }
    }

    /// Frames were missed.
    pub(super) const fn miss(&mut self) {
        self.exact = false;
        self.messages = Messages::Unknown;
    }

    /// Bytes of the whole body; `None` when that isn't known.
    pub(super) fn body(&self) -> Option<u64> {
        (self.exact && self.ended).then_some(self.payload)
    }

    /// Messages of the whole body.
    pub(super) fn messages(&self) -> Option<u32> {
        self.messages.count().filter(|_| self.exact && self.ended)
    }
}

impl Stream {
    /// A stream that begins at `time` with an answer whose request wasn't told of.
    pub(super) fn new(time: u64) -> Self {
        Self {
            request: None,
            asked: Half::unseen(),
            answered: Half::unseen(),
            answer: Answer::default(),
            grpc: false,
            last: time,
            doubtful: false,
        }
    }

    /// Frames of one direction were missed.
    pub(super) const fn miss(&mut self, answers: bool) {
        self.doubtful = true;
        if answers {
            self.answered.miss();
        } else {
            self.asked.miss();
        }
    }
}

/// Streams by their numbers, which only grow: a new one stands at the end.
#[derive(Debug, Default)]
pub(super) struct Streams(Vec<(u32, Stream)>);

impl Streams {
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self, number: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&number, |(own, _)| *own)
    }

    pub(super) fn get(&mut self, number: u32) -> Option<&mut Stream> {
        let place = self.place(number).ok()?;
        self.0.get_mut(place).map(|(_, stream)| stream)
    }

    /// The stream of this number, a new one where there is none.
    pub(super) fn get_or_insert(&mut self, number: u32, time: u64) -> &mut Stream {
        let place = self.place(number).unwrap_or_else(|place| {
            self.0.insert(place, (number, Stream::new(time)));
            place
        });
        &mut self.0[place].1
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<Stream> {
        let place = self.place(number).ok()?;
        Some(self.0.remove(place).1)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.0.iter_mut().map(|(_, stream)| stream)
    }

    /// Takes those out that `which` says.
    pub(super) fn extract(&mut self, which: impl Fn(u32, &Stream) -> bool) -> Vec<(u32, Stream)> {
        self.0
            .extract_if(.., |(number, stream)| which(*number, stream))
            .collect()
    }
}
