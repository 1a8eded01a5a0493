//! Attached programs, and everything that they have told.

use std::{
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use sonde::{
    kernel::{
        attach::{Programs, Settings},
        feature::Kernel,
        map,
        ring::Ring,
        sweep,
        uprobe::Link,
    },
    probe::FAMILIES,
};
use sonde_common::{
    event::{connection::TABLE_ENTRIES, tcp::Totals},
    fault::Fault,
    header::Kind,
};

pub(crate) use self::seen::Seen;
use crate::child::Child;

mod seen;

/// Size of the ring: other programs of the machine fill it too.
const RING: u32 = 64 << 20;
/// How long anything may take that happens at once on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// A child that runs longer is hung.
const CHILD: Duration = Duration::from_mins(2);

/// Which alternatives of the hooks are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The best that the kernel has.
    Best,
    /// Those for kernels before 6.3, on a newer one.
    Older,
}

impl Mode {
    /// The modes that can be tried here.
    pub(crate) fn of_this_kernel() -> Vec<Self> {
        if kernel().has_socket_tracepoints() {
            vec![Self::Best, Self::Older]
        } else {
            vec![Self::Best]
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Older => "older",
        }
    }

    /// The kernel, as this mode sees it.
    pub(crate) fn kernel(self) -> Kernel {
        match self {
            Self::Best => kernel(),
            Self::Older => kernel().without_socket_tracepoints(),
        }
    }
}

/// The kernel as it is.
pub(crate) fn kernel() -> Kernel {
    Kernel::probe(Path::new("/proc"), Path::new("/sys"))
}

/// What the agent is told before it attaches; this process is the agent.
pub(crate) fn settings() -> Settings {
    Settings {
        statistics: false,
        ring_bytes: RING,
        table_entries: TABLE_ENTRIES,
        syscall_period: Some(1),
        self_tgid: std::process::id(),
    }
}

/// Attached programs with their ring.
pub(crate) struct Observed {
    pub(crate) mode: Mode,
    pub(crate) programs: Programs,
    pub(crate) ring: Ring,
    pub(crate) seen: Vec<Seen>,
    /// What is attached to the tests' TLS library.
    pub(crate) library: Vec<Link>,
}

impl Observed {
    /// Attaches all families.
    pub(crate) fn attach(mode: Mode) -> Result<Self> {
        Self::with(mode, &settings())
    }

    /// Attaches all families with settings of the test's own.
    pub(crate) fn with(mode: Mode, settings: &Settings) -> Result<Self> {
        let mut programs = Programs::attach(&mode.kernel(), FAMILIES, settings)?;
        let ring = Ring::take(programs.ebpf_mut())?;
        Ok(Self {
            mode,
            programs,
            ring,
            seen: Vec::new(),
            library: Vec::new(),
        })
    }

    /// Takes what is in the ring.
    pub(crate) fn drain(&mut self) {
        let seen = &mut self.seen;
        while self.ring.drain(4096, |event| seen.push(Seen::of(event))) > 0 {}
    }

    /// Drops what has been told so far.
    pub(crate) fn forget(&mut self) {
        self.drain();
        self.seen.clear();
    }

    /// Runs a workload to its good end; its pid.
    pub(crate) fn run(&mut self, workload: &str, arguments: &[&str]) -> Result<u32> {
        let child = Child::start(workload, arguments)?;
        let pid = child.pid();
        let status = self.finish(child)?;
        ensure!(status.success(), "workload {workload}: {status}");
        Ok(pid)
    }

    /// Waits for a child while the ring is drained, and for what follows its end.
    pub(crate) fn finish(&mut self, mut child: Child) -> Result<ExitStatus> {
        let deadline = Instant::now() + CHILD;
        let status = loop {
            self.drain();
            if let Some(status) = child.ended()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!("the workload hangs");
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        // What its sockets still had to do is done in softirqs, which may wait for their thread.
        std::thread::sleep(Duration::from_millis(20));
        self.drain();
        Ok(status)
    }

    /// Drains until there is what the test waits for.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.drain();
            if let Some(found) = look(self) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!("waited in vain for {what}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Open connections, as the agent reads them for a snapshot.
    pub(crate) fn open_connections(&self) -> Result<Vec<Totals>> {
        if self.programs.is_attached("tcp_sweep") {
            return Ok(sweep::storage(self.programs.ebpf())?);
        }
        Ok(sweep::table(self.programs.ebpf())?.open)
    }

    /// How often something was lost or left alone.
    pub(crate) fn faults(&self, fault: Fault) -> Result<u64> {
        let sums = map::sums(self.programs.ebpf(), "FAULTS", 64)?;
        sums.get(fault as usize).copied().context("no such fault")
    }

    /// Records that reached the ring.
    pub(crate) fn emitted(&self, kind: Kind) -> Result<u64> {
        let sums = map::sums(self.programs.ebpf(), "EMITTED", 16)?;
        sums.get(kind as usize).copied().context("no such kind")
    }
}
