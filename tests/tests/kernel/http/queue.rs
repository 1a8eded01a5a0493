//! How long requests lie in a socket before they are read.

use std::{
    io::{Read as _, Write as _},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use sonde::l7::exchange::{Exchange, Role};

use super::{
    ANSWER, by_role, head,
    peer::{End, Way},
};
use crate::{child::Workload, harness::Test, observed::Observed, tcp::pair, tls};

pub(crate) mod listener;
pub(crate) mod streams;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::requests_that_wait_to_be_read_are_timed",
        run: |observed| waits_are_timed(observed, Way::Clear),
    },
    Test {
        name: "http::requests_that_wait_to_be_read_are_timed_inside_tls",
        run: |observed| waits_are_timed(observed, Way::Library),
    },
    Test {
        name: "http::requests_that_wait_to_be_read_are_timed_around_tls",
        run: |observed| waits_are_timed(observed, Way::Memory),
    },
    Test {
        name: "http::short_waits_behind_bodies_are_timed",
        run: |observed| short_waits_are_timed(observed, Way::Clear),
    },
    Test {
        name: "http::short_waits_behind_bodies_are_timed_inside_tls",
        run: |observed| short_waits_are_timed(observed, Way::Library),
    },
    Test {
        name: "http::short_waits_behind_bodies_are_timed_around_tls",
        run: |observed| short_waits_are_timed(observed, Way::Memory),
    },
    Test {
        name: "http::a_connection_has_not_waited_with_the_one_before",
        run: a_connection_has_not_waited_with_the_one_before,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "http-queue",
        run: queue,
    },
    Workload {
        name: "http-short-waits",
        run: short_waits,
    },
    Workload {
        name: "http-left-unread",
        run: left_unread,
    },
];

/// Long enough for the kernel to acknowledge what the process hasn't read yet.
const LONG: Duration = Duration::from_millis(300);
/// What the kernel's ticks leave uncertain, and what a busy machine adds.
const ROUGH: Duration = Duration::from_millis(25);

/// One request that is read at once, one that waits, and one after the connection was idle. Before
/// the first one it has been open, and its handshake done, for a while.
fn queue(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = Way::of(arguments)?.connect()?;
    sleep(LONG);
    client.put(&head("/at-once"))?;
    reply(&mut client, &mut server)?;
    client.put(&head("/waits"))?;
    sleep(LONG);
    reply(&mut client, &mut server)?;
    sleep(LONG);
    client.put(&head("/after-idleness"))?;
    reply(&mut client, &mut server)
}

fn reply(client: &mut End, server: &mut End) -> Result<()> {
    server.take()?;
    server.put(ANSWER)?;
    ensure!(client.take()? == ANSWER, "another answer");
    Ok(())
}

fn waits_are_timed(observed: &mut Observed, way: Way) -> Result<()> {
    if way.is_encrypted() {
        tls::attach(observed)?;
    }
    observed.forget();
    let pid = observed.run("http-queue", &[way.name()])?;
    let found = observed.exchanges(pid);
    check(
        &found,
        &[
            ("/at-once", false),
            ("/waits", true),
            ("/after-idleness", false),
        ],
    )?;
    // Neither idleness, nor a handshake, nor waiting in the socket is the server's time.
    for server in by_role(&found, Role::Server) {
        let duration = Duration::from_nanos(server.end - server.start);
        ensure!(duration < LONG / 4, "{}: {duration:?}", server.path);
    }
    for client in by_role(&found, Role::Client) {
        let duration = Duration::from_nanos(client.end - client.start);
        let waited = &*client.path == "/waits";
        ensure!(
            waited == (duration >= LONG) && duration < LONG * 2,
            "{}: {duration:?}",
            client.path
        );
    }
    Ok(())
}

/// Shorter than a tick of the kernel's.
const SHORT: Duration = Duration::from_millis(3);

/// Requests with bodies, from which the kernel learns so much that it looks at the clock at each read;
/// then some that wait.
fn short_waits(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = Way::of(arguments)?.connect()?;
    let mut request = b"POST /body HTTP/1.1\r\nContent-Length: 3000\r\n\r\n".to_vec();
    request.resize(request.len() + 3_000, b'b');
    for _ in 0..4 {
        client.put(&request)?;
        let mut have = 0;
        while have < request.len() {
            have += server.take()?.len();
        }
        server.put(ANSWER)?;
        client.take()?;
    }
    for _ in 0..5 {
        client.put(&head("/waits"))?;
        sleep(SHORT);
        reply(&mut client, &mut server)?;
    }
    Ok(())
}

fn short_waits_are_timed(observed: &mut Observed, way: Way) -> Result<()> {
    if way.is_encrypted() {
        tls::attach(observed)?;
    }
    observed.forget();
    let pid = observed.run("http-short-waits", &[way.name()])?;
    let found = observed.exchanges(pid);
    let servers = by_role(&found, Role::Server);
    let waiting = servers.iter().filter(|server| &*server.path == "/waits");
    let waits: Vec<Duration> = waiting
        .map(|server| waited(server))
        .collect::<Result<_>>()?;
    ensure!(waits.len() == 5, "{waits:?}");
    for wait in &waits {
        // A machine that is busy makes them longer.
        ensure!((SHORT..LONG).contains(wait), "{waits:?}");
    }
    Ok(())
}

/// Connections one after the other, each of which ends with something unread: the next one may have
/// the memory of its socket.
fn left_unread(_: &[&str]) -> Result<()> {
    for _ in 0..10 {
        let (mut client, mut server) = pair()?;
        client.write_all(&head("/at-once"))?;
        client.write_all(b"more")?;
        server.read_exact(&mut vec![0; head("/at-once").len()])?;
        server.write_all(ANSWER)?;
        client.read_exact(&mut [0; ANSWER.len()])?;
        drop((client, server));
        sleep(LONG / 4);
    }
    Ok(())
}

fn a_connection_has_not_waited_with_the_one_before(observed: &mut Observed) -> Result<()> {
    observed.forget();
    let pid = observed.run("http-left-unread", &[])?;
    let found = observed.exchanges(pid);
    let servers = by_role(&found, Role::Server);
    let waits: Vec<Duration> = servers
        .iter()
        .map(|server| waited(server))
        .collect::<Result<_>>()?;
    ensure!(waits.len() == 10, "{waits:?}");
    ensure!(waits.iter().all(|wait| *wait < LONG / 8), "{waits:?}");
    Ok(())
}

/// The server's requests, in their order, and whether each has waited for [`LONG`] or not at all.
fn check(exchanges: &[Exchange], expected: &[(&str, bool)]) -> Result<()> {
    let servers = by_role(exchanges, Role::Server);
    let paths: Vec<&str> = servers.iter().map(|exchange| &*exchange.path).collect();
    ensure!(
        paths.iter().eq(expected.iter().map(|(path, _)| path)),
        "{paths:?}"
    );
    for (exchange, (path, waits)) in servers.iter().zip(expected) {
        let waited = waited(exchange)?;
        if *waits {
            ensure!(
                waited >= LONG.saturating_sub(ROUGH) && waited < LONG * 2,
                "{path} waited {waited:?} of {LONG:?}"
            );
        } else {
            ensure!(waited < LONG / 4, "{path} waited {waited:?} for nothing");
        }
    }
    let client = by_role(exchanges, Role::Client);
    ensure!(
        client.iter().all(|exchange| exchange.queued.is_none()),
        "a client's request waited"
    );
    Ok(())
}

fn waited(exchange: &Exchange) -> Result<Duration> {
    let waited = exchange.queued.context("not known how long")?;
    Ok(Duration::from_micros(waited.into()))
}
