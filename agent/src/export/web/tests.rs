//! The server over real sockets.

mod answers;
mod limits;

use std::{
    io::Read as _,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use flate2::read::GzDecoder;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::metric::{Attributes, Collector, Descriptor, Kind, Resource, Unit, Value};

static BIG: Descriptor = Descriptor {
    name: "big",
    help: "Series with long labels",
    unit: Unit::None,
    kind: Kind::Gauge,
};

/// A snapshot of about `kilobytes` as text.
fn snapshot(kilobytes: i64) -> Arc<Snapshot> {
    let host = Arc::new(Resource {
        attributes: Attributes::none(),
        identity: Attributes::none(),
    });
    let mut collector = Collector::new(host, SystemTime::now());
    let filler = "x".repeat(64 * 1024);
    for number in 0..=kilobytes / 64 {
        let attributes = [("filler", filler.clone().into()), ("number", number.into())];
        collector.push(&BIG, attributes.into(), Value::Integer(1));
    }
    Arc::new(collector.finish(SystemTime::now()))
}

struct Running {
    address: SocketAddr,
    snapshot: watch::Sender<Option<Arc<Snapshot>>>,
    readiness: watch::Sender<Readiness>,
    stats: Arc<WebStats>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

async fn start(limits: Limits) -> Running {
    let (snapshot, snapshots) = watch::channel(Some(snapshot(1)));
    let (readiness, ready) = watch::channel(Readiness::NotReady("no probe is attached".into()));
    let stats = Arc::new(WebStats::default());
    let source = Source {
        snapshot: snapshots,
        readiness: ready,
        stats: Arc::clone(&stats),
    };
    let addresses = ["127.0.0.1:0".parse().unwrap()];
    let server = Server::bind(&addresses, source, limits).await.unwrap();
    let address = server.addresses().next().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(server.run(stop.clone()));
    Running {
        address,
        snapshot,
        readiness,
        stats,
        stop,
        server,
    }
}

/// Head and body of the answer to a request without a body.
async fn request(address: SocketAddr, line: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap().to_lowercase(), body)
}

/// The value of the series that has all of these texts.
fn counted(stats: &WebStats, parts: &[&str]) -> u64 {
    let host = Arc::new(Resource {
        attributes: Attributes::none(),
        identity: Attributes::none(),
    });
    let mut collector = Collector::new(host, SystemTime::now());
    stats.collect(&mut collector);
    let snapshot = collector.finish(SystemTime::now());
    let text = prometheus::encode(&snapshot, prometheus::Format::Text).body;
    let text = String::from_utf8(text).unwrap();
    let mut lines = text
        .lines()
        .filter(|line| parts.iter().all(|part| line.contains(part)));
    lines
        .next()
        .unwrap()
        .rsplit_once(' ')
        .unwrap()
        .1
        .parse()
        .unwrap()
}
