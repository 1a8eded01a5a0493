//! How messages are cut and ended on the wire.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use anyhow::{Context as _, Result, ensure};
use sonde::l7::exchange::{Exchange, Method, Role};
use sonde_common::fault::Fault;

use super::{ANSWER, both, by_role, check_paths, read_head};
use crate::{child::Workload, harness::Test, observed::Observed, tcp::pair};

pub(crate) const TESTS: &[Test] = &[
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
];

pub(crate) const WORKLOADS: &[Workload] = &[
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
];

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

/// Sends bytes in two writes, each of which is read before the next.
pub(super) fn in_two(
    from: &mut TcpStream,
    to: &mut TcpStream,
    bytes: &[u8],
    offset: usize,
) -> Result<()> {
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
