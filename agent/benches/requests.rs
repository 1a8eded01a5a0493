//! What a request costs the agent, from ring record to counted exchange: nanoseconds per request
//! of which both ends are observed.
//!
//! `cargo bench -p sonde --bench requests [-- STAGE]`. Each request is four ring records as the
//! kernel side sends them: server and client each tell the request's head and the answer. So each
//! request is two exchanges. The figures add up: each stage runs all before it. Each is the best of
//! several rounds, so that what else the machine does counts least.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use sonde::{
    aggregate::{
        red::{Red, RedLimits},
        span::{Operation, Sampler, Tracer},
    },
    clock::Clock,
    enrich::{
        host,
        process::{Limits as ProcessLimits, Processes},
    },
    event::Event,
    l7::{Connections, Limits, exchange::Exchange, script::Script},
    probe::decode::decode,
    root::Root,
};
use sonde_common::event::http::Direction;

use self::record::Record;

#[path = "requests/record.rs"]
mod record;

const ROUNDS: usize = 60;
const REQUESTS: usize = 20_000;
/// Keep-alive connections, as a load generator has them.
const CONNECTIONS: usize = 32;

const REQUEST: &str = "GET /orders/17?full=1 HTTP/1.1\r\nHost: shop.test\r\n\
    User-Agent: wrk/4.1.0\r\nAccept: */*\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\
    Date: Sat, 01 Aug 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\
    Connection: keep-alive\r\n\r\nhello world\n";
/// No two are equal: the figures are the request's number. The same for the answer.
const TRACED: &str = "GET /orders/########?full=1 HTTP/1.1\r\nHost: shop.test\r\n\
    User-Agent: okhttp/4.12.0\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d########-00f067aa########-01\r\n\
    X-Request-Id: 6f1c2d9e-5b0a-4c1e-9d7f-0a1b########\r\n\r\n";

const TRACED_RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    X-Request-Id: 6f1c2d9e-5b0a-4c1e-9d7f-0a1b########\r\n\
    Date: Sat, 01 Aug 2026 12:00:00 GMT\r\nConnection: keep-alive\r\n\
    Transfer-Encoding: chunked\r\n\r\nc\r\nhello world\n\r\n0\r\n\r\n";

/// What is sent, and by what name the figures go.
const LOADS: [(&str, [&str; 2]); 2] = [
    ("the same request", [REQUEST, RESPONSE]),
    ("each its own", [TRACED, TRACED_RESPONSE]),
];

fn main() {
    let filter = std::env::args()
        .nth(1)
        .filter(|argument| !argument.starts_with('-'));
    for (load, messages) in LOADS {
        for (stage, name) in Stage::ALL {
            if filter
                .as_ref()
                .is_some_and(|filter| !name.contains(&**filter))
            {
                continue;
            }
            let best = (0..ROUNDS).map(|_| round(messages, *stage)).min();
            let nanoseconds = best.unwrap_or_default().as_secs_f64() * 1e9 / REQUESTS as f64;
            println!("requests/{load}/{name}: {nanoseconds:.0} ns per request");
        }
    }
}

/// How far a record goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Nothing,
    Decode,
    Exchange,
    Count,
    Signals,
}

impl Stage {
    const ALL: &[(Self, &str)] = &[
        (Self::Nothing, "making the records"),
        (Self::Decode, "decoded"),
        (Self::Exchange, "paired"),
        (Self::Count, "counted"),
        (Self::Signals, "with spans"),
    ];
}

/// The aggregating part of the agent.
struct Agent {
    stage: Stage,
    connections: Connections,
    aggregates: Aggregates,
}

struct Aggregates {
    processes: Processes,
    tracer: Tracer,
    red: Red,
    clock: Clock,
}

impl Agent {
    fn new(stage: Stage) -> Self {
        let root = Root::default();
        let mut connections = Connections::new(Limits::default());
        for connection in 1..=2 * CONNECTIONS as u64 {
            connections.open(&Script::opened_as(connection, false));
        }
        let mut processes = Processes::new(&root, host::resource(&root), ProcessLimits::default());
        // Read from /proc now rather than while the clock runs.
        processes.owner(std::process::id());
        Self {
            stage,
            connections,
            aggregates: Aggregates {
                processes,
                tracer: Tracer::new(Sampler::default()),
                red: Red::new(RedLimits::default()),
                clock: Clock::read().expect("a clock"),
            },
        }
    }

    /// Takes a record in; how many exchanges it completed.
    fn take(&mut self, record: &[u8]) -> usize {
        if self.stage < Stage::Decode {
            black_box(record);
            return 1;
        }
        let mut told = 0;
        let decoded = decode(record, &mut |event| {
            let Event::HttpSegment(segment) = event else {
                return;
            };
            if self.stage < Stage::Exchange {
                told = black_box(1);
                return;
            }
            self.connections.segment(&segment, &mut |exchange| {
                told += 1;
                if self.stage >= Stage::Count {
                    self.aggregates.complete(exchange, self.stage);
                }
            });
        });
        assert_eq!(decoded, Ok(()));
        told
    }
}

impl Aggregates {
    fn complete(&mut self, exchange: &Exchange, stage: Stage) {
        let resource = self.processes.owner_at(exchange.tgid, exchange.start);
        let told = stage >= Stage::Signals;
        let context = told.then(|| self.tracer.context(exchange));
        let route = self.red.observe(exchange, resource, context, &self.clock);
        if let Some(context) = context {
            let route = self.red.route(route);
            let operation = Operation {
                route: &route,
                method: None,
            };
            let signals = self
                .tracer
                .signals(exchange, operation, resource, context, &self.clock);
            for signal in signals {
                black_box(signal);
            }
        }
    }
}

/// Sends requests on many connections in turn.
fn round([request, response]: [&str; 2], stage: Stage) -> Duration {
    let mut agent = Agent::new(stage);
    let mut records: Vec<[Record; 4]> = (1..=CONNECTIONS as u64)
        .map(|server| {
            let client = server + CONNECTIONS as u64;
            [
                Record::new(client, Direction::Send, request),
                Record::new(server, Direction::Receive, request),
                Record::new(server, Direction::Send, response),
                Record::new(client, Direction::Receive, response),
            ]
        })
        .collect();
    let (mut told, mut time) = (0, 0);
    let start = Instant::now();
    for number in 0..REQUESTS {
        for record in &mut records[number % CONNECTIONS] {
            time += 50_000;
            record.advance(number as u64, time);
            told += agent.take(record.bytes());
        }
    }
    let took = start.elapsed();
    if stage >= Stage::Exchange {
        assert_eq!(told, 2 * REQUESTS, "an exchange was lost");
    }
    took
}
