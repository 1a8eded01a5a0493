//! TCP connections: latency, failures, bytes, ends.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv6Addr, Shutdown, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CloneFlags, unshare};
use sonde_common::event::{
    http::Tuple,
    tcp::{Closed, ConnectFailed, Role, Totals},
};

use crate::{
    child::{Child, Workload, hear, tell},
    harness::Test,
    observed::{Observed, Seen},
    sys,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "tcp::bytes_are_exact_over_ipv4",
        run: |observed| bytes_are_exact(observed, "127.0.0.1:0", "127.0.0.1"),
    },
    Test {
        name: "tcp::bytes_are_exact_over_ipv6",
        run: |observed| bytes_are_exact(observed, "[::1]:0", "::1"),
    },
    Test {
        name: "tcp::bytes_are_exact_over_ipv4_mapped_ipv6",
        run: |observed| bytes_are_exact(observed, "[::]:0", "127.0.0.1"),
    },
    Test {
        name: "tcp::a_refused_connect_tells_its_errno",
        run: a_refused_connect_tells_its_errno,
    },
    Test {
        name: "tcp::resets_are_told_by_who_sent_them",
        run: resets_are_told_by_who_sent_them,
    },
    Test {
        name: "tcp::a_connection_is_open_from_its_establishment_to_its_end",
        run: a_connection_is_open_from_its_establishment_to_its_end,
    },
    Test {
        name: "tcp::a_read_after_a_reset_leaves_no_state",
        run: a_read_after_a_reset_leaves_no_state,
    },
    Test {
        name: "tcp::fault_16_the_same_addresses_in_two_namespaces",
        run: fault_16_the_same_addresses_in_two_namespaces,
    },
    Test {
        name: "tcp::fault_29_the_agents_own_connections_are_not_seen",
        run: fault_29_the_agents_own_connections_are_not_seen,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "transfer",
        run: transfer,
    },
    Workload {
        name: "refused",
        run: refused,
    },
    Workload {
        name: "reset",
        run: reset,
    },
    Workload {
        name: "hold",
        run: hold,
    },
    Workload {
        name: "fixed-ports",
        run: fixed_ports,
    },
    Workload {
        name: "serve",
        run: serve,
    },
    Workload {
        name: "request",
        run: request,
    },
];

/// Both ends of a connection within this process: who connected, who accepted.
pub(crate) fn pair() -> Result<(TcpStream, TcpStream)> {
    pair_at("127.0.0.1:0", "127.0.0.1")
}

fn pair_at(bind: &str, host: &str) -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(bind)?;
    let client = TcpStream::connect((host, listener.local_addr()?.port()))?;
    let (server, _) = listener.accept()?;
    // Pieces go out as they are written, without waiting for what is under way.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    Ok((client, server))
}

/// Bytes that the client sends, and the server.
const FORTH: usize = 1_234_567;
const BACK: usize = 345_678;

/// Moves bytes both ways, waits, and closes the client's end first.
fn transfer(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair_at(arguments[0], arguments[1])?;
    tell(client.peer_addr()?.port())?;
    move_bytes(&mut client, &mut server, FORTH)?;
    move_bytes(&mut server, &mut client, BACK)?;
    tell("moved")?;
    hear()?;
    client.shutdown(Shutdown::Write)?;
    ensure!(server.read(&mut [0; 16])? == 0);
    drop(server);
    ensure!(client.read(&mut [0; 16])? == 0);
    Ok(())
}

fn move_bytes(from: &mut TcpStream, to: &mut TcpStream, bytes: usize) -> Result<()> {
    let mut buffer = vec![0u8; 10_000];
    let mut left = bytes;
    while left > 0 {
        let size = left.min(buffer.len());
        from.write_all(&buffer[..size])?;
        to.read_exact(&mut buffer[..size])?;
        left -= size;
    }
    Ok(())
}

/// The one with this role.
fn with_role<T>(records: &[T], role: Role, of: impl Fn(&T) -> &Totals) -> Result<&T> {
    let mut found = records
        .iter()
        .filter(|record| of(record).role == role as u8);
    let first = found.next().with_context(|| format!("none {role:?}"))?;
    ensure!(found.next().is_none(), "more than one {role:?}");
    Ok(first)
}

