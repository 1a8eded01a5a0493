//! How many bytes a connection moved, between whom.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv6Addr, Shutdown, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, unshare};
use sonde_common::event::{
    http::Tuple,
    tcp::{Role, Totals},
};

use super::{of_closed, pair, pair_at, with_role};
use crate::{
    child::{Child, Workload, hear, tell},
    harness::{Skipped, Test},
    observed::Observed,
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
        name: "tcp::retransmits_are_counted_as_the_kernel_counts_them",
        run: retransmits_are_counted_as_the_kernel_counts_them,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "transfer",
        run: transfer,
    },
    Workload {
        name: "lossy",
        run: lossy,
    },
];

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

fn same(totals: &Totals) -> &Totals {
    totals
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

/// Said by a workload on a kernel without netem.
const NO_NETEM: &str = "no netem";
/// Packets of a hundred that get lost.
const LOSS: u32 = 20;
/// So many bytes are moved at a time.
const CHUNK: usize = 10_000;

/// Moves bytes over a network that loses packets, until each end has had to send some again.
fn lossy(_: &[&str]) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    sys::loopback_up()?;
    let (mut client, mut server) = pair()?;
    match sys::netem::lose(LOSS) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return tell(NO_NETEM),
        result => result?,
    }
    let mut chunks = 0;
    while chunks < 10 || retransmits(&client)? == 0 || retransmits(&server)? == 0 {
        move_bytes(&mut client, &mut server, CHUNK)?;
        move_bytes(&mut server, &mut client, CHUNK)?;
        chunks += 1;
    }
    sys::netem::lose(0)?;
    for end in [&client, &server] {
        while sys::tcp_info(end)?.tcpi_unacked > 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    tell(format!(
        "{chunks} {} {}",
        retransmits(&client)?,
        retransmits(&server)?
    ))
}

/// Segments that this end has sent again.
fn retransmits(end: &TcpStream) -> Result<u32> {
    Ok(sys::tcp_info(end)?.tcpi_total_retrans)
}

/// What is sent again counts as sent once.
fn retransmits_are_counted_as_the_kernel_counts_them(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("lossy", &[])?;
    let pid = child.pid();
    let line = child.line()?;
    if line == NO_NETEM {
        ensure!(std::env::var_os("SONDE_VM").is_none(), "no netem here");
        bail!(Skipped("this kernel has no netem".to_owned()));
    }
    ensure!(observed.finish(child)?.success());
    let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [chunks, by_client, by_server] = numbers[..] else {
        bail!("three numbers, not {line}");
    };
    let closed = observed.closed(pid);
    for (role, expected) in [(Role::Outbound, by_client), (Role::Inbound, by_server)] {
        let totals = &with_role(&closed, role, of_closed)?.totals;
        let told = u64::from(totals.retransmits);
        ensure!(
            expected > 0 && told == expected,
            "{role:?}: {told} for {expected}"
        );
        let bytes = (totals.bytes_sent, totals.bytes_received);
        let moved = chunks * CHUNK as u64;
        ensure!(bytes == (moved, moved), "{role:?}: {bytes:?} for {moved}");
    }
    Ok(())
}
