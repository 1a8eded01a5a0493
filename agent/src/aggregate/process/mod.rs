//! Starts, exits, crashes and OOM kills of processes.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use nix::sys::signal::Signal as Number;
use sonde_common::event::process::{Exit, Fork, OomKill};

use super::{
    cardinality::{Limits, Series, Table, Usage},
    service::Services,
};
use crate::{
    clock::Clock,
    enrich::Renewed,
    metric::{AttributeValue, Attributes, Collector, Descriptor, Resource, Unit, Value},
    resource::{ERRORS_BY_SERVICE, Signal, by_service},
    signal::{LogRecord, Severity},
};

/// Processes that began.
pub const STARTS: Descriptor = Descriptor::counter(
    "process.starts",
    "Processes that began",
    Unit::Count("{process}"),
);
/// Processes that ended.
pub const EXITS: Descriptor = Descriptor::counter(
    "process.exits",
    "Processes that ended, by reason and exit code or signal",
    Unit::Count("{process}"),
);

/// Processes that lived for a moment.
pub const SHORT_LIVED: Descriptor = Descriptor::counter(
    "process.short_lived",
    "Processes that ended within 50 ms of their start: readers of /proc miss them",
    Unit::Count("{process}"),
);

/// All of them, for the reference.
pub const DESCRIPTORS: &[&Descriptor] = &[&STARTS, &EXITS, &SHORT_LIVED];

static OOM_KILL: Signal = Signal {
    name: "oom_kill",
    help: "Processes of the service that the kernel ended because memory ran out, of the host or of a cgroup",
};

/// Resource and signal of each kind of point in `use.errors.by_service`, for the reference.
pub const SIGNALS: &[(&str, &Signal)] = &[("memory", &OOM_KILL)];

/// A process that lives for less has lived for a moment, nanoseconds.
const MOMENT: u64 = 50_000_000;

/// Bit of a wait status: the process dumped core (`wait(2)`, `WCOREDUMP`).
const CORE_DUMPED: u32 = 0x80;

/// OOM victims whose exit is waited for at most.
const VICTIMS: usize = 1_024;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// It exited with this code.
    Exited(u8),
    /// A signal ended it.
    Signal(u8),
    /// The kernel ended it for want of memory.
    Oom,
}

impl Ending {
    /// Of a wait status (`wait(2)`) without knowledge of OOM kills.
    #[must_use]
    pub fn of_status(status: u32) -> Self {
        let [low, high, ..] = status.to_le_bytes();
        match low & 0x7f {
            0 => Self::Exited(high),
            signal => Self::Signal(signal),
        }
    }

    fn attributes(self) -> Attributes {
        let (reason, code): (_, AttributeValue) = match self {
            Self::Exited(code) => ("exited", i64::from(code).into()),
            Self::Signal(signal) => ("signal", signal_name(signal).into()),
            Self::Oom => ("oom", "SIGKILL".into()),
        };
        Attributes::from([("code", code), ("reason", reason.into())])
    }
}

/// `SIGSEGV` and so on (`signal(7)`); `signal_N` for real-time signals.
fn signal_name(signal: u8) -> String {
    Number::try_from(i32::from(signal)).map_or_else(
        |_| format!("signal_{signal}"),
        |signal| signal.as_str().to_owned(),
    )
}

/// The process metrics of all services.
#[derive(Debug)]
pub struct Processes {
    services: Services,
    starts: Table<(), u64>,
    exits: Table<Ending, u64>,
    short_lived: Table<(), u64>,
    /// Processes that an OOM kill ends and that have not ended yet, with their cgroups.
    victims: HashMap<u32, Option<String>>,
}

