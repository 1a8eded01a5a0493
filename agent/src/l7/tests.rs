//! Scripted connections, one test for each row of the fault table that the model answers for.

mod conversation;
mod early;
mod encrypted;
mod framing;
mod gaps;
mod headers;
mod heads;
mod http2;
mod kernel_capture;
mod left_out;
mod limits;
mod order;
mod plain;
mod properties;
mod transport;

use std::time::Duration;

use super::{
    Connections, Limits,
    exchange::{Exchange, Failure},
    script::Script,
};

const GET: &str = "GET /a?secret=1 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: curl/8\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn table() -> Connections {
    Connections::new(Limits::default())
}

/// Plays a script on a new table, checks the law of conservation, and returns both.
fn run(script: &Script) -> (Vec<Exchange>, Connections) {
    let mut table = table();
    let exchanges = script.play(&mut table);
    conserves(&table, exchanges.len());
    (exchanges, table)
}

/// The only exchange of a script.
fn only(script: &Script) -> Exchange {
    let (mut exchanges, _) = run(script);
    assert_eq!(exchanges.len(), 1, "{exchanges:#?}");
    exchanges.remove(0)
}

/// `requests == exchanges + dropped + in flight`.
#[track_caller]
fn conserves(table: &Connections, exchanges: usize) {
    let counters = table.counters();
    assert_eq!(counters.exchanges, exchanges as u64);
    assert_eq!(
        counters.requests,
        counters.exchanges + counters.dropped_in_all() + table.in_flight() as u64,
        "{counters:?}"
    );
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n")
}

fn answer(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What must be the same however a conversation was split.
fn essence(exchange: &Exchange) -> (String, Option<u16>, Option<Failure>, [Option<u64>; 2]) {
    (
        exchange.path.to_string(),
        exchange.status,
        exchange.failure,
        [exchange.request_body, exchange.response_body],
    )
}

fn seconds(count: u64) -> u64 {
    u64::try_from(Duration::from_secs(count).as_nanos()).expect("small")
}
