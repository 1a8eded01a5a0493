//! TLS, through a library of the test's own: its calls have the form of OpenSSL's, what it puts on
//! the wire has the form of TLS records, and nothing is encrypted. So this runs wherever uprobes do,
//! in a virtual machine without any library as well.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::fd::AsFd as _,
};

use anyhow::{Context as _, Result, ensure};
use sonde::{
    kernel::uprobe::Moment,
    l7::exchange::{Exchange, Role},
};
use sonde_common::fault::Fault;

use self::library::{Carrier, Session, as_offset};
use super::http::{ANSWER, by_role, head};
use crate::{
    child::Workload,
    harness::{Skipped, Test},
    observed::{Observed, Seen},
    tcp::pair,
};

pub(crate) mod library;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "tls::a_library_that_moves_the_bytes_itself",
        run: a_library_that_moves_the_bytes_itself,
    },
    Test {
        name: "tls::a_program_that_moves_the_bytes_around_the_calls",
        run: a_program_that_moves_the_bytes_around_the_calls,
    },
    Test {
        name: "tls::sessions_that_begin_at_once_in_one_thread",
        run: sessions_that_begin_at_once_in_one_thread,
    },
    Test {
        name: "tls::sessions_at_one_place_in_memory_are_kept_apart",
        run: sessions_at_one_place_in_memory_are_kept_apart,
    },
    Test {
        name: "tls::what_has_no_library_is_told_as_uncovered",
        run: what_has_no_library_is_told_as_uncovered,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "tls-exchanges",
        run: exchanges,
    },
    Workload {
        name: "tls-crowd",
        run: crowd,
    },
    Workload {
        name: "tls-reuse",
        run: reuse,
    },
    Workload {
        name: "tls-bare",
        run: bare,
    },
];

/// Attaches the programs to the library as the agent does, once for all tests.
pub(crate) fn attach(observed: &mut Observed) -> Result<()> {
    if !observed.library.is_empty() {
        return Ok(());
    }
    let uprobes = observed.programs.take_uprobes();
    let uprobes = uprobes.ok_or_else(|| Skipped("no uprobes here".to_owned()))?;
    let file = File::open("/proc/self/exe")?;
    let attach = |program: &str, function, moment| {
        let fd = uprobes.descriptors.get(program).context("not loaded")?;
        let offsets = [as_offset(function)?];
        let links = uprobes.way.attach(fd.as_fd(), &file, &offsets, moment);
        links.with_context(|| format!("attach {program}"))
    };
    for (program, function) in library::FUNCTIONS {
        let entry = attach(program, *function, Moment::Entry)?;
        observed.library.extend(entry);
        if *program != "tls_free" {
            let end = attach("tls_return", *function, Moment::Return)?;
            observed.library.extend(end);
        }
    }
    Ok(())
}

/// Two sessions over a connection, each with its handshake done.
fn connect(carrier: Carrier) -> Result<(Session, Session)> {
    let (client, server) = pair()?;
    connect_over(client, server, carrier)
}

/// The same over a connection.
pub(crate) fn connect_over(
    client: TcpStream,
    server: TcpStream,
    carrier: Carrier,
) -> Result<(Session, Session)> {
    let (mut client, mut server) = (Session::new(client, carrier), Session::new(server, carrier));
    for _ in 0..2 {
        client.handshake(true)?;
        server.handshake(false)?;
        server.handshake(true)?;
        client.handshake(false)?;
    }
    Ok((client, server))
}

/// Requests with answers on some connections: with a library that reads and writes the socket
/// (`socket`), or one between memory and memory (`memory`).
fn exchanges(arguments: &[&str]) -> Result<()> {
    let carrier = match arguments {
        ["socket"] => Carrier::Socket,
        _ => Carrier::Memory,
    };
    for connection in 0..3 {
        let (mut client, mut server) = connect(carrier)?;
        for request in 0..20 {
            ask(
                &mut client,
                &mut server,
                &format!("/{connection}/{request}"),
            )?;
        }
    }
    Ok(())
}

fn ask(client: &mut Session, server: &mut Session, path: &str) -> Result<()> {
    client.write(&head(path))?;
    let request = server.read(4096)?;
    ensure!(request == head(path), "another request");
    // Now and then in two calls.
    let (first, second) = ANSWER.split_at(if path.ends_with('7') { 9 } else { ANSWER.len() });
    for part in [first, second] {
        if !part.is_empty() {
            server.write(part)?;
            ensure!(client.read(4096)? == part, "another answer");
        }
    }
    Ok(())
}

/// Both ends of what a workload's sessions carried.
fn told(observed: &mut Observed, workload: &str, arguments: &[&str]) -> Result<Vec<Exchange>> {
    attach(observed)?;
    observed.forget();
    let pid = observed.run(workload, arguments)?;
    Ok(observed.exchanges(pid))
}