impl Default for Processes {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Processes {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            services: Services::new(limits.total),
            starts: Table::new("process.starts", limits),
            exits: Table::new("process.exits", limits),
            short_lived: Table::new("process.short_lived", limits),
            victims: HashMap::new(),
        }
    }

    /// Counts a new process of a service.
    pub fn started(&mut self, fork: &Fork, resource: &Arc<Resource>, clock: &Clock) {
        // Whoever had the number before is gone, even if its exit was lost.
        self.victims.remove(&fork.child);
        let service = self
            .services
            .id(resource, || clock.system_time(fork.header.time));
        *self.starts.observe(service, Some(())) += 1;
    }

    /// Remembers whom the kernel is about to end for want of memory, and which cgroup that memory is
    /// charged to.
    pub fn oom_killed(&mut self, kill: &OomKill, cgroup: Option<String>) {
        if self.victims.len() < VICTIMS {
            self.victims.insert(kill.victim, cgroup);
        }
    }

    /// Counts the end of a process, and tells of a crash or an OOM kill.
    pub fn exited(
        &mut self,
        exit: &Exit,
        resource: &Arc<Resource>,
        clock: &Clock,
    ) -> Option<LogRecord> {
        let victim = self.victims.remove(&exit.header.tgid);
        let was_victim = victim.is_some();
        let ending = match Ending::of_status(exit.status) {
            Ending::Signal(signal) if was_victim && i32::from(signal) == Number::SIGKILL as i32 => {
                Ending::Oom
            }
            other => other,
        };
        let service = self
            .services
            .id(resource, || clock.system_time(exit.header.time));
        *self.exits.observe(service, Some(ending)) += 1;
        if exit.lifetime < MOMENT {
            *self.short_lived.observe(service, Some(())) += 1;
        }
        let record = record(exit, ending, resource, clock)?;
        Some(match victim.flatten() {
            Some(cgroup) if ending == Ending::Oom => record.with("process.linux.cgroup", cgroup),
            _ => record,
        })
    }

    /// Adds all series.
    pub fn collect(&self, collector: &mut Collector) {
        for (slot, count) in self.starts.iter() {
            Series::new(collector, &self.services, &slot, |()| Attributes::none())
                .push(&STARTS, Value::Integer(*count));
        }
        for (slot, count) in self.exits.iter() {
            Series::new(collector, &self.services, &slot, Ending::attributes)
                .push(&EXITS, Value::Integer(*count));
            if slot.key() == Some(Ending::Oom) {
                Series::new(collector, &self.services, &slot, |_| {
                    by_service("memory", None, &OOM_KILL)
                })
                .push(&ERRORS_BY_SERVICE, Value::Integer(*count));
            }
        }
        for (slot, count) in self.short_lived.iter() {
            Series::new(collector, &self.services, &slot, |()| Attributes::none())
                .push(&SHORT_LIVED, Value::Integer(*count));
        }
    }

    /// A service's resource has changed: its series go on under the new one.
    pub fn renew(&mut self, renewed: &Renewed) {
        self.services.renew(renewed);
    }

    /// Forgets the services that `keep` doesn't hold to: those without a process for a while.
    pub fn retain(&mut self, keep: impl Fn(&Resource) -> bool) {
        let gone = self.services.retain(keep);
        self.starts.forget(&gone);
        self.exits.forget(&gone);
        self.short_lived.forget(&gone);
    }

    /// What is held, for the agent's own metrics.
    #[must_use]
    pub fn usage(&self) -> [Usage; 3] {
        [
            self.starts.usage(),
            self.exits.usage(),
            self.short_lived.usage(),
        ]
    }
}

/// The log record of a crash or an OOM kill.
fn record(
    exit: &Exit,
    ending: Ending,
    resource: &Arc<Resource>,
    clock: &Clock,
) -> Option<LogRecord> {
    let dumped = exit.status & CORE_DUMPED != 0;
    let command = command(&exit.comm);
    let pid = exit.header.tgid;
    let (event_name, signal, body) = match ending {
        Ending::Oom => (
            "process.oom_kill",
            "SIGKILL".to_owned(),
            format!("{command} (pid {pid}) was killed because memory ran out"),
        ),
        Ending::Signal(signal) if dumped || is_crash(signal) => {
            let name = signal_name(signal);
            let core = if dumped { " and dumped core" } else { "" };
            let body = format!("{command} (pid {pid}) was ended by {name}{core}");
            ("process.crash", name, body)
        }
        Ending::Exited(_) | Ending::Signal(_) => return None,
    };
    Some(LogRecord {
        time: clock.system_time(exit.header.time),
        resource: Arc::clone(resource),
        severity: Severity::Error,
        event_name,
        body,
        attributes: Attributes::from([
            ("process.executable.name", command.into()),
            ("process.pid", i64::from(pid).into()),
            ("sonde.core_dumped", dumped.into()),
            ("sonde.signal", signal.into()),
        ]),
        span: None,
    })
}

/// Signals that end a program for a fault of its own.
fn is_crash(signal: u8) -> bool {
    matches!(
        Number::try_from(i32::from(signal)),
        Ok(Number::SIGSEGV
            | Number::SIGABRT
            | Number::SIGBUS
            | Number::SIGILL
            | Number::SIGFPE
            | Number::SIGSYS)
    )
}

/// A NUL-padded command name as text without control characters.
fn command(comm: &[u8]) -> String {
    let name = comm.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name)
        .chars()
        .map(|character| {
            if character.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            }
        })
        .collect()
}
