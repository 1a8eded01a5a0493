//! Records wake who waits for them, and nobody else.

use std::{
    net::{TcpListener, TcpStream},
    os::fd::{AsFd as _, BorrowedFd},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{
    child::{Child, Workload, hear, tell},
    harness::Test,
    observed::Observed,
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "wake::a_record_wakes_who_waits_once",
    run: a_record_wakes_who_waits_once,
}];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "refused-soon",
    run: refused_soon,
}];

/// After this a record comes.
const SOON: Duration = Duration::from_millis(200);
/// Longer than that, also where much else is done.
const LONG: u16 = 5_000;
/// Nobody waits for that.
const QUIET: u16 = 500;

/// Whenever it is told to, it is refused a connection, a moment later.
fn refused_soon(_: &[&str]) -> Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    tell("ready")?;
    while hear()? == "again" {
        thread::sleep(SOON);
        ensure!(TcpStream::connect(("127.0.0.1", port)).is_err());
        tell("refused")?;
    }
    Ok(())
}

/// For how long a look at the ring waits, at most `longest`.
fn waited(ring: BorrowedFd<'_>, longest: u16) -> Result<Duration> {
    let began = Instant::now();
    let mut polled = [PollFd::new(ring, PollFlags::POLLIN)];
    let ready = poll(&mut polled, PollTimeout::from(longest))?;
    ensure!(ready == 1, "nothing in the ring after {longest} ms");
    Ok(began.elapsed())
}

/// What other programs do may come in before the wait: such an attempt is repeated.
fn a_record_wakes_who_waits_once(observed: &mut Observed) -> Result<()> {
    const ATTEMPTS: u32 = 10;
    let mut child = Child::start("refused-soon", &[])?;
    child.line()?;
    for _ in 0..ATTEMPTS {
        child.say("again")?;
        observed.forget();
        let ring = observed.ring.watch()?.try_clone_to_owned()?;
        let woken = waited(ring.as_fd(), LONG)?;
        ensure!(
            woken < Duration::from_millis(LONG.into()),
            "woken by nobody"
        );
        child.line()?;
        // Whoever was woken has to ask for it again.
        child.say("again")?;
        observed.forget();
        let alone = waited(ring.as_fd(), QUIET)?;
        child.line()?;
        if woken >= SOON / 2 && alone >= Duration::from_millis(QUIET.into()) {
            child.say("end")?;
            return observed.finish(child).map(drop);
        }
    }
    bail!("never a quiet moment")
}
