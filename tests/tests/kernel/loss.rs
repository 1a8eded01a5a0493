//! Fault row 21: nobody reads the ring.

use std::net::{TcpListener, TcpStream};

use anyhow::{Result, ensure};
use sonde::kernel::attach::Settings;
use sonde_common::{fault::Fault, header::Kind};

use crate::{
    child::{Child, Workload, hear, tell},
    harness::Test,
    http::exchange,
    observed::{Observed, Seen, settings},
    sys,
    syscalls::count_of,
    tcp::pair,
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "loss::fault_21_a_full_ring_loses_nothing_uncounted",
    run: fault_21_a_full_ring_loses_nothing_uncounted,
}];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "flood",
    run: flood,
}];

/// Size of a ring that is soon full.
const SMALL: u32 = 64 << 10;
const REFUSED: usize = 2000;
const REQUESTS: usize = 2000;
const CALLS: u64 = 3000;

/// Refused connects, requests and system calls, more than a small ring has room for.
fn flood(_: &[&str]) -> Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let (mut client, mut server) = pair()?;
    // The agent is told of the connection while there is room.
    exchange(&mut client, &mut server, "/before")?;
    tell("ready")?;
    hear()?;
    for _ in 0..REFUSED {
        ensure!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
    for _ in 0..REQUESTS {
        exchange(&mut client, &mut server, "/flood")?;
    }
    for _ in 0..CALLS {
        sys::getppid();
    }
    tell("done")?;
    hear()?;
    Ok(())
}

/// What two families have produced, each as what reached the ring and what had no room.
fn produced(observed: &Observed) -> Result<[(u64, u64); 2]> {
    let tcp = observed.emitted(Kind::TcpClosed)? + observed.emitted(Kind::TcpConnectFailed)?;
    let http = observed.emitted(Kind::HttpOpen)? + observed.emitted(Kind::HttpSegment)?;
    Ok([
        (tcp, observed.faults(Fault::RingTcp)?),
        (http, observed.faults(Fault::RingHttp)?),
    ])
}

/// The programs that the other tests share have a ring that is large enough: what they emit
/// meanwhile is what there was to emit, by whoever. Only what other programs do in the moments
/// between the two readings can make a difference, so a disturbed attempt is repeated.
fn fault_21_a_full_ring_loses_nothing_uncounted(observed: &mut Observed) -> Result<()> {
    const ATTEMPTS: u32 = 5;
    let small = Settings {
        ring_bytes: SMALL,
        ..settings()
    };
    for attempt in 1..=ATTEMPTS {
        let mut full = Observed::with(observed.mode, &small)?;
        let mut child = Child::start("flood", &[])?;
        let pid = child.pid();
        child.line()?;
        observed.forget();
        full.forget();
        let before = (produced(&full)?, produced(observed)?);
        child.say("flood")?;
        child.line()?;
        let after = (produced(&full)?, produced(observed)?);
        // Totals that are kept in the kernel don't mind the ring.
        let counted = count_of(&full, pid, libc::SYS_getppid, 0, CALLS)?;
        ensure!(counted == CALLS, "{counted} calls");
        full.drain();
        let read = full.seen.len() as u64;
        ensure!(
            read > 0 && read < u64::from(SMALL) / 32,
            "{read} in a full ring"
        );
        // Reading made room.
        child.say("end")?;
        ensure!(full.finish(child)?.success());
        full.until("the exit, through the emptied ring", |full| {
            full.exits(pid).first().copied()
        })?;
        if compare(before, after, attempt == ATTEMPTS)? {
            let ours = |seen: &&Seen| matches!(seen, Seen::ConnectFailed(failed) if failed.header.tgid == pid);
            observed.drain();
            let failed = observed.seen.iter().filter(ours).count();
            ensure!(failed == REFUSED, "{failed} failures in the large ring");
            return Ok(());
        }
        observed.forget();
    }
    Ok(())
}

type Counts = ([(u64, u64); 2], [(u64, u64); 2]);

/// Whether the small ring's sums are the large one's; an error when they must be and aren't.
fn compare(before: Counts, after: Counts, last: bool) -> Result<bool> {
    for index in 0..2 {
        let emitted = after.0[index].0 - before.0[index].0;
        let lost = after.0[index].1 - before.0[index].1;
        let all = after.1[index].0 - before.1[index].0;
        ensure!(
            after.1[index].1 == before.1[index].1,
            "the large ring was full too"
        );
        ensure!(lost > 0, "the small ring was never full");
        if emitted + lost != all {
            ensure!(!last, "{emitted} emitted and {lost} lost of {all}");
            return Ok(false);
        }
    }
    Ok(true)
}
