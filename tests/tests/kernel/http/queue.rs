//! How long requests lie in a socket, and in a listener's queue, before they are read.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use sonde::l7::exchange::{Exchange, Role};
use sonde_common::event::tcp::Role as Opener;

use super::{
    ANSWER, answer, ask, by_role, exchange, head,
    peer::{End, Way},
};
use crate::{child::Workload, harness::Test, observed::Observed, tcp::pair, tls};

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
    Test {
        name: "http::the_accept_queue_counts_once_a_request_is_there",
        run: the_accept_queue_counts_once_a_request_is_there,
    },
    Test {
        name: "http::a_full_accept_queue_delays_connecting_and_no_request",
        run: a_full_accept_queue_delays_connecting_and_no_request,
    },
    Test {
        name: "http::streams_of_one_connection_wait_each_for_itself",
        run: streams_of_one_connection_wait_each_for_itself,
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
    Workload {
        name: "http-accept-queue",
        run: accept_queue,
    },
    Workload {
        name: "http-full-queue",
        run: full_queue,
    },
    Workload {
        name: "http-streams",
        run: streams,
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

/// A connection that comes with its request and isn't accepted for a while, and one that isn't
/// accepted either but asks only later.
fn accept_queue(_: &[&str]) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut eager = TcpStream::connect(listener.local_addr()?)?;
    eager.write_all(&head("/eager"))?;
    sleep(LONG);
    let (mut server, _) = listener.accept()?;
    answer(&mut server)?;
    eager.read_exact(&mut [0; ANSWER.len()])?;
    let mut idle = TcpStream::connect(listener.local_addr()?)?;
    sleep(LONG);
    let (mut server, _) = listener.accept()?;
    exchange(&mut idle, &mut server, "/idle")
}

fn the_accept_queue_counts_once_a_request_is_there(observed: &mut Observed) -> Result<()> {
    observed.forget();
    let pid = observed.run("http-accept-queue", &[])?;
    let found = observed.exchanges(pid);
    check(&found, &[("/eager", true), ("/idle", false)])?;
    // The connection was there before it was accepted; the server's time isn't.
    for closed in observed.closed(pid) {
        if closed.totals.role == Opener::Outbound as u8 {
            let connected = Duration::from_nanos(closed.totals.connect_duration);
            ensure!(connected < LONG / 4, "connected in {connected:?}");
        }
    }
    for server in by_role(&found, Role::Server) {
        let duration = Duration::from_nanos(server.end - server.start);
        ensure!(duration < LONG / 4, "{}: {duration:?}", server.path);
    }
    Ok(())
}

/// A listener's queue that is full: the next SYN is lost, and comes again after a second.
fn full_queue(_: &[&str]) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // One connection more than the backlog has room.
    // SAFETY: no pointers.
    ensure!(unsafe { libc::listen(listener.as_raw_fd(), 0) } == 0);
    let address = listener.local_addr()?;
    let _first = TcpStream::connect(address)?;
    let asking = thread::spawn(move || -> Result<Duration> {
        let begin = Instant::now();
        let mut client = TcpStream::connect(address)?;
        let took = begin.elapsed();
        ask(&mut client, "/late")?;
        Ok(took)
    });
    sleep(LONG);
    let _first = listener.accept()?;
    let (mut server, _) = listener.accept()?;
    answer(&mut server)?;
    let took = asking
        .join()
        .map_err(|_| anyhow!("the client panicked"))??;
    ensure!(took > LONG, "connected in {took:?}");
    Ok(())
}

fn a_full_accept_queue_delays_connecting_and_no_request(observed: &mut Observed) -> Result<()> {
    observed.forget();
    let pid = observed.run("http-full-queue", &[])?;
    let found = observed.exchanges(pid);
    check(&found, &[("/late", false)])?;
    for exchange in &found {
        let duration = Duration::from_nanos(exchange.end - exchange.start);
        ensure!(
            duration < LONG,
            "{:?} {duration:?} with the connect",
            exchange.role
        );
    }
    let closed = observed.closed(pid);
    let connected = closed.iter().map(|closed| closed.totals.connect_duration);
    let connected = Duration::from_nanos(connected.max().context("no connection")?);
    ensure!(connected > LONG, "connected in {connected:?}");
    Ok(())
}

/// HTTP/2 frames (RFC 9113 section 4).
mod frame {
    pub(super) const HEADERS: u8 = 1;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    /// `END_STREAM | END_HEADERS`
    pub(super) const WHOLE: u8 = 0x5;

    pub(super) fn of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("a short frame");
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// `GET path`, of static entries and literals that aren't remembered (RFC 7541).
    pub(super) fn request(stream: u32, path: &str) -> Vec<u8> {
        let mut block = vec![0x82, 0x86, 0x04];
        block.push(u8::try_from(path.len()).expect("a short path"));
        block.extend(path.as_bytes());
        of(HEADERS, WHOLE, stream, &block)
    }

    /// `200`
    pub(super) fn answer(stream: u32) -> Vec<u8> {
        of(HEADERS, WHOLE, stream, &[0x88])
    }
}

/// One stream at once; while its request is under way two others wait in one piece, then one at once
/// again.
fn streams(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    let mut opening = frame::PREFACE.to_vec();
    opening.extend(frame::of(frame::SETTINGS, 0, 0, &[]));
    opening.extend(frame::request(1, "/at-once"));
    client.write_all(&opening)?;
    read(&mut server)?;
    server.write_all(&frame::of(frame::SETTINGS, 0, 0, &[]))?;
    read(&mut client)?;
    let both = [frame::request(3, "/waits"), frame::request(5, "/waits-too")].concat();
    client.write_all(&both)?;
    sleep(LONG);
    server.write_all(&frame::answer(1))?;
    read(&mut client)?;
    read(&mut server)?;
    client.write_all(&frame::request(7, "/later"))?;
    read(&mut server)?;
    for stream in [5, 3, 7] {
        server.write_all(&frame::answer(stream))?;
        read(&mut client)?;
    }
    Ok(())
}

fn read(stream: &mut TcpStream) -> Result<()> {
    match stream.read(&mut [0; 4096])? {
        0 => bail!("the end"),
        _ => Ok(()),
    }
}

fn streams_of_one_connection_wait_each_for_itself(observed: &mut Observed) -> Result<()> {
    observed.forget();
    let pid = observed.run("http-streams", &[])?;
    let mut found = observed.exchanges(pid);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    check(
        &found,
        &[
            ("/at-once", false),
            ("/later", false),
            ("/waits", true),
            ("/waits-too", true),
        ],
    )?;
    for server in by_role(&found, Role::Server) {
        let duration = Duration::from_nanos(server.end - server.start);
        let busy = &*server.path == "/at-once";
        ensure!(
            busy == (duration >= LONG) && duration < LONG * 2,
            "{}: {duration:?}",
            server.path
        );
    }
    Ok(())
}