fn same(totals: &Totals) -> &Totals {
    totals
}

fn of_closed(closed: &Closed) -> &Totals {
    &closed.totals
}

fn bytes_are_exact(observed: &mut Observed, bind: &str, host: &str) -> Result<()> {
    let mut child = Child::start("transfer", &[bind, host])?;
    let pid = child.pid();
    let port: u16 = child.line()?.parse()?;
    child.line()?;
    let open = observed.open_connections()?;
    let open: Vec<Totals> = open
        .into_iter()
        .filter(|totals| totals.tgid == pid)
        .collect();
    check_totals(&open, same, port, host).context("while open")?;
    child.say("close")?;
    ensure!(observed.finish(child)?.success());
    let closed = observed.closed(pid);
    check_totals(&closed, of_closed, port, host).context("after the end")?;
    for closed in &closed {
        ensure!(closed.reset == 0 && closed.error == 0, "an orderly end");
    }
    let after = observed.open_connections()?;
    ensure!(!after.iter().any(|totals| totals.tgid == pid), "still open");
    Ok(())
}

fn check_totals<T>(
    records: &[T],
    of: impl Fn(&T) -> &Totals + Copy,
    port: u16,
    host: &str,
) -> Result<()> {
    ensure!(records.len() == 2, "{} connections", records.len());
    let client = of(with_role(records, Role::Outbound, of)?);
    let server = of(with_role(records, Role::Inbound, of)?);
    let (forth, back) = (FORTH as u64, BACK as u64);
    let bytes = |totals: &Totals| (totals.bytes_sent, totals.bytes_received);
    ensure!(bytes(client) == (forth, back), "client {:?}", bytes(client));
    ensure!(bytes(server) == (back, forth), "server {:?}", bytes(server));
    ensure!(client.connect_duration > 0 && client.connect_duration < 5_000_000_000);
    ensure!(server.connect_duration == 0);
    ensure!(client.srtt > 0 && client.retransmits == 0);
    ensure!(client.connection != server.connection);
    check_addresses(&client.tuple, &server.tuple, port, host)
}

fn check_addresses(client: &Tuple, server: &Tuple, port: u16, host: &str) -> Result<()> {
    let address: std::net::IpAddr = host.parse()?;
    let address = match address {
        std::net::IpAddr::V4(address) => address.to_ipv6_mapped(),
        std::net::IpAddr::V6(address) => address,
    };
    for tuple in [client, server] {
        ensure!(Ipv6Addr::from(tuple.local) == address, "{:?}", tuple.local);
        ensure!(
            Ipv6Addr::from(tuple.remote) == address,
            "{:?}",
            tuple.remote
        );
    }
    ensure!(client.remote_port == port && server.local_port == port);
    ensure!(client.local_port == server.remote_port && client.local_port != 0);
    ensure!(client.netns == server.netns && client.netns != 0);
    Ok(())
}

/// Connects to a port on which nobody listens.
fn refused(_: &[&str]) -> Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    ensure!(TcpStream::connect(("127.0.0.1", port)).is_err());
    tell(port)
}

fn failures(observed: &Observed, pid: u32) -> Vec<ConnectFailed> {
    let failures = observed.seen.iter().filter_map(|seen| match seen {
        Seen::ConnectFailed(failed) if failed.header.tgid == pid => Some(*failed),
        _ => None,
    });
    failures.collect()
}

fn a_refused_connect_tells_its_errno(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("refused", &[])?;
    let pid = child.pid();
    let port: u16 = child.line()?.parse()?;
    observed.finish(child)?;
    let failures = failures(observed, pid);
    ensure!(failures.len() == 1, "{} failures", failures.len());
    let failed = failures[0];
    ensure!(
        failed.error == libc::ECONNREFUSED as u32,
        "errno {}",
        failed.error
    );
    ensure!(failed.duration > 0 && failed.tuple.remote_port == port);
    ensure!(observed.closed(pid).is_empty(), "told as a connection");
    Ok(())
}

