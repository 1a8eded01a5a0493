//! HTTP on real sockets, through the agent's byte-stream model.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use sonde::l7::exchange::{Exchange, Failure, Method, Role};
use sonde_common::fault::Fault;

use crate::{
    child::{self, Child, Workload, hear, tell},
    harness::Test,
    observed::{Observed, Seen},
    sys,
    tcp::pair,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::fault_01_other_protocols_are_counted_and_left_alone",
        run: fault_01_other_protocols_are_counted_and_left_alone,
    },
    Test {
        name: "http::fault_05_split_at_every_offset",
        run: fault_05_split_at_every_offset,
    },
    Test {
        name: "http::fault_06_fifty_pipelined_requests",
        run: fault_06_fifty_pipelined_requests,
    },
    Test {
        name: "http::fault_10_an_answer_that_the_end_of_the_connection_ends",
        run: fault_10_an_answer_that_the_end_of_the_connection_ends,
    },
    Test {
        name: "http::fault_11_long_heads_are_timed_and_flagged",
        run: fault_11_long_heads_are_timed_and_flagged,
    },
    Test {
        name: "http::fault_12_ten_thousand_requests_on_one_connection",
        run: fault_12_ten_thousand_requests_on_one_connection,
    },
    Test {
        name: "http::fault_13_a_connection_that_was_open_before",
        run: fault_13_a_connection_that_was_open_before,
    },
    Test {
        name: "http::fault_15_half_close_and_resets",
        run: fault_15_half_close_and_resets,
    },
    Test {
        name: "http::fault_16_descriptors_used_again_at_once",
        run: fault_16_descriptors_used_again_at_once,
    },
    Test {
        name: "http::fault_17_whoever_reads_the_request_owns_it",
        run: fault_17_whoever_reads_the_request_owns_it,
    },
    Test {
        name: "http::a_request_in_flight_is_known_before_its_answer",
        run: a_request_in_flight_is_known_before_its_answer,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "http-other",
        run: other_protocols,
    },
    Workload {
        name: "http-split",
        run: split,
    },
    Workload {
        name: "http-pipeline",
        run: pipeline,
    },
    Workload {
        name: "http-close-delimited",
        run: close_delimited,
    },
    Workload {
        name: "http-long-heads",
        run: long_heads,
    },
    Workload {
        name: "http-many",
        run: many,
    },
    Workload {
        name: "http-late",
        run: late,
    },
    Workload {
        name: "http-ends",
        run: ends,
    },
    Workload {
        name: "http-reuse",
        run: reuse,
    },
    Workload {
        name: "http-prefork",
        run: prefork,
    },
    Workload {
        name: "http-worker",
        run: worker,
    },
    Workload {
        name: "http-in-flight",
        run: in_flight,
    },
];

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn head(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: test.example\r\n\r\n").into_bytes()
}

/// Reads up to and with the first empty line.
pub(crate) fn read_head(stream: &mut impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0u8; 65_536];
    while !bytes.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the end, within a head");
        bytes.extend_from_slice(&buffer[..count]);
    }
    Ok(bytes)
}

/// Asks and waits for the answer.
pub(crate) fn ask(client: &mut TcpStream, path: &str) -> Result<()> {
    client.write_all(&head(path))?;
    Ok(client.read_exact(&mut vec![0; ANSWER.len()])?)
}

/// Waits for a request and answers it.
pub(crate) fn answer(server: &mut TcpStream) -> Result<()> {
    read_head(server)?;
    Ok(server.write_all(ANSWER)?)
}

/// One whole exchange between two ends of this process.
pub(crate) fn exchange(client: &mut TcpStream, server: &mut TcpStream, path: &str) -> Result<()> {
    client.write_all(&head(path))?;
    answer(server)?;
    Ok(client.read_exact(&mut vec![0; ANSWER.len()])?)
}

