//! The states that the kernel side keeps of connections: one each, and no more than there is room.

use std::collections::HashSet;

use anyhow::{Context as _, Result, bail, ensure};
use sonde::kernel::attach::Settings;
use sonde_common::fault::Fault;

use super::pair;
use crate::{
    child::Workload,
    harness::{Skipped, Test},
    observed::{Observed, Seen, kernel, settings},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "tcp::a_full_table_is_counted",
        run: a_full_table_is_counted,
    },
    Test {
        name: "tcp::no_two_connections_have_one_id",
        run: no_two_connections_have_one_id,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "hold-many",
    run: hold_many,
}];

/// Several threads that open connections at the same time, keep them, and close them.
fn hold_many(arguments: &[&str]) -> Result<()> {
    let count: usize = arguments[0].parse()?;
    let open = move || (0..count).map(|_| pair()).collect::<Result<Vec<_>>>();
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(open)).collect();
    let pairs: Result<Vec<_>> = threads
        .into_iter()
        .map(|thread| thread.join().ok().context("a thread")?)
        .collect();
    drop(pairs?);
    Ok(())
}

fn no_two_connections_have_one_id(observed: &mut Observed) -> Result<()> {
    const EACH: usize = 100;
    let full = observed.faults(Fault::ConnectionStateFull)?;
    let pid = observed.run("hold-many", &[&EACH.to_string()])?;
    let full = observed.faults(Fault::ConnectionStateFull)? - full;
    // Of those that were accepted it isn't known whose they are: nobody has read them.
    let closed = observed.closed(pid);
    let expected = 4 * EACH;
    // Runs of the programs are left out where tracepoints can be preempted.
    let may_miss = kernel().has_preemptible_tracepoints();
    ensure!(
        closed.len() == expected || (may_miss && closed.len() < expected),
        "{} of {expected}, {full} without room",
        closed.len()
    );
    let mut ids = HashSet::new();
    for seen in &observed.seen {
        if let Seen::Closed(closed) = seen {
            let id = closed.totals.connection;
            ensure!(id != 0 && ids.insert(id), "{id:#x} twice");
        }
    }
    ensure!(may_miss || ids.len() >= 2 * expected, "{} ids", ids.len());
    Ok(())
}

/// The table of kernels before 6.3, with room for a few.
fn a_full_table_is_counted(observed: &mut Observed) -> Result<()> {
    const ROOM: u32 = 8;
    if observed.mode.kernel().has_socket_tracepoints() {
        bail!(Skipped("connection states live on the sockets".to_owned()));
    }
    let small = Settings {
        table_entries: ROOM,
        ..settings()
    };
    let mut full = Observed::with(observed.mode, &small)?;
    let pid = full.run("hold-many", &["10"])?;
    let lost = full.faults(Fault::ConnectionStateFull)?;
    ensure!(lost >= 2 * 40 - u64::from(ROOM), "{lost} counted");
    let told = full.closed(pid).len();
    ensure!(told <= ROOM as usize, "{told} of a table of {ROOM}");
    Ok(())
}
