//! Packets that the kernel drops.

use std::{
    collections::HashMap, fs, net::UdpSocket, os::unix::fs::MetadataExt as _, process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, unshare};
use sonde::{
    kernel::map,
    probe::drop::{PROGRAM, REASONS},
};
use sonde_common::event::drop::DropKey;

use crate::{
    child::{Child, Workload, hear, tell},
    harness::{Skipped, Test},
    observed::{Observed, kernel},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "drops::datagrams_to_a_closed_port_are_counted_with_reason_and_interface",
        run: datagrams_to_a_closed_port_are_counted_with_reason_and_interface,
    },
    Test {
        name: "drops::datagrams_that_are_read_are_no_drops",
        run: datagrams_that_are_read_are_no_drops,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "datagrams",
    run: datagrams,
}];

const SENT: u64 = 50;

/// Sends datagrams within a network namespace of its own, to a port that is read or to none.
fn datagrams(arguments: &[&str]) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    ensure!(up.context("ip")?.success(), "lo stays down");
    tell(fs::metadata("/proc/self/ns/net")?.ino())?;
    hear()?;
    let reader = UdpSocket::bind("127.0.0.1:0")?;
    let address = reader.local_addr()?;
    let is_read = arguments == ["read"];
    let reader = is_read.then_some(reader);
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    for _ in 0..SENT {
        // Not connected, so that nothing is told to it of those that were dropped.
        sender.send_to(b"datagram", address)?;
        if let Some(reader) = &reader {
            reader.recv(&mut [0; 16])?;
        }
    }
    tell("sent")?;
    hear()?;
    Ok(())
}

/// Packets that were dropped in the namespace of the workload, by reason and interface.
fn dropped(observed: &mut Observed, how: &str) -> Result<Vec<(String, String, u64)>> {
    if !observed.programs.is_attached(PROGRAM) {
        bail!(Skipped("this kernel tells no reasons (5.17)".to_owned()));
    }
    let mut child = Child::start("datagrams", &[how])?;
    let netns: u32 = child.line()?.parse()?;
    // The number may have been that of another test's namespace.
    let before = counted(observed, netns)?;
    child.say("send")?;
    child.line()?;
    let reasons = kernel().btf?.enumeration(REASONS);
    let mut found = Vec::new();
    for (key, count) in counted(observed, netns)? {
        let more = count - before.get(&key).copied().unwrap_or(0);
        if more > 0 {
            let reason = reasons.iter().find(|(number, _)| *number == key.reason);
            let reason = reason.context("a reason without a name")?.1.clone();
            let name = String::from_utf8(key.interface.to_vec())?;
            found.push((reason, name.trim_end_matches('\0').to_owned(), more));
        }
    }
    child.say("end")?;
    ensure!(observed.finish(child)?.success());
    Ok(found)
}

fn counted(observed: &Observed, netns: u32) -> Result<HashMap<DropKey, u64>> {
    let all = map::sums_by_key::<DropKey>(observed.programs.ebpf(), "DROPS")?;
    Ok(all
        .into_iter()
        .filter(|(key, _)| key.netns == netns)
        .collect())
}

fn datagrams_to_a_closed_port_are_counted_with_reason_and_interface(
    observed: &mut Observed,
) -> Result<()> {
    let found = dropped(observed, "closed")?;
    let expected = (
        "SKB_DROP_REASON_NO_SOCKET".to_owned(),
        "lo".to_owned(),
        SENT,
    );
    ensure!(found.contains(&expected), "{found:?}");
    Ok(())
}

fn datagrams_that_are_read_are_no_drops(observed: &mut Observed) -> Result<()> {
    let found = dropped(observed, "read")?;
    ensure!(
        found.iter().all(|(reason, ..)| !reason.contains("SOCKET")),
        "{found:?}"
    );
    Ok(())
}
