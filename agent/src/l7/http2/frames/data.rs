//! DATA frames, which are passed on as they come.

use super::{Frames, State};
use crate::l7::http2::{
    chunk::{Chunk, Payload, Step, length},
    frame::FrameHeader,
};

impl Frames {
    pub(super) fn read_pad_length<'a>(
        &mut self,
        header: FrameHeader,
        chunk: Chunk<'a>,
    ) -> (Step<'a>, Chunk<'a>) {
        match chunk.split(1) {
            (Chunk::Seen([padding]), rest) => {
                let left = header.length - 1;
                // More padding than payload is an error of the connection (section 6.1).
                let padding = u32::from(*padding).min(left);
                self.read_data(header, left - padding, padding, rest)
            }
            (Chunk::Missed(1), _) => {
                self.skip(header.length);
                let payload = Payload::Padded;
                let ended = true;
                (
                    Step::Data {
                        header,
                        payload,
                        ended,
                    },
                    chunk,
                )
            }
            (_, rest) => (Step::More, rest),
        }
    }

    pub(super) fn read_data<'a>(
        &mut self,
        header: FrameHeader,
        left: u32,
        padding: u32,
        chunk: Chunk<'a>,
    ) -> (Step<'a>, Chunk<'a>) {
        let (front, rest) = chunk.split(left.into());
        let left = left - length(front);
        if left == 0 {
            self.skip(padding);
        } else {
            self.state = State::Data {
                header,
                left,
                padding,
            };
        }
        let step = Step::Data {
            header,
            payload: Payload::Chunk(front),
            ended: left == 0,
        };
        (step, rest)
    }
}
