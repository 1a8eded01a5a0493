//! Listening, and the life of connections.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Source, Web,
    connection::{Connection, InFlight},
    router,
};

/// Binds `address`; where `[::]` can't be had because the host has no IPv6, all of its IPv4.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error)
            if address.ip() == Ipv6Addr::UNSPECIFIED
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

/// What scrapers may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Scrapes that are answered at the same time; the next one gets 503.
    pub requests: usize,
    /// Open connections over all listeners; the next one is closed at once.
    pub connections: usize,
    /// How long a response may take to be taken by the scraper.
    pub write_timeout: Duration,
    /// How long a request's head may take, and an idle connection wait for its next request.
    pub header_timeout: Duration,
    /// How long responses under way may take when the server stops.
    pub grace: Duration,
}

impl Default for Limits {
    /// 40 scrapes as in other exporters, 30 s to take a response, and 45 s between requests, which
    /// is none of the common scrape intervals: a connection that closes just when it is used again
    /// would cost a scrape.
    fn default() -> Self {
        Self {
            requests: 40,
            connections: 256,
            write_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(45),
            grace: Duration::from_secs(2),
        }
    }
}

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address can't be listened on.
    #[error("can't listen on {address}")]
    Bind {
        /// The address as it was given.
        address: SocketAddr,
        /// What the kernel says.
        #[source]
        reason: io::Error,
    },
}

/// A web server that has its ports already.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    web: Arc<Web>,
}

impl Server {
    /// Opens the ports, all or none.
    ///
    /// # Errors
    /// [`Error::Bind`] for the first address that can't be had.
    pub async fn bind(
        addresses: &[SocketAddr],
        source: Source,
        limits: Limits,
    ) -> Result<Self, Error> {
        let mut listeners = Vec::with_capacity(addresses.len());
        for &address in addresses {
            let bound = bind(address).await;
            listeners.push(bound.map_err(|reason| Error::Bind { address, reason })?);
        }
        let requests = Arc::new(Semaphore::new(limits.requests));
        let web = Web {
            source,
            requests,
            limits,
        };
        Ok(Self {
            listeners,
            web: Arc::new(web),
        })
    }

    /// The addresses that it listens on, with the ports that the kernel chose for port 0.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
    }

    /// Serves until `stop`, then lets the responses under way end within the grace time. Without
    /// any address it returns at once.
    pub async fn run(self, stop: CancellationToken) {
        let connections = Arc::new(Semaphore::new(self.web.limits.connections));
        let mut listeners = JoinSet::new();
        for listener in self.listeners {
            let (web, connections) = (Arc::clone(&self.web), Arc::clone(&connections));
            listeners.spawn(accept(listener, web, connections, stop.clone()));
        }
        while listeners.join_next().await.is_some() {}
    }
}

async fn accept(
    listener: TcpListener,
    web: Arc<Web>,
    connections: Arc<Semaphore>,
    stop: CancellationToken,
) {
    let router = router(Arc::clone(&web));
    let stats = &web.source.stats;
    let mut serving = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = serving.join_next() => continue,
            () = stop.cancelled() => break,
        };
        match (accepted, Arc::clone(&connections).try_acquire_owned()) {
            (Ok((stream, _)), Ok(permit)) => {
                serving.spawn(serve(
                    stream,
                    permit,
                    router.clone(),
                    Arc::clone(&web),
                    stop.clone(),
                ));
            }
            (Ok(_), Err(_)) => stats.connection_refused(),
            (Err(error), _) => {
                stats.accept_failed();
                tracing::warn!(%error, "can't accept a connection");
                // Out of descriptors, most likely: give some the time to be closed.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let end = async { while serving.join_next().await.is_some() {} };
    // What is left after that is aborted with the set.
    let _ = tokio::time::timeout(web.limits.grace, end).await;
}

async fn serve(
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
    router: Router,
    web: Arc<Web>,
    stop: CancellationToken,
) {
    // Fails for a connection that is gone already, which the first read says as well.
    let _ = stream.set_nodelay(true);
    let in_flight = InFlight::default();
    let service = TowerToHyperService::new(router.layer(Extension(in_flight.clone())));
    let io = TokioIo::new(Connection::new(stream, web.limits.write_timeout, in_flight));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(web.limits.header_timeout)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        if timed_out(&error) {
            web.source.stats.connection_timed_out();
        }
        tracing::debug!(%error, "connection ended early");
    }
}

fn timed_out(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    error.is_timeout() || source.is_some_and(|io: &io::Error| io.kind() == io::ErrorKind::TimedOut)
}
