//! A connection, clear or through TLS, that can be broken off in every way.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::sys::socket::{setsockopt, sockopt};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName},
};

use super::{Target, clock::Took, server::HOST, wire::Wire};

/// Time in which a server must do something.
const PATIENCE: Duration = Duration::from_secs(30);

/// What TLS a client speaks: that of one certificate, with `protocol` by ALPN.
pub(super) fn tls(certificate: &[u8], protocol: &str) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate.to_vec()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Ok(Arc::new(config))
}

/// One connection.
pub(super) enum Stream {
    Clear(Wire),
    Tls(Box<StreamOwned<ClientConnection, Wire>>),
}

impl Stream {
    /// Connects, and shakes hands where there is TLS.
    pub(super) fn open(target: &Target) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&target.address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        // Every piece of a request goes out by itself.
        socket.set_nodelay(true)?;
        let mut wire = Wire::new(socket)?;
        let Some(config) = &target.tls else {
            return Ok(Self::Clear(wire));
        };
        let name = ServerName::try_from(HOST)?;
        let mut session = ClientConnection::new(Arc::clone(config), name)?;
        while session.is_handshaking() {
            session.complete_io(&mut wire).context("the handshake")?;
        }
        Ok(Self::Tls(Box::new(StreamOwned::new(session, wire))))
    }

    const fn wire(&self) -> &Wire {
        match self {
            Self::Clear(wire) => wire,
            Self::Tls(stream) => &stream.sock,
        }
    }

    const fn socket(&self) -> &TcpStream {
        self.wire().socket()
    }

    /// See [`Wire::begin`].
    pub(super) const fn begin(&mut self) {
        match self {
            Self::Clear(wire) => wire.begin(),
            Self::Tls(stream) => stream.sock.begin(),
        }
    }

    /// How long what began last has taken, if its last byte was read last.
    pub(super) fn took(&self) -> Took {
        self.wire().came().after(self.wire().began())
    }

    /// Takes little at a time from here on, so that a long answer fills the buffers.
    pub(super) fn narrow(&self) -> Result<()> {
        Ok(setsockopt(
            &self.socket().as_fd(),
            sockopt::RcvBuf,
            &(64 << 10),
        )?)
    }

    /// Breaks off in order: says so, and waits until the other end has closed as well. What is
    /// unread when a socket is closed would make it a reset, and TLS 1.3 has its tickets there.
    pub(super) fn close(mut self) -> Result<()> {
        if let Self::Tls(stream) = &mut self {
            stream.conn.send_close_notify();
            stream.flush()?;
        }
        self.socket().shutdown(Shutdown::Write)?;
        // Errors are an end, too.
        let _ = io::copy(&mut self, &mut io::sink());
        Ok(())
    }

    /// Breaks off by a reset.
    pub(super) fn reset(self) -> Result<()> {
        let at_once = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        Ok(setsockopt(
            &self.socket().as_fd(),
            sockopt::Linger,
            &at_once,
        )?)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