/// The exchanges of one role, in their order.
pub(crate) fn by_role(exchanges: &[Exchange], role: Role) -> Vec<&Exchange> {
    exchanges
        .iter()
        .filter(|exchange| exchange.role == role)
        .collect()
}

/// Runs a workload; its exchanges as the server, and as the client.
fn both(observed: &mut Observed, workload: &str, arguments: &[&str]) -> Result<Vec<Exchange>> {
    observed.forget();
    let pid = observed.run(workload, arguments)?;
    Ok(observed.exchanges(pid))
}

/// Both ends saw these paths, in this order, with this status.
fn check_paths(exchanges: &[Exchange], paths: &[String], status: Option<u16>) -> Result<()> {
    for role in [Role::Server, Role::Client] {
        let found = by_role(exchanges, role);
        ensure!(
            found.len() == paths.len(),
            "{role:?}: {} of {}",
            found.len(),
            paths.len()
        );
        for (exchange, path) in found.iter().zip(paths) {
            ensure!(
                *exchange.path == **path,
                "{role:?}: {} for {path}",
                exchange.path
            );
            ensure!(
                exchange.status == status,
                "{role:?} {path}: {:?}",
                exchange.status
            );
            ensure!(!exchange.truncated, "{role:?} {path}: truncated");
            ensure!(
                exchange.start <= exchange.end,
                "{role:?} {path}: negative duration"
            );
        }
    }
    Ok(())
}

