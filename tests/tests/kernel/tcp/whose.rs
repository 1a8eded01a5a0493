//! Whose a connection is: network namespaces, and the agent's own.

use std::{
    io::Read as _,
    net::{TcpListener, TcpStream},
};

use anyhow::{Result, ensure};
use nix::sched::{CloneFlags, unshare};

use crate::{
    child::{Child, Workload, hear, tell},
    harness::Test,
    http::{answer, ask, exchange},
    observed::{Observed, Seen},
    sys,
};

pub(crate) const TESTS: &[Test] = &[
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
        exchange(&mut client, &mut server, &format!("/{namespace}"))?;
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
    answer(&mut server)
}

/// Asks for one answer, from a port of the parent's choice if it is not 0.
fn request(arguments: &[&str]) -> Result<()> {
    let (from, to) = (arguments[0].parse()?, arguments[1].parse()?);
    let mut client = match from {
        0 => TcpStream::connect(("127.0.0.1", to))?,
        from => sys::connect_from(from, to)?,
    };
    ask(&mut client, "/request")
}

/// This process is the agent: it listens, as for /metrics, and it connects, as to a collector.
fn fault_29_the_agents_own_connections_are_not_seen(observed: &mut Observed) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mine = listener.local_addr()?.port();
    let client = Child::start("request", &["0", &mine.to_string()])?;
    let (mut accepted, _) = listener.accept()?;
    answer(&mut accepted)?;
    drop((accepted, listener));
    let mut server = Child::start("serve", &[])?;
    let theirs: u16 = server.line()?.parse()?;
    let from = 28_464;
    let mut connected = sys::connect_from(from, theirs)?;
    ask(&mut connected, "/collector")?;
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
        Seen::Open(opened) => [mine, theirs].contains(&opened.tuple.remote_port),
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