fn check(observed: &mut Observed, carrier: &str) -> Result<()> {
    attach(observed)?;
    let before = observed.faults(Fault::Tls)?;
    let found = told(observed, "tls-exchanges", &[carrier])?;
    let paths: Vec<String> = (0..3)
        .flat_map(|connection| (0..20).map(move |request| format!("/{connection}/{request}")))
        .collect();
    for role in [Role::Server, Role::Client] {
        let found = by_role(&found, role);
        ensure!(found.len() == paths.len(), "{role:?}: {}", found.len());
        for (exchange, path) in found.iter().zip(&paths) {
            ensure!(*exchange.path == **path, "{role:?}: {}", exchange.path);
            ensure!(exchange.status == Some(200), "{:?}", exchange.status);
            ensure!(exchange.scheme == "https", "{}", exchange.scheme);
            ensure!(
                exchange.response_body == Some(5),
                "{:?}",
                exchange.response_body
            );
            let port = exchange.tuple.remote_port;
            ensure!(port != 0, "no addresses");
        }
    }
    let uncovered = observed.faults(Fault::Tls)? - before;
    ensure!(uncovered == 0, "{uncovered} told as uncovered");
    Ok(())
}

fn a_library_that_moves_the_bytes_itself(observed: &mut Observed) -> Result<()> {
    check(observed, "socket")
}

fn a_program_that_moves_the_bytes_around_the_calls(observed: &mut Observed) -> Result<()> {
    check(observed, "memory")
}

/// Connections that begin together in one thread, between memory and memory. A client also tries
/// to read where there is nothing yet, and asks as soon as it has heard from its server.
fn crowd(_: &[&str]) -> Result<()> {
    let mut crowd = Vec::new();
    for number in 0..4 {
        let (client, server) = pair()?;
        let sessions = [client, server].map(|socket| Session::new(socket, Carrier::Memory));
        crowd.push((number, sessions));
    }
    for (_, [client, _]) in &mut crowd {
        client.handshake(true)?;
        ensure!(client.read_nothing(), "something to read");
    }
    for (_, [_, server]) in &mut crowd {
        server.handshake(false)?;
        server.handshake(true)?;
    }
    for (number, [client, _]) in &mut crowd {
        client.handshake(false)?;
        client.write(&head(&format!("/crowd/{number}")))?;
    }
    for (_, [client, server]) in &mut crowd {
        server.read(4096)?;
        server.write(ANSWER)?;
        ensure!(client.read(4096)? == ANSWER, "another answer");
    }
    Ok(())
}

fn sessions_that_begin_at_once_in_one_thread(observed: &mut Observed) -> Result<()> {
    let found = told(observed, "tls-crowd", &[])?;
    for role in [Role::Server, Role::Client] {
        let mut paths: Vec<&str> = by_role(&found, role)
            .iter()
            .map(|exchange| &*exchange.path)
            .collect();
        paths.sort_unstable();
        let all = ["/crowd/0", "/crowd/1", "/crowd/2", "/crowd/3"];
        ensure!(paths == all, "{role:?}: {paths:?}");
    }
    Ok(())
}

/// Sessions that take the place of others in memory, without being freed.
fn reuse(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = connect(Carrier::Socket)?;
    ask(&mut client, &mut server, "/first")?;
    let (next_client, next_server) = pair()?;
    client.start_over(next_client);
    server.start_over(next_server);
    client.handshake(true)?;
    server.handshake(false)?;
    server.handshake(true)?;
    client.handshake(false)?;
    ask(&mut client, &mut server, "/second")
}

fn sessions_at_one_place_in_memory_are_kept_apart(observed: &mut Observed) -> Result<()> {
    let found = told(observed, "tls-reuse", &[])?;
    for role in [Role::Server, Role::Client] {
        let found = by_role(&found, role);
        let paths: Vec<&str> = found.iter().map(|exchange| &*exchange.path).collect();
        ensure!(paths == ["/first", "/second"], "{role:?}: {paths:?}");
        ensure!(found[0].connection != found[1].connection, "one connection");
    }
    Ok(())
}

/// Records without any library.
fn bare(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    for _ in 0..3 {
        client.write_all(b"\x16\x03\x01\x00\x05hello")?;
        server.read_exact(&mut [0; 10])?;
        server.write_all(b"\x16\x03\x03\x00\x05hello")?;
        client.read_exact(&mut [0; 10])?;
    }
    Ok(())
}

fn what_has_no_library_is_told_as_uncovered(observed: &mut Observed) -> Result<()> {
    attach(observed)?;
    observed.forget();
    let pid = observed.run("tls-bare", &[])?;
    let told = observed
        .seen
        .iter()
        .filter(|seen| matches!(seen, Seen::Uncovered(record) if record.header.tgid == pid));
    let told = told.count();
    ensure!(told == 2, "{told} ends told as uncovered");
    ensure!(observed.exchanges(pid).is_empty(), "exchanges");
    Ok(())
}