/// What is no HTTP: a TLS handshake, random bytes, the HTTP/2 preface, a server that speaks first.
fn other_protocols(_: &[&str]) -> Result<()> {
    let random: Vec<u8> = (0..200u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let greetings: [&[u8]; 3] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &random,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for greeting in greetings {
        let (mut client, mut server) = pair()?;
        client.write_all(greeting)?;
        server.read_exact(&mut vec![0; greeting.len()])?;
        // Never looked at again, even when it looks like HTTP.
        exchange(&mut client, &mut server, "/within-another-protocol")?;
    }
    let (mut client, mut server) = pair()?;
    server.write_all(b"220 mail.example ESMTP\r\n")?;
    client.read_exact(&mut [0; 24])?;
    Ok(())
}

fn fault_01_other_protocols_are_counted_and_left_alone(observed: &mut Observed) -> Result<()> {
    let reasons = [Fault::Tls, Fault::NotHttp, Fault::Http2];
    let before = reasons.map(|reason| observed.faults(reason).unwrap_or(0));
    let exchanges = both(observed, "http-other", &[])?;
    ensure!(exchanges.is_empty(), "{} exchanges", exchanges.len());
    // Each on both ends; other programs of the machine may add to them.
    for (index, (reason, least)) in reasons.into_iter().zip([2, 4, 2]).enumerate() {
        let counted = observed.faults(reason)? - before[index];
        ensure!(counted >= least, "{reason:?}: {counted} of {least}");
    }
    Ok(())
}

/// Long enough that a piece of it isn't taken whole by accident.
fn long_head(path: &str) -> Vec<u8> {
    let agent = "a".repeat(120);
    let host = "split.example";
    format!(
        "POST {path} HTTP/1.1\r\nUser-Agent: {agent}\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// A request and its answer cut in two at every offset, on a new connection and on a used one.
fn split(_: &[&str]) -> Result<()> {
    let (mut used_client, mut used_server) = pair()?;
    let response = b"HTTP/1.1 201 Created\r\nServer: split\r\nContent-Length: 3\r\n\r\nabc";
    let length = long_head("/split/000").len();
    for offset in 1..length {
        let request = long_head(&format!("/split/{offset:03}"));
        let (mut client, mut server) = pair()?;
        in_two(&mut client, &mut server, &request, offset)?;
        in_two(&mut server, &mut client, response, offset % response.len())?;
        in_two(&mut used_client, &mut used_server, &request, offset)?;
        in_two(
            &mut used_server,
            &mut used_client,
            response,
            offset % response.len(),
        )?;
    }
    let request = long_head("/split/bytes");
    let (client, server) = pair()?;
    for (from, to, bytes) in [(0, 1, &request[..]), (1, 0, &response[..])] {
        let mut ends = [&client, &server];
        for byte in bytes {
            ends[from].write_all(&[*byte])?;
            ends[to].read_exact(&mut [0; 1])?;
        }
    }
    Ok(())
}

fn in_two(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8], offset: usize) -> Result<()> {
    let (first, second) = bytes.split_at(offset);
    for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
        from.write_all(part)?;
        to.read_exact(&mut vec![0; part.len()])?;
    }
    Ok(())
}

fn fault_05_split_at_every_offset(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http-split", &[])?;
    let length = long_head("/split/000").len();
    for role in [Role::Server, Role::Client] {
        let found = by_role(&exchanges, role);
        for offset in 1..length {
            let path = format!("/split/{offset:03}");
            let here: Vec<_> = found
                .iter()
                .filter(|exchange| *exchange.path == path)
                .collect();
            ensure!(here.len() == 2, "{role:?}: {} of 2 at {offset}", here.len());
            here.iter()
                .try_for_each(|exchange| check_split(exchange, role, offset))?;
        }
        let bytes: Vec<_> = found
            .iter()
            .filter(|e| &*e.path == "/split/bytes")
            .collect();
        ensure!(bytes.len() == 1, "{role:?}: {} byte by byte", bytes.len());
        check_split(bytes[0], role, 0)?;
    }
    Ok(())
}

fn check_split(exchange: &Exchange, role: Role, offset: usize) -> Result<()> {
    let agent = "a".repeat(120);
    ensure!(
        exchange.method == Method::Post && exchange.status == Some(201),
        "{role:?} {offset}"
    );
    ensure!(!exchange.truncated, "{role:?} {offset}: truncated");
    ensure!(
        exchange.user_agent.as_deref() == Some(&agent),
        "{role:?} {offset}: User-Agent"
    );
    ensure!(
        exchange.host.as_deref() == Some("split.example"),
        "{role:?} {offset}: Host"
    );
    ensure!(
        exchange.request_body == Some(0),
        "{role:?} {offset}: {:?}",
        exchange.request_body
    );
    ensure!(
        exchange.response_body == Some(3),
        "{role:?} {offset}: {:?}",
        exchange.response_body
    );
    Ok(())
}

const PIPELINED: usize = 50;

/// All requests in one write; the answers one by one, then all in one write.
fn pipeline(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    let requests: Vec<u8> = (0..PIPELINED)
        .flat_map(|index| format!("GET /p/{index} HTTP/1.1\r\nHost: p\r\n\r\n").into_bytes())
        .collect();
    let empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    client.write_all(&requests)?;
    server.read_exact(&mut vec![0; requests.len()])?;
    if arguments == ["one"] {
        server.write_all(&empty.repeat(PIPELINED))?;
    } else {
        for _ in 0..PIPELINED {
            server.write_all(empty)?;
        }
    }
    Ok(client.read_exact(&mut vec![0; empty.len() * PIPELINED])?)
}

fn fault_06_fifty_pipelined_requests(observed: &mut Observed) -> Result<()> {
    let paths: Vec<String> = (0..PIPELINED).map(|index| format!("/p/{index}")).collect();
    for answers in ["each", "one"] {
        let exchanges = both(observed, "http-pipeline", &[answers])?;
        check_paths(&exchanges, &paths, Some(200))
            .with_context(|| format!("answers: {answers}"))?;
    }
    Ok(())
}

/// Bytes of an answer without a length.
const UNTIL_CLOSE: usize = 3210;

/// HTTP/1.0; the client reads before the server closes, or only afterwards, when the end of the
/// stream has been merged with its last bytes.
fn close_delimited(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    client.write_all(b"GET /old HTTP/1.0\r\n\r\n")?;
    read_head(&mut server)?;
    server.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?;
    let mut body = Vec::new();
    if arguments == ["before"] {
        client.read_exact(&mut [0; 19])?;
    }
    server.write_all(&vec![b'x'; UNTIL_CLOSE])?;
    drop(server);
    client.read_to_end(&mut body)?;
    Ok(())
}

fn fault_10_an_answer_that_the_end_of_the_connection_ends(observed: &mut Observed) -> Result<()> {
    for reading in ["before", "after"] {
        let unseen = observed.faults(Fault::UnseenBytes)?;
        let exchanges = both(observed, "http-close-delimited", &[reading])?;
        check_paths(&exchanges, &["/old".to_owned()], Some(200))?;
        for exchange in &exchanges {
            let (role, body) = (exchange.role, exchange.response_body);
            ensure!(
                body == Some(UNTIL_CLOSE as u64),
                "{role:?} {reading}: {body:?}"
            );
            ensure!(exchange.version == "1.0" && exchange.failure.is_none());
        }
        let unseen = observed.faults(Fault::UnseenBytes)? - unseen;
        ensure!(unseen == 0, "{reading}: {unseen} gaps where there are none");
    }
    Ok(())
}

/// 64 KiB of headers in one write and in many, and a target of 1 MiB.
fn long_heads(_: &[&str]) -> Result<()> {
    let filler: String = (0..1024)
        .map(|n| format!("X-Filler-{n:04}: {n:48}\r\n"))
        .collect();
    let one = format!("GET /filled HTTP/1.1\r\nHost: long\r\n{filler}\r\n").into_bytes();
    let target = format!(
        "GET /{} HTTP/1.1\r\nHost: long\r\n\r\n",
        "u".repeat(1 << 20)
    )
    .into_bytes();
    for (request, piece) in [(&one, one.len()), (&one, 1000), (&target, target.len())] {
        let (mut client, mut server) = pair()?;
        let reader = std::thread::spawn(move || -> Result<()> {
            read_head(&mut server)?;
            Ok(server.write_all(ANSWER)?)
        });
        for part in request.chunks(piece) {
            client.write_all(part)?;
        }
        client.read_exact(&mut vec![0; ANSWER.len()])?;
        reader.join().ok().context("the server's thread")??;
    }
    Ok(())
}

fn fault_11_long_heads_are_timed_and_flagged(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http-long-heads", &[])?;
    for role in [Role::Server, Role::Client] {
        let found = by_role(&exchanges, role);
        ensure!(found.len() == 3, "{role:?}: {} of 3", found.len());
        for exchange in found {
            let path = &exchange.path[..exchange.path.len().min(20)];
            ensure!(
                exchange.status == Some(200),
                "{role:?} {path}: {:?}",
                exchange.status
            );
            ensure!(exchange.truncated, "{role:?} {path}: not flagged");
            ensure!(exchange.end > exchange.start);
            // A target without an end is no path: rather none than the beginning of one.
            let known = path == "/filled" || path.is_empty() || path.starts_with("/uuuuuu");
            ensure!(known, "{role:?} {path}");
        }
    }
    Ok(())
}

const MANY: usize = 10_000;

fn many(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    (0..MANY).try_for_each(|index| exchange(&mut client, &mut server, &format!("/many/{index}")))
}

fn fault_12_ten_thousand_requests_on_one_connection(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http-many", &[])?;
    let paths: Vec<String> = (0..MANY).map(|index| format!("/many/{index}")).collect();
    check_paths(&exchanges, &paths, Some(200))?;
    let connections = observed.follow(|_| {});
    ensure!(connections.in_flight() == 0 && connections.buffered() == 0);
    Ok(())
}

/// A connection in the middle of a request's body when the agent starts.
fn late(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    client.write_all(b"POST /before HTTP/1.1\r\nHost: l\r\nContent-Length: 100\r\n\r\n")?;
    client.write_all(&[b'b'; 50])?;
    read_head_and(&mut server, 50)?;
    tell("open")?;
    hear()?;
    client.write_all(&[7; 50])?;
    server.read_exact(&mut [0; 50])?;
    server.write_all(ANSWER)?;
    client.read_exact(&mut [0; ANSWER.len()])?;
    for index in 0..3 {
        exchange(&mut client, &mut server, &format!("/late/{index}"))?;
    }
    Ok(())
}

/// Reads a head and this many bytes of the body after it.
fn read_head_and(server: &mut TcpStream, body: usize) -> Result<()> {
    let mut bytes = Vec::new();
    let mut byte = [0u8; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        server.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    Ok(server.read_exact(&mut vec![0; body])?)
}

fn fault_13_a_connection_that_was_open_before(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("http-late", &[])?;
    let pid = child.pid();
    child.line()?;
    let mut late = Observed::attach(observed.mode)?;
    child.say("go on")?;
    ensure!(late.finish(child)?.success());
    let exchanges = late.exchanges(pid);
    let paths: Vec<String> = (0..3).map(|index| format!("/late/{index}")).collect();
    check_paths(&exchanges, &paths, Some(200))?;
    for closed in late.closed(pid) {
        ensure!(closed.totals.role == 0, "a role that nobody saw");
    }
    ensure!(late.closed(pid).len() == 2);
    Ok(())
}

/// How a connection may end around an answer.
fn ends(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    client.write_all(&head("/ends"))?;
    if arguments == ["half-close"] {
        client.shutdown(Shutdown::Write)?;
        read_head(&mut server)?;
        ensure!(server.read(&mut [0; 1])? == 0);
        server.write_all(ANSWER)?;
        // Before the end comes: with both directions ended there is no connection any more.
        client.read_exact(&mut [0; ANSWER.len()])?;
        drop(server);
        ensure!(client.read(&mut [0; 1])? == 0);
        return Ok(());
    }
    read_head(&mut server)?;
    if arguments == ["after"] {
        server.write_all(ANSWER)?;
        client.read_exact(&mut [0; ANSWER.len()])?;
    } else if arguments == ["middle"] {
        server.write_all(&ANSWER[..ANSWER.len() - 2])?;
        client.read_exact(&mut vec![0; ANSWER.len() - 2])?;
    }
    sys::reset_on_close(&server)?;
    drop(server);
    ensure!(client.read(&mut [0; 1]).is_err());
    Ok(())
}

fn fault_15_half_close_and_resets(observed: &mut Observed) -> Result<()> {
    for (how, status, failure) in [
        ("half-close", Some(200), None),
        ("after", Some(200), None),
        ("middle", Some(200), Some(Failure::ConnectionReset)),
        ("before", None, Some(Failure::ConnectionReset)),
    ] {
        let exchanges = both(observed, "http-ends", &[how])?;
        check_paths(&exchanges, &["/ends".to_owned()], status).context(how)?;
        for exchange in &exchanges {
            let role = exchange.role;
            ensure!(
                exchange.failure == failure,
                "{how} {role:?}: {:?}",
                exchange.failure
            );
        }
    }
    Ok(())
}

/// Connections one after the other on the same descriptors, every other one no HTTP.
fn reuse(_: &[&str]) -> Result<()> {
    let mut descriptors = None;
    for index in 0..200 {
        let (mut client, mut server) = pair()?;
        let numbers = (client.as_raw_fd(), server.as_raw_fd());
        ensure!(
            *descriptors.get_or_insert(numbers) == numbers,
            "other descriptors"
        );
        if index % 2 == 0 {
            exchange(&mut client, &mut server, &format!("/reuse/{index}"))?;
        } else {
            client.write_all(&[0xff; 64])?;
            server.read_exact(&mut [0; 64])?;
        }
    }
    Ok(())
}

fn fault_16_descriptors_used_again_at_once(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http-reuse", &[])?;
    let paths: Vec<String> = (0..200)
        .step_by(2)
        .map(|index| format!("/reuse/{index}"))
        .collect();
    check_paths(&exchanges, &paths, Some(200))?;
    let mut connections: Vec<u64> = exchanges
        .iter()
        .map(|exchange| exchange.connection)
        .collect();
    connections.sort_unstable();
    connections.dedup();
    ensure!(
        connections.len() == 200,
        "{} connections",
        connections.len()
    );
    Ok(())
}

/// A worker process with a Unix socket to it.
fn start_worker(how: &str) -> Result<(std::process::Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let worker = child::command("http-worker", &[how])?
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    Ok((worker, ours))
}

/// Takes a descriptor from its standard input: a listener to accept from, or a connection, which
/// it reads through another descriptor of its own. Answers one request.
fn worker(arguments: &[&str]) -> Result<()> {
    let descriptor = sys::take(0)?;
    let mut server = if arguments == ["accept"] {
        TcpListener::from(descriptor).accept()?.0
    } else {
        TcpStream::from(descriptor.try_clone()?)
    };
    answer(&mut server)
}

/// Three workers that accept from one listener, then three that are passed an accepted
/// connection; one after the other, so that it is known who answers what.
fn prefork(_: &[&str]) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    for how in ["accept", "passed", "accept", "passed", "accept", "passed"] {
        let (mut worker, socket) = start_worker(how)?;
        let mut client = TcpStream::connect(("127.0.0.1", port))?;
        if how == "accept" {
            sys::pass(socket.as_raw_fd(), listener.as_raw_fd())?;
        } else {
            let (server, _) = listener.accept()?;
            sys::pass(socket.as_raw_fd(), server.as_raw_fd())?;
        }
        ask(&mut client, &format!("/{how}/{}", worker.id()))?;
        ensure!(worker.wait()?.success());
    }
    Ok(())
}

fn fault_17_whoever_reads_the_request_owns_it(observed: &mut Observed) -> Result<()> {
    let pid = observed.run("http-prefork", &[])?;
    let asked = observed.exchanges(pid);
    ensure!(asked.len() == 6, "{} asked", asked.len());
    for exchange in &asked {
        ensure!(
            exchange.role == Role::Client,
            "the parent answered {}",
            exchange.path
        );
        let worker = exchange
            .path
            .rsplit('/')
            .next()
            .context("no worker in the path")?;
        let answered = observed.exchanges(worker.parse()?);
        ensure!(
            answered.len() == 1,
            "{} answered by {worker}",
            answered.len()
        );
        ensure!(answered[0].role == Role::Server && answered[0].path == exchange.path);
    }
    Ok(())
}

/// A request without an answer for some time.
fn in_flight(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    client.write_all(&head("/slow"))?;
    read_head(&mut server)?;
    tell("asked")?;
    hear()?;
    server.write_all(ANSWER)?;
    Ok(client.read_exact(&mut [0; ANSWER.len()])?)
}

fn a_request_in_flight_is_known_before_its_answer(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("http-in-flight", &[])?;
    let pid = child.pid();
    child.line()?;
    observed.until("both ends of the request", |observed| {
        observed.release_held().ok()?;
        let active = observed.follow(|_| {});
        let ours = active.active().filter(|(_, tgid, ..)| *tgid == pid).count();
        (ours == 2).then_some(())
    })?;
    child.say("answer")?;
    ensure!(observed.finish(child)?.success());
    check_paths(&observed.exchanges(pid), &["/slow".to_owned()], Some(200))?;
    let told = |seen: &&Seen| matches!(seen, Seen::Segment(segment) if segment.tgid == pid);
    // Each of four reads and writes once, though the heads were let go by the sweep.
    let segments = observed
        .seen
        .iter()
        .filter(told)
        .filter(|seen| matches!(seen, Seen::Segment(segment) if segment.length > 0));
    ensure!(segments.count() == 4);
    Ok(())
}
