//! A byte stream whose writes are cut at random places, with pauses.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// What is read and written.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) type Io = Box<dyn Stream>;

/// How often a write is cut.
const SHARE: f64 = 0.1;

/// The stream.
pub(super) struct Splitting {
    io: Io,
    random: SmallRng,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Splitting {
    pub(super) fn new(io: Io, seed: u64) -> Self {
        Self {
            io,
            random: SmallRng::seed_from_u64(seed),
            pause: None,
        }
    }
}

impl AsyncRead for Splitting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Splitting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        if bytes.len() < 2 || !self.random.random_bool(SHARE) {
            return Pin::new(&mut self.io).poll_write(context, bytes);
        }
        let cut = self.random.random_range(1..bytes.len());
        let written = ready!(Pin::new(&mut self.io).poll_write(context, &bytes[..cut]));
        let pause = Duration::from_micros(self.random.random_range(0..500));
        self.pause = Some(Box::pin(sleep(pause)));
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
