//! Attached programs, and everything that they have told.

use std::{
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use sonde::{
    event::{Event, Segment},
    kernel::{
        attach::{Programs, Settings},
        feature::Kernel,
        map,
        ring::Ring,
        sweep,
    },
    l7::{Connections, Limits, exchange::Exchange},
    probe::FAMILIES,
};
use sonde_common::{
    event::{
        http::{Direction, Tuple, flag},
        process::{Exec, Exit, Fork, OomKill},
        tcp::{Closed, ConnectFailed, Totals},
    },
    fault::Fault,
    header::Kind,
};

use crate::child::Child;

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

fn kernel() -> Kernel {
    Kernel::probe(Path::new("/proc"), Path::new("/sys"))
}

/// What the agent is told before it attaches; this process is the agent.
pub(crate) fn settings() -> Settings {
    Settings {
        statistics: false,
        ring_bytes: RING,
        syscall_period: Some(1),
        self_tgid: std::process::id(),
    }
}

/// A record, kept.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Exec(Box<Exec>),
    Fork(Fork),
    Exit(Exit),
    OomKill(OomKill),
    Closed(Box<Closed>),
    ConnectFailed(ConnectFailed),
    Open(u64, Tuple, bool),
    Segment(Kept),
}

/// A [`Segment`] with its own bytes.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) connection: u64,
    pub(crate) time: u64,
    pub(crate) tgid: u32,
    pub(crate) direction: Direction,
    pub(crate) flags: u8,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) head: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

impl Seen {
    fn of(event: Event<'_>) -> Self {
        match event {
            Event::Exec(record) => Self::Exec(Box::new(*record)),
            Event::Fork(record) => Self::Fork(*record),
            Event::Exit(record) => Self::Exit(*record),
            Event::OomKill(record) => Self::OomKill(*record),
            Event::TcpClosed(record) => Self::Closed(Box::new(*record)),
            Event::TcpConnectFailed(record) => Self::ConnectFailed(*record),
            Event::HttpOpen {
                connection,
                tuple,
                late,
            } => Self::Open(connection, tuple, late),
            Event::HttpSegment(segment) => Self::Segment(Kept {
                connection: segment.connection,
                time: segment.time,
                tgid: segment.tgid,
                direction: segment.direction,
                flags: segment.flags,
                offset: segment.offset,
                length: segment.length,
                head: segment.head.to_vec(),
                tail: segment.tail.to_vec(),
            }),
        }
    }
}

impl Kept {
    fn as_segment(&self) -> Segment<'_> {
        Segment {
            connection: self.connection,
            time: self.time,
            tgid: self.tgid,
            direction: self.direction,
            flags: self.flags,
            offset: self.offset,
            length: self.length,
            head: &self.head,
            tail: &self.tail,
        }
    }
}

/// Attached programs with their ring.
pub(crate) struct Observed {
    pub(crate) mode: Mode,
    pub(crate) programs: Programs,
    pub(crate) ring: Ring,
    pub(crate) seen: Vec<Seen>,
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
        self.release_held()?;
        self.drain();
        Ok(status)
    }

    /// Lets go the request heads that the kernel side holds back for more than its time.
    pub(crate) fn release_held(&self) -> Result<()> {
        if self.programs.is_attached("http_sweep") {
            sweep::release_held(self.programs.ebpf())?;
        }
        Ok(())
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

    /// The exchanges of a process, out of the agent's own byte-stream model.
    pub(crate) fn exchanges(&self, tgid: u32) -> Vec<Exchange> {
        let mut exchanges = Vec::new();
        self.follow(|exchange| {
            if exchange.tgid == tgid {
                exchanges.push(exchange);
            }
        });
        exchanges
    }

    /// Feeds everything to the model; what it is then.
    pub(crate) fn follow(&self, mut out: impl FnMut(Exchange)) -> Connections {
        let mut connections = Connections::new(Limits::default());
        for seen in &self.seen {
            match seen {
                Seen::Open(connection, tuple, late) => connections.open(*connection, *tuple, *late),
                Seen::Segment(segment) => connections.segment(&segment.as_segment(), &mut out),
                Seen::Closed(closed) => connections.segment(&end_of(closed), &mut out),
                _ => {}
            }
        }
        connections
    }

    /// Closed connections of a process.
    pub(crate) fn closed(&self, tgid: u32) -> Vec<Closed> {
        let closed = self.seen.iter().filter_map(|seen| match seen {
            Seen::Closed(closed) if closed.totals.tgid == tgid => Some(**closed),
            _ => None,
        });
        closed.collect()
    }

    /// Closed connections with this port at either end.
    pub(crate) fn closed_at(&self, port: u16) -> Vec<Closed> {
        let closed = self.seen.iter().filter_map(|seen| match seen {
            Seen::Closed(closed)
                if [
                    closed.totals.tuple.local_port,
                    closed.totals.tuple.remote_port,
                ]
                .contains(&port) =>
            {
                Some(**closed)
            }
            _ => None,
        });
        closed.collect()
    }

    /// Open connections, as the agent reads them for a snapshot.
    pub(crate) fn open_connections(&self) -> Result<Vec<Totals>> {
        if self.programs.is_attached("tcp_sweep") {
            return Ok(sweep::storage(self.programs.ebpf())?);
        }
        Ok(sweep::table(self.programs.ebpf())?)
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

/// The last segment of a connection, as the agent makes it of this record.
fn end_of(closed: &Closed) -> Segment<'static> {
    let reset = if closed.reset == 0 { 0 } else { flag::RESET };
    Segment {
        connection: closed.totals.connection,
        time: closed.header.time,
        tgid: closed.totals.tgid,
        direction: Direction::Receive,
        flags: flag::CLOSED | reset,
        offset: 0,
        length: 0,
        head: &[],
        tail: &[],
    }
}
