//! The agent's own web server: `/metrics`, `/-/healthy`, `/-/ready` and a page with links.
//!
//! It reads the last snapshot and nothing else, so a scraper can't slow the agent down; and one
//! that is slow itself, or hostile, costs a bounded number of connections, responses and seconds
//! (see [`Limits`]).

use std::{io::Write as _, sync::Arc, time::Instant};

use axum::{
    Extension, Router,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use tokio::sync::{Semaphore, watch};

mod connection;
mod listen;
mod stats;
#[cfg(test)]
mod tests;

use self::connection::InFlight;
pub use self::{
    listen::{Error, Limits, Server},
    stats::{DESCRIPTORS, WebStats},
};
use super::prometheus::{self, Exposition};
use crate::metric::Snapshot;

/// Whether the agent does its main job by now; the answer of `/-/ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Probes are attached and a first snapshot exists.
    Ready,
    /// Not yet, or no longer: why.
    NotReady(Arc<str>),
}

/// What the pages are made of.
#[derive(Clone, Debug)]
pub struct Source {
    /// The last snapshot, if there is one already.
    pub snapshot: watch::Receiver<Option<Arc<Snapshot>>>,
    /// For `/-/ready`.
    pub readiness: watch::Receiver<Readiness>,
    /// Where the server counts what it does.
    pub stats: Arc<WebStats>,
}

/// What the handlers share.
#[derive(Debug)]
struct Web {
    source: Source,
    requests: Arc<Semaphore>,
    limits: Limits,
}

const PLAIN: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];

const LANDING: &str = concat!(
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>sonde</title></head>\n",
    "<body>\n<h1>sonde ",
    env!("CARGO_PKG_VERSION"),
    "</h1>\n<ul>\n",
    "<li><a href=\"/metrics\">Metrics</a></li>\n",
    "<li><a href=\"/-/healthy\">Health</a></li>\n",
    "<li><a href=\"/-/ready\">Readiness</a></li>\n",
    "</ul>\n</body>\n</html>\n",
);

/// GET (and so HEAD) only; any other method is answered with 405.
fn router(web: Arc<Web>) -> Router {
    Router::new()
        .route("/", get(|| async { Html(LANDING) }))
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { (PLAIN, "healthy\n") }))
        .route("/-/ready", get(ready))
        .fallback(|| async { (StatusCode::NOT_FOUND, PLAIN, "no such page\n") })
        .with_state(web)
}

async fn ready(State(web): State<Arc<Web>>) -> Response {
    match &*web.source.readiness.borrow() {
        Readiness::Ready => (PLAIN, "ready\n").into_response(),
        Readiness::NotReady(reason) => unavailable(format!("not ready: {reason}\n")),
    }
}

async fn metrics(
    State(web): State<Arc<Web>>,
    Extension(in_flight): Extension<InFlight>,
    headers: HeaderMap,
) -> Response {
    let stats = &web.source.stats;
    let Ok(permit) = Arc::clone(&web.requests).try_acquire_owned() else {
        stats.request_refused();
        let limit = web.limits.requests;
        return unavailable(format!("{limit} requests are being answered already\n"));
    };
    let Some(snapshot) = web.source.snapshot.borrow().clone() else {
        stats.not_ready();
        return unavailable("no snapshot was made yet\n".to_owned());
    };
    let started = Instant::now();
    let format = prometheus::negotiate(values(&headers, &header::ACCEPT));
    let gzip = prometheus::accepts_gzip(values(&headers, &header::ACCEPT_ENCODING));
    // Milliseconds of work, which other tasks of this thread needn't wait for.
    let written = tokio::task::spawn_blocking(move || {
        let exposition = prometheus::encode(&snapshot, format);
        let body = if gzip { compress(&exposition) } else { None };
        (exposition, body)
    });
    let Ok((exposition, compressed)) = written.await else {
        stats.failed();
        return (
            StatusCode::INTERNAL_SERVER_ERROR,
            PLAIN,
            "encoding failed\n",
        )
            .into_response();
    };
    let encoding = compressed
        .is_some()
        .then_some([(header::CONTENT_ENCODING, "gzip")]);
    stats.served(
        started.elapsed(),
        exposition.body.len(),
        exposition.rejected,
    );
    let body = Bytes::from(compressed.unwrap_or(exposition.body));
    let names = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::VARY, "Accept, Accept-Encoding"),
    ];
    in_flight.hold(permit);
    match encoding {
        Some(encoding) => (names, encoding, body).into_response(),
        None => (names, body).into_response(),
    }
}

/// The values of a header that can be read as text.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok())
}

/// Gzip at its fastest, which halves a scrape's bytes several times over and costs little.
fn compress(exposition: &Exposition) -> Option<Vec<u8>> {
    let space = Vec::with_capacity(exposition.body.len() / 8);
    let mut encoder = GzEncoder::new(space, Compression::fast());
    encoder.write_all(&exposition.body).ok()?;
    encoder.finish().ok()
}

fn unavailable(reason: String) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, PLAIN, reason).into_response()
}
