//! What the byte-stream model costs: nanoseconds per exchange.
//!
//! `cargo bench -p sonde --bench l7`. Each figure is the best of several rounds, so that what else
//! the machine does counts least.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use sonde::l7::{Connections, Limits, script::Script};

const ROUNDS: usize = 60;
const EXCHANGES: usize = 40_000;
/// Keep-alive connections, as a load generator has them.
const CONNECTIONS: u64 = 32;

const REQUEST: &str = "GET /orders/17?full=1 HTTP/1.1\r\nHost: shop.test\r\n\
    User-Agent: wrk/4.1.0\r\nAccept: */*\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\
    Date: Sat, 01 Aug 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\
    Connection: keep-alive\r\n\r\nhello world\n";
const BROWSER: &str = "GET /orders/17?full=1 HTTP/1.1\r\nHost: shop.test\r\n\
    Connection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;\
    q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\nSec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n";

fn main() {
    report("plain", |number| {
        Script::new(number).receive(REQUEST).send(RESPONSE)
    });
    report("browser's head", |number| {
        Script::new(number).receive(BROWSER).send(RESPONSE)
    });
    report("as the client", |number| {
        Script::new(number).send(REQUEST).receive(RESPONSE)
    });
    report("answer told first", |number| {
        Script::new(number).receive(RESPONSE).send(REQUEST)
    });
    report("heads in two parts", |number| {
        let (asked, answered) = (REQUEST.split_at(40), RESPONSE.split_at(40));
        let script = Script::new(number).receive(asked.0).receive(asked.1);
        script.send(answered.0).send(answered.1)
    });
    report("64 KiB by sendfile", |number| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n";
        let script = Script::new(number).receive(REQUEST).send(head);
        script.opaque(sonde_common::event::http::Direction::Send, 65536)
    });
}

/// Prints what one exchange of this kind costs.
fn report(name: &str, exchange: impl Fn(u64) -> Script) {
    let best = (0..ROUNDS).map(|_| round(&exchange)).min();
    let nanoseconds = best.unwrap_or_default().as_secs_f64() * 1e9 / EXCHANGES as f64;
    println!("l7/{name}: {nanoseconds:.0} ns per exchange");
}

/// Plays the same exchange on many connections in turn.
fn round(exchange: &impl Fn(u64) -> Script) -> Duration {
    let mut table = Connections::new(Limits::default());
    let scripts: Vec<_> = (1..=CONNECTIONS).map(exchange).collect();
    let mut segments: Vec<Vec<_>> = scripts.iter().map(|s| s.segments().collect()).collect();
    for connection in 1..=CONNECTIONS {
        table.open(&Script::opened_as(connection, false));
    }
    let mut told = 0;
    let start = Instant::now();
    for turn in 0..EXCHANGES {
        let connection = &mut segments[turn % scripts.len()];
        for segment in connection.iter() {
            table.segment(black_box(segment), &mut |exchange| {
                black_box(exchange);
                told += 1;
            });
        }
        advance(connection);
    }
    let took = start.elapsed();
    assert_eq!(told, EXCHANGES, "an exchange was lost");
    took
}

/// Moves an exchange's segments to where the next one stands in the streams.
fn advance(segments: &mut [sonde::event::Segment<'_>]) {
    use sonde_common::event::http::Direction;

    for direction in [Direction::Receive, Direction::Send] {
        let same_way = || segments.iter().filter(|s| s.direction == direction);
        let length: u64 = same_way().map(|segment| u64::from(segment.length)).sum();
        for segment in segments.iter_mut().filter(|s| s.direction == direction) {
            segment.offset += length;
        }
    }
    for segment in segments {
        segment.time += 1_000_000;
    }
}
