//! Sockets that know when bytes moved.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::clock::{Came, Moment, receive, stamp};

/// One that blocks.
pub(super) struct Wire {
    socket: TcpStream,
    began: Option<Moment>,
    came: Came,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> io::Result<Self> {
        stamp(&socket)?;
        Ok(Self {
            socket,
            began: None,
            came: Came::now(),
        })
    }

    pub(super) const fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Begins with another exchange: the next write is its first one.
    pub(super) const fn begin(&mut self) {
        self.began = None;
    }

    /// When the first byte since [`Wire::begin`] was written.
    pub(super) fn began(&self) -> Moment {
        self.began.unwrap_or_else(Moment::now)
    }

    /// When the last byte came.
    pub(super) const fn came(&self) -> Came {
        self.came
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, came) = receive(&self.socket, buffer)?;
        self.came = came;
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.began.get_or_insert_with(Moment::now);
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// When the last byte came to a socket that somebody else holds.
#[derive(Clone)]
pub(super) struct Last(Arc<Mutex<Came>>);

impl Last {
    pub(super) fn came(&self) -> Came {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One for tasks.
pub(super) struct AsyncWire {
    socket: tokio::net::TcpStream,
    last: Last,
}

impl AsyncWire {
    pub(super) fn new(socket: tokio::net::TcpStream) -> io::Result<Self> {
        stamp(&socket)?;
        let last = Last(Arc::new(Mutex::new(Came::now())));
        Ok(Self { socket, last })
    }

    pub(super) fn last(&self) -> Last {
        self.last.clone()
    }
}

impl AsyncRead for AsyncWire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let read = || receive(&self.socket, room);
            match self.socket.try_io(Interest::READABLE, read) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok((count, came)) => {
                    let mut last = self.last.0.lock().unwrap_or_else(PoisonError::into_inner);
                    *last = came;
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for AsyncWire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