/// Ends a connection with a reset: the client's by `SO_LINGER`, or the server's by closing with
/// bytes unread.
fn reset(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    client.write_all(b"some bytes")?;
    if arguments == ["linger"] {
        server.read_exact(&mut [0; 10])?;
        sys::reset_on_close(&client)?;
        drop(client);
        ensure!(server.read(&mut [0; 1]).is_err());
        // Once the error has been told, the end of the stream is.
        ensure!(server.read(&mut [0; 1])? == 0);
        if let Ok(line) = hear() {
            ensure!(line == "close");
        }
    } else {
        // Read by the server once, so that it is known whose it is.
        server.read_exact(&mut [0; 1])?;
        drop(server);
        ensure!(client.read(&mut [0; 1]).is_err());
    }
    Ok(())
}

fn resets_are_told_by_who_sent_them(observed: &mut Observed) -> Result<()> {
    const RECEIVED: u8 = 1;
    const SENT: u8 = 2;
    for (how, client_did, server_did) in [("linger", SENT, RECEIVED), ("unread", RECEIVED, SENT)] {
        let mut child = Child::start("reset", &[how])?;
        let pid = child.pid();
        if how == "linger" {
            child.say("close")?;
        }
        ensure!(observed.finish(child)?.success());
        let closed = observed.closed(pid);
        let client = with_role(&closed, Role::Outbound, of_closed)?;
        let server = with_role(&closed, Role::Inbound, of_closed)?;
        let resets = (client.reset, server.reset);
        ensure!(resets == (client_did, server_did), "{how}: {resets:?}");
        let reset = |closed: &Closed| closed.reset == RECEIVED;
        for end in [client, server].into_iter().filter(|closed| reset(closed)) {
            ensure!(
                end.error == libc::ECONNRESET as u32,
                "{how}: errno {}",
                end.error
            );
        }
    }
    Ok(())
}

fn a_read_after_a_reset_leaves_no_state(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("reset", &["linger"])?;
    let pid = child.pid();
    observed.until("the end of both", |observed| {
        (observed.closed(pid).len() == 2).then_some(())
    })?;
    std::thread::sleep(Duration::from_millis(100));
    let open = observed.open_connections()?;
    let left = open.iter().filter(|totals| totals.tgid == pid).count();
    ensure!(left == 0, "{left} connections that ended are told as open");
    child.say("close")?;
    observed.finish(child)?;
    ensure!(observed.closed(pid).len() == 2, "told again");
    Ok(())
}

/// Holds a connection open, without any byte, for some time.
fn hold(arguments: &[&str]) -> Result<()> {
    let (client, server) = pair()?;
    tell(client.peer_addr()?.port())?;
    std::thread::sleep(Duration::from_millis(arguments[0].parse()?));
    drop(client);
    drop(server);
    Ok(())
}

fn a_connection_is_open_from_its_establishment_to_its_end(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("hold", &["300"])?;
    let port: u16 = child.line()?.parse()?;
    ensure!(observed.finish(child)?.success());
    let closed = observed.closed_at(port);
    ensure!(closed.len() == 2, "{} ends: {closed:?}", closed.len());
    for closed in closed {
        let life = closed.header.time - closed.totals.opened;
        ensure!((300_000_000..5_000_000_000).contains(&life), "{life} ns");
    }
    Ok(())
}

/// An HTTP exchange between two given ports, in a network namespace of its own if asked for.
fn fixed_ports(arguments: &[&str]) -> Result<()> {
    let [namespace, from, to] = arguments else {
        anyhow::bail!("namespace and two ports");
    };
    if *namespace == "new" {
        unshare(CloneFlags::CLONE_NEWNET)?;
        sys::loopback_up()?;
    }
    let to: u16 = to.parse()?;
    let listener = TcpListener::bind(("127.0.0.1", to))?;
    let mut client = sys::connect_from(from.parse()?, to)?;
    let (mut server, _) = listener.accept()?;
    tell("connected")?;
    hear()?;
    for _ in 0..3 {
        crate::http::exchange(&mut client, &mut server, &format!("/{namespace}"))?;
    }
    Ok(())
}

