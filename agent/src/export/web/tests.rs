//! The server over real sockets.

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

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let running = start(Limits::default()).await;
    let (head, body) = request(running.address, "GET /metrics", "").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(!head.contains("content-encoding"));
    assert!(body.starts_with(b"# HELP big "));
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let (head, body) = request(running.address, "GET /metrics", accept).await;
    let expected = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(head.contains(expected), "{head}");
    assert!(body.ends_with(b"# EOF\n"));
    assert_eq!(
        counted(&running.stats, &["requests_total", "success", "prometheus"]),
        2
    );
    assert_eq!(counted(&running.stats, &["duration_seconds_count"]), 2);
}

#[tokio::test]
async fn gzip_holds_the_same_text() {
    let running = start(Limits::default()).await;
    let (_, plain) = request(running.address, "GET /metrics", "").await;
    let (head, packed) =
        request(running.address, "GET /metrics", "Accept-Encoding: gzip\r\n").await;
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    let mut text = Vec::new();
    GzDecoder::new(packed.as_slice())
        .read_to_end(&mut text)
        .unwrap();
    assert_eq!(text, plain);
    let sent = (plain.len() + text.len()) as u64;
    assert_eq!(
        counted(&running.stats, &["sonde_export_io_bytes_total{"]),
        sent
    );
}

#[tokio::test]
async fn pages_and_methods() {
    let running = start(Limits::default()).await;
    for (line, status) in [
        ("GET /", "200"),
        ("GET /-/healthy", "200"),
        ("HEAD /metrics", "200"),
        ("POST /metrics", "405"),
        ("DELETE /-/ready", "405"),
        ("GET /other", "404"),
    ] {
        let (head, body) = request(running.address, line, "").await;
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")),
            "{line}: {head}"
        );
        assert!(!line.starts_with("HEAD") || body.is_empty());
    }
    let (_, body) = request(running.address, "GET /", "").await;
    assert!(
        String::from_utf8(body)
            .unwrap()
            .contains("href=\"/metrics\"")
    );
}

#[tokio::test]
async fn readiness_says_why_not() {
    let running = start(Limits::default()).await;
    let (head, body) = request(running.address, "GET /-/ready", "").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(body, b"not ready: no probe is attached\n");
    running.readiness.send_replace(Readiness::Ready);
    let (head, body) = request(running.address, "GET /-/ready", "").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, b"ready\n");
}

#[tokio::test]
async fn no_metrics_rather_than_empty_ones_before_the_first_snapshot() {
    let running = start(Limits::default()).await;
    running.snapshot.send_replace(None);
    let (head, _) = request(running.address, "GET /metrics", "").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(counted(&running.stats, &["requests_total", "not_ready"]), 1);
}

/// Asks for a response that no socket buffer holds, and doesn't read it.
async fn slow_scraper(running: &Running) -> TcpStream {
    running.snapshot.send_replace(Some(snapshot(32 * 1024)));
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(running.address).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0];
    stream.read_exact(&mut first).await.unwrap();
    stream
}

#[tokio::test]
async fn fault_25_past_the_limit_of_parallel_scrapes_comes_503() {
    let limits = Limits {
        requests: 1,
        ..Limits::default()
    };
    let running = start(limits).await;
    let slow = slow_scraper(&running).await;
    let (head, _) = request(running.address, "GET /metrics", "").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(
        counted(&running.stats, &["requests_total", "too_many_requests"]),
        1
    );
    let (head, _) = request(running.address, "GET /-/healthy", "").await;
    assert!(
        head.starts_with("http/1.1 200 "),
        "the limit is for scrapes only: {head}"
    );
    drop(slow);
    running.snapshot.send_replace(Some(snapshot(1)));
    let again = async {
        while !request(running.address, "GET /metrics", "")
            .await
            .0
            .starts_with("http/1.1 200 ")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), again)
        .await
        .expect("the place is free again");
}

#[tokio::test]
async fn fault_25_a_scraper_that_takes_too_long_is_cut_off() {
    let limits = Limits {
        requests: 1,
        write_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let running = start(limits).await;
    let mut slow = slow_scraper(&running).await;
    // It takes a little every now and then, which must not extend its time.
    let trickle = async {
        let mut bytes = [0; 512];
        while let Ok(1..) = slow.read(&mut bytes).await {
            if counted(&running.stats, &["connection_errors_total", "timeout"]) > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), trickle)
        .await
        .expect("cut off");
    running.snapshot.send_replace(Some(snapshot(1)));
    let (head, _) = request(running.address, "GET /metrics", "").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
}

#[tokio::test]
async fn fault_25_a_request_that_never_ends_is_given_up() {
    let limits = Limits {
        header_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let running = start(limits).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost:")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let end = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the server closes the connection");
    let counted = async {
        while counted(&running.stats, &["connection_errors_total", "timeout"]) < 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), counted)
        .await
        .expect("counted");
}

#[tokio::test]
async fn fault_25_connections_have_a_limit() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let running = start(limits).await;
    let first = TcpStream::connect(running.address).await.unwrap();
    let mut second = TcpStream::connect(running.address).await.unwrap();
    let mut nothing = Vec::new();
    let end = timeout(Duration::from_secs(10), second.read_to_end(&mut nothing)).await;
    assert_eq!(end.expect("closed at once").unwrap_or(0), 0);
    assert_eq!(counted(&running.stats, &["too_many_connections"]), 1);
    drop(first);
}

#[tokio::test]
async fn stopping_does_not_wait_for_idle_connections() {
    let running = start(Limits::default()).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut some = [0; 16];
    idle.read_exact(&mut some).await.unwrap();
    running.stop.cancel();
    let ended = timeout(Duration::from_secs(1), running.server).await;
    ended.expect("within the second").unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let running = start(Limits::default()).await;
    let source = Source {
        snapshot: running.snapshot.subscribe(),
        readiness: running.readiness.subscribe(),
        stats: Arc::clone(&running.stats),
    };
    let taken = Server::bind(&[running.address], source, Limits::default()).await;
    let said = crate::cli::error_lines(&taken.unwrap_err());
    let start = format!("sonde: error: can't listen on {}: ", running.address);
    assert!(said.starts_with(&start), "{said}");
    assert_eq!(said.matches("in use").count(), 1, "{said}");
}
