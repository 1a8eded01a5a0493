//! From HTTP/1.1 to HTTP/2 on the same connection.

use super::{Answering, Connection, Context, opposite};
use crate::l7::{
    counters::Dropped,
    http2::{Opening, Start},
};

/// Whether the connection turns into HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upgrade {
    No,
    /// After the byte at the present position of the answers' direction.
    Here,
    /// Somewhere: the answer waited for its request.
    Somewhere,
}

impl Connection {
    /// The first request in the queue has been answered with 101 and `Upgrade: h2c`: it will be
    /// answered as HTTP/2's stream 1.
    pub(super) fn upgrade(&mut self, time: u64, cx: &mut Context<'_>) {
        if self.answering != Answering::First {
            return self.tunnel(time, cx);
        }
        self.upgrade = match self.early {
            None => Upgrade::Here,
            Some(_) => Upgrade::Somewhere,
        };
        self.opaque = true;
    }

    /// So many bytes of those that were taken in come after the upgrade.
    pub(super) fn leave(&mut self, bytes: u64) {
        if let Some(answers) = self.responses() {
            answers.next = answers.next.saturating_sub(bytes);
        }
    }

    /// How the connection goes on when it has turned into HTTP/2, and the place in the pool of the
    /// request that is answered there.
    pub(in crate::l7) fn take_upgrade(&mut self, cx: &mut Context<'_>) -> Option<(Opening, u32)> {
        if self.upgrade == Upgrade::No {
            return None;
        }
        let answers = self.answers?;
        let slot = self.queue.detach_front(cx.pool)?;
        let asks = match self.stream(opposite(answers)) {
            stream if stream.is_boundary() && !stream.has_partial() => Start::Preface(0),
            _ => Start::Anywhere,
        };
        let answered = match self.upgrade {
            Upgrade::Here => Start::First,
            Upgrade::No | Upgrade::Somewhere => Start::Anywhere,
        };
        self.drop_all(Dropped::Tunnel, cx);
        let mut opening = self.become_http2(cx);
        opening.requests = Some(opposite(answers));
        opening.sides[opposite(answers) as usize].1 = asks;
        opening.sides[answers as usize].1 = answered;
        Some((opening, slot))
    }
}
