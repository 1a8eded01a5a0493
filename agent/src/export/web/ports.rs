//! Ports, taken before they are listened on.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket};

use super::Error;

/// Connections that the kernel holds for a listener until they are accepted.
const BACKLOG: u32 = 1024;

/// Ports that nobody can connect to yet: a port below 1024 takes a capability, which is dropped
/// before there is anything to serve, and the kernel side knows the agent's listeners, whose
/// traffic it leaves alone, by seeing them begin to listen.
#[derive(Debug)]
pub struct Ports {
    sockets: Vec<(SocketAddr, TcpSocket)>,
}

impl Ports {
    /// Takes the ports, all or none.
    ///
    /// # Errors
    /// [`Error::Bind`] for the first address that can't be had.
    pub fn bind(addresses: &[SocketAddr]) -> Result<Self, Error> {
        let sockets = addresses.iter().map(|&address| {
            let bound = bind(address).map_err(|reason| Error::Bind { address, reason })?;
            Ok((address, bound))
        });
        Ok(Self {
            sockets: sockets.collect::<Result<_, _>>()?,
        })
    }

    /// Listens on all of them; within the async runtime.
    pub(super) fn listen(self) -> Result<Vec<TcpListener>, Error> {
        let listeners = self.sockets.into_iter().map(|(address, socket)| {
            let listening = socket.listen(BACKLOG);
            listening.map_err(|reason| Error::Bind { address, reason })
        });
        listeners.collect()
    }
}

/// Binds `address`; where `[::]` can't be had because the host has no IPv6, all of its IPv4.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    match socket(address) {
        Err(error)
            if address.ip() == Ipv6Addr::UNSPECIFIED
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            socket((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        bound => bound,
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart finds its port with connections in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
