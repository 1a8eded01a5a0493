//! Sockets that listen, and their accept queues.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, unshare};
use sonde::kernel::{
    map,
    sweep::{self, LISTENERS},
};
use sonde_common::event::tcp::{AcceptQueue, Listener};

use crate::{
    child::{Child, Workload, hear, tell},
    harness::Test,
    observed::Observed,
    sys,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "tcp::listen::a_full_queue_is_told_with_what_it_turns_away",
        run: a_full_queue_is_told_with_what_it_turns_away,
    },
    Test {
        name: "tcp::listen::a_server_that_accepts_at_once_has_an_empty_queue_and_no_drops",
        run: a_server_that_accepts_at_once_has_an_empty_queue_and_no_drops,
    },
    Test {
        name: "tcp::listen::who_listened_before_is_found",
        run: who_listened_before_is_found,
    },
    Test {
        name: "tcp::listen::other_network_namespaces_are_seen",
        run: other_network_namespaces_are_seen,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "tcp-listen",
        run: listen,
    },
    Workload {
        name: "tcp-listen-elsewhere",
        run: listen_elsewhere,
    },
];

/// Listens with a backlog and is told to connect to itself, to accept, or to end.
fn listen(arguments: &[&str]) -> Result<()> {
    let [backlog] = arguments else {
        bail!("a backlog");
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    sys::listen(listener.as_raw_fd(), backlog.parse()?)?;
    let address = listener.local_addr()?;
    tell(address.port())?;
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    loop {
        match hear()?.as_str() {
            "connect" => clients.push(TcpStream::connect(address)?),
            "fail" => ensure!(refused(address), "a connection over the backlog"),
            "accept" => servers.push(listener.accept()?),
            _ => return Ok(()),
        }
        tell("done")?;
    }
}

/// Whether nobody answers for half a second: the first SYN is dropped, and so is none or one more.
fn refused(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_err()
}

/// Listens in a network namespace of its own.
fn listen_elsewhere(_: &[&str]) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let netns = fs::metadata("/proc/self/ns/net")?.ino();
    tell(format!("{netns} {}", listener.local_addr()?.port()))?;
    hear()?;
    Ok(())
}

fn say(child: &mut Child, what: &str) -> Result<()> {
    child.say(what)?;
    let answer = child.line()?;
    ensure!(answer == "done", "{answer}");
    Ok(())
}

/// The accept queues of a process.
fn queues(observed: &Observed, tgid: u32) -> Result<Vec<AcceptQueue>> {
    let mut queues = sweep::accept_queues(observed.programs.ebpf())?;
    queues.retain(|queue| queue.listener.tgid == tgid);
    Ok(queues)
}

/// The one queue that it has: length, limit, drops.
fn queue(observed: &Observed, tgid: u32, port: u16) -> Result<[u32; 3]> {
    let found = queues(observed, tgid)?;
    let [queue] = found.as_slice() else {
        bail!("{found:?}");
    };
    ensure!(queue.listener.port == port, "{queue:?}");
    Ok([queue.length, queue.limit, queue.drops])
}

fn end(observed: &mut Observed, mut child: Child) -> Result<()> {
    let tgid = child.pid();
    child.say("end")?;
    ensure!(observed.finish(child)?.success());
    let left = queues(observed, tgid)?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

fn a_full_queue_is_told_with_what_it_turns_away(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("tcp-listen", &["1"])?;
    let (tgid, port) = (child.pid(), child.line()?.parse()?);
    ensure!(queue(observed, tgid, port)? == [0, 1, 0]);
    // One more than the limit has room.
    say(&mut child, "connect")?;
    say(&mut child, "connect")?;
    ensure!(queue(observed, tgid, port)? == [2, 1, 0]);
    say(&mut child, "fail")?;
    let full = queue(observed, tgid, port)?;
    ensure!(full[..2] == [2, 1] && full[2] >= 1, "{full:?}");
    say(&mut child, "accept")?;
    let after = queue(observed, tgid, port)?;
    ensure!(after == [1, 1, full[2]], "{after:?}");
    end(observed, child)
}

fn a_server_that_accepts_at_once_has_an_empty_queue_and_no_drops(
    observed: &mut Observed,
) -> Result<()> {
    let mut child = Child::start("tcp-listen", &["16"])?;
    let (tgid, port) = (child.pid(), child.line()?.parse()?);
    for _ in 0..20 {
        say(&mut child, "connect")?;
        say(&mut child, "accept")?;
    }
    let quiet = queue(observed, tgid, port)?;
    ensure!(quiet == [0, 16, 0], "{quiet:?}");
    end(observed, child)
}

fn who_listened_before_is_found(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("tcp-listen", &["3"])?;
    let (tgid, port) = (child.pid(), child.line()?.parse()?);
    say(&mut child, "connect")?;
    let known = queues(observed, tgid)?;
    ensure!(known.iter().all(|queue| queue.listener.since > 0));
    let sockets: Vec<u64> = known.iter().map(|queue| queue.socket).collect();
    map::remove::<u64, Listener>(observed.programs.ebpf_mut(), LISTENERS, sockets)?;
    ensure!(queues(observed, tgid)?.is_empty());
    sweep::find_listeners(observed.programs.ebpf())?;
    ensure!(queue(observed, tgid, port)? == [1, 3, 0]);
    let found = queues(observed, tgid)?;
    ensure!(found.iter().all(|queue| queue.listener.since == 0));
    end(observed, child)
}

fn other_network_namespaces_are_seen(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("tcp-listen-elsewhere", &[])?;
    let tgid = child.pid();
    let line = child.line()?;
    let (netns, port) = line.split_once(' ').context("two numbers")?;
    let (netns, port): (u32, u16) = (netns.parse()?, port.parse()?);
    let found = queues(observed, tgid)?;
    let [queue] = found.as_slice() else {
        bail!("{found:?}");
    };
    let listener = queue.listener;
    ensure!(
        (listener.netns, listener.port) == (netns, port),
        "{queue:?}"
    );
    end(observed, child)
}