fn fault_16_the_same_addresses_in_two_namespaces(observed: &mut Observed) -> Result<()> {
    let ports = ["28461", "28462"];
    let start = |namespace| Child::start("fixed-ports", &[namespace, ports[0], ports[1]]);
    let mut children = [("host", start("host")?), ("new", start("new")?)];
    for (_, child) in &mut children {
        child.line()?;
    }
    for (_, child) in &mut children {
        child.say("go")?;
    }
    let mut spaces = Vec::new();
    for (namespace, child) in children {
        let pid = child.pid();
        ensure!(observed.finish(child)?.success());
        let exchanges = observed.exchanges(pid);
        ensure!(
            exchanges.len() == 6,
            "{namespace}: {} exchanges",
            exchanges.len()
        );
        for exchange in &exchanges {
            ensure!(
                *exchange.path == format!("/{namespace}"),
                "{}",
                exchange.path
            );
            ensure!(exchange.tuple.netns == exchanges[0].tuple.netns);
        }
        let closed = observed.closed(pid);
        ensure!(closed.len() == 2, "{namespace}: {} ends", closed.len());
        spaces.push(exchanges[0].tuple.netns);
    }
    ensure!(spaces[0] != spaces[1], "one namespace: {spaces:?}");
    Ok(())
}

/// Accepts one connection and answers one request on it.
fn serve(_: &[&str]) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    tell(listener.local_addr()?.port())?;
    let (mut server, _) = listener.accept()?;
    crate::http::answer(&mut server)
}

/// Asks for one answer, from a port of the parent's choice if it is not 0.
fn request(arguments: &[&str]) -> Result<()> {
    let (from, to) = (arguments[0].parse()?, arguments[1].parse()?);
    let mut client = match from {
        0 => TcpStream::connect(("127.0.0.1", to))?,
        from => sys::connect_from(from, to)?,
    };
    crate::http::ask(&mut client, "/request")
}

/// This process is the agent: it listens, as for /metrics, and it connects, as to a collector.
fn fault_29_the_agents_own_connections_are_not_seen(observed: &mut Observed) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mine = listener.local_addr()?.port();
    let client = Child::start("request", &["0", &mine.to_string()])?;
    let (mut accepted, _) = listener.accept()?;
    crate::http::answer(&mut accepted)?;
    drop((accepted, listener));
    let mut server = Child::start("serve", &[])?;
    let theirs: u16 = server.line()?.parse()?;
    let mut connected = TcpStream::connect(("127.0.0.1", theirs))?;
    let from = connected.local_addr()?.port();
    crate::http::ask(&mut connected, "/collector")?;
    // The server closes first, so that the port of this end is free at once.
    ensure!(connected.read(&mut [0; 1])? == 0);
    drop(connected);
    let pids = [client.pid(), server.pid(), std::process::id()];
    ensure!(observed.finish(client)?.success());
    ensure!(observed.finish(server)?.success());
    for port in [mine, theirs] {
        let ends = observed.closed_at(port);
        ensure!(ends.is_empty(), "{} ends of own connections", ends.len());
    }
    let own = |seen: &&Seen| match seen {
        Seen::Open(_, tuple, _) => [mine, theirs].contains(&tuple.remote_port),
        Seen::Segment(segment) => pids.contains(&segment.tgid),
        _ => false,
    };
    let told = observed.seen.iter().filter(own).count();
    ensure!(told == 0, "{told} records of own traffic");
    others_may_have_the_ports_next(observed, from, mine)
}

/// Ports that were the agent's may be anybody's afterwards.
fn others_may_have_the_ports_next(observed: &mut Observed, from: u16, listened: u16) -> Result<()> {
    let mut server = Child::start("serve", &[])?;
    let theirs = server.line()?;
    let client = Child::start("request", &[&from.to_string(), &theirs])?;
    let pids = [client.pid(), server.pid()];
    ensure!(observed.finish(client)?.success());
    ensure!(observed.finish(server)?.success());
    for pid in pids {
        let exchanges = observed.exchanges(pid).len();
        ensure!(
            exchanges == 1,
            "from a port that was the agent's: {exchanges} of 1"
        );
    }
    let listener = Child::start("fixed-ports", &["host", "28463", &listened.to_string()]);
    let mut child = listener?;
    let pid = child.pid();
    child.line()?;
    child.say("go")?;
    ensure!(observed.finish(child)?.success());
    let exchanges = observed.exchanges(pid).len();
    ensure!(
        exchanges == 6,
        "to a port that was the agent's: {exchanges} of 6"
    );
    Ok(())
}
