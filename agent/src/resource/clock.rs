//! The host's clock: whether it is synchronised, how wrong it may be, what it is read from.
//!
//! Not a resource that is used up; but when it is wrong, so is every time stamp, and a slow source
//! makes every program slow.

use std::{io, time::Instant};

use super::{Error, Registration, Resource, Root, Use, method::gauge, read};
use crate::{
    kernel::clock::Discipline,
    metric::{Descriptor, Unit},
};

const NAME: &str = "clock";

static UPTIME: Descriptor = gauge(
    "system.uptime",
    "Time since the host started (/proc/uptime)",
    Unit::Seconds,
);
static SYNCHRONIZED: Descriptor = gauge(
    "system.clock.synchronized",
    "1 while somebody keeps the wall clock right, 0 if not (adjtimex(2), STA_UNSYNC)",
    Unit::None,
);
static OFFSET: Descriptor = gauge(
    "system.clock.offset",
    "What is left to be corrected of the wall clock (adjtimex(2), offset)",
    Unit::Seconds,
);
static MAXIMUM_ERROR: Descriptor = gauge(
    "system.clock.error.max",
    "Most that the wall clock can be wrong (adjtimex(2), maxerror)",
    Unit::Seconds,
);
static ESTIMATED_ERROR: Descriptor = gauge(
    "system.clock.error.estimated",
    "What the daemon that keeps the wall clock takes its error for (adjtimex(2), esterror)",
    Unit::Seconds,
);
static SOURCE: Descriptor = gauge(
    "system.clock.source",
    "1 for what the kernel counts time with; anything slower than a virtual machine's own or the CPU's counter makes reading the clock dear (/sys/devices/system/clocksource/clocksource0/current_clocksource)",
    Unit::None,
);

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[
        &UPTIME,
        &SYNCHRONIZED,
        &OFFSET,
        &MAXIMUM_ERROR,
        &ESTIMATED_ERROR,
        &SOURCE,
    ],
    saturation: &[],
    errors: &[],
    open: |_| Box::new(Clock(Discipline::read)),
};

/// With the way to ask the kernel, which is the host's own in whatever container.
#[derive(Debug)]
struct Clock(fn() -> io::Result<Discipline>);

impl Resource for Clock {
    fn sample(&mut self, root: &Root, _now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let path = root.procfs.join("uptime");
        let Some(text) = read::text(&path)? else {
            return Ok(None);
        };
        let uptime = text.split_ascii_whitespace().next();
        let uptime = uptime.and_then(|field| field.parse::<f64>().ok());
        let Some(uptime) = uptime.filter(|uptime| *uptime >= 0.0) else {
            return Err(read::malformed(&path, "time since the start"));
        };
        report.measure(&UPTIME, [], uptime);
        match self.0() {
            Ok(discipline) => state(&discipline, &mut report),
            Err(_) => report.skipped.one(),
        }
        let source = "devices/system/clocksource/clocksource0/current_clocksource";
        let source = read::text(&root.sysfs.join(source));
        if let Some(source) = report.skipped.or_skip(source) {
            report.count(&SOURCE, [("source", source.trim().into())], 1);
        }
        Ok(Some(report))
    }
}

fn state(discipline: &Discipline, report: &mut Use) {
    const NANOSECONDS: f64 = 1e9;
    const MICROSECONDS: f64 = 1e6;
    let is_synchronized = u64::from(discipline.is_synchronized);
    report.count(&SYNCHRONIZED, [], is_synchronized);
    report.measure(&OFFSET, [], discipline.offset as f64 / NANOSECONDS);
    for (descriptor, microseconds) in [
        (&MAXIMUM_ERROR, discipline.maximum_error),
        (&ESTIMATED_ERROR, discipline.estimated_error),
    ] {
        report.measure(descriptor, [], microseconds as f64 / MICROSECONDS);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::resource::tests::{rendered, root};

    const DISCIPLINE: Discipline = Discipline {
        is_synchronized: true,
        offset: -1_500_000,
        maximum_error: 250_000,
        estimated_error: 4_000,
    };

    fn sample(ask: fn() -> io::Result<Discipline>) -> (String, u64) {
        let directory = tempfile::tempdir().unwrap();
        let root = root(directory.path());
        fs::create_dir(&root.procfs).unwrap();
        fs::write(root.procfs.join("uptime"), "12.50 40.00\n").unwrap();
        let report = Clock(ask).sample(&root, Instant::now()).unwrap().unwrap();
        let skipped = report.skipped();
        (rendered(report), skipped)
    }

    #[test]
    fn the_clocks_state_is_told_in_seconds() {
        let expected = "system.clock.error.estimated{} 0.004\n\
                        system.clock.error.max{} 0.25\n\
                        system.clock.offset{} -0.0015\n\
                        system.clock.synchronized{} 1\n\
                        system.uptime{} 12.5\n";
        assert_eq!(sample(|| Ok(DISCIPLINE)), (expected.to_owned(), 0));
    }

    #[test]
    fn where_the_kernel_may_not_be_asked_its_state_is_absent() {
        let answer = sample(|| Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(answer, ("system.uptime{} 12.5\n".to_owned(), 1));
    }
}
