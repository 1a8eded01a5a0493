//! Pressure stall information, `/proc/pressure/*` (Documentation/accounting/psi.rst).
//!
//! Parsed here because `procfs::PressureRecord` wants both lines (kernels before 5.13 have only
//! `some` for cpu) and slices past the end of a cut line.

use super::{
    Error, Root, Use,
    interval::Interval,
    method::{Signal, counter},
    read,
};
use crate::metric::{Descriptor, Unit};

pub(super) static STALL: Descriptor = counter(
    "system.pressure.stall",
    "Time in which some or all (full) tasks stood still for want of the resource (/proc/pressure/*, total)",
    Unit::Seconds,
);

pub(super) static SOME: Signal = Signal {
    name: "pressure_some_share",
    help: "Share of the time since the last snapshot in which at least one task waited for it (/proc/pressure/*, some total)",
};
pub(super) static FULL: Signal = Signal {
    name: "pressure_full_share",
    help: "Share of the time since the last snapshot in which every task that had work waited for it (/proc/pressure/*, full total)",
};

/// Of `total=` in a second.
pub(super) const MICROSECONDS: f64 = 1e6;

/// Total stall times in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pressure {
    pub(super) some: Option<u64>,
    pub(super) full: Option<u64>,
}

impl Pressure {
    /// Reads `/proc/pressure/{resource}`; all absent without PSI.
    pub(super) fn read(root: &Root, resource: &str, report: &mut Use) -> Self {
        let result = Self::try_read(root, resource);
        report.skipped.or_skip(result).unwrap_or_default()
    }

    fn try_read(root: &Root, resource: &str) -> Result<Option<Self>, Error> {
        let path = root.procfs.join("pressure").join(resource);
        let Some(text) = read::text(&path)? else {
            return Ok(None);
        };
        let Some(mut pressure) = Self::parse(&text) else {
            return Err(read::malformed(&path, "total of some"));
        };
        // The system as a whole can't be without any running task: the kernel writes zeros.
        if resource == "cpu" {
            pressure.full = None;
        }
        Ok(Some(pressure))
    }

    /// What a file says; `None` when it lacks the line that all kernels write.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(Self {
            some: Some(total(text, "some")?),
            full: total(text, "full"),
        })
    }

    /// Adds the stall times of `resource`.
    pub(super) fn raw(self, resource: &'static str, report: &mut Use) {
        for (kind, total) in [("some", self.some), ("full", self.full)] {
            let attributes = [("resource", resource.into()), ("kind", kind.into())];
            let seconds = total.map(|total| total as f64 / MICROSECONDS);
            report.measure(&STALL, attributes, seconds);
        }
    }

    /// Adds the saturation signals of the whole resource.
    pub(super) fn saturation(interval: Option<Interval<'_, Self>>, report: &mut Use) {
        let Some(interval) = interval else { return };
        let some = interval.share(MICROSECONDS, |pressure| pressure.some);
        let full = interval.share(MICROSECONDS, |pressure| pressure.full);
        report.saturation(None, &SOME, some);
        report.saturation(None, &FULL, full);
    }
}

fn total(text: &str, kind: &str) -> Option<u64> {
    text.lines()
        .map(str::split_ascii_whitespace)
        .find_map(|mut fields| (fields.next() == Some(kind)).then_some(fields))?
        .find_map(|field| field.strip_prefix("total="))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(resource: &str, text: &str) -> (Pressure, u64) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(directory.path().join("pressure")).expect("a directory in it");
        fs::write(directory.path().join("pressure").join(resource), text).expect("a file in it");
        let root = Root {
            procfs: directory.path().to_owned(),
            ..Root::default()
        };
        let mut report = Use::new("test");
        let pressure = Pressure::read(&root, resource, &mut report);
        (pressure, report.skipped())
    }

    #[test]
    fn kernels_before_5_13_have_only_some_for_cpu() {
        let (pressure, skipped) = read("cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
        assert_eq!((pressure.some, pressure.full, skipped), (Some(7), None, 0));
    }

    #[test]
    fn full_of_the_whole_systems_cpu_is_no_measurement() {
        let text = "some avg10=0 avg60=0 avg300=0 total=7\nfull avg10=0 avg60=0 avg300=0 total=0\n";
        assert_eq!(read("cpu", text).0.full, None);
        assert_eq!(read("io", text).0.full, Some(0));
    }

    #[test]
    fn fault_28_a_cut_file_is_skipped_and_counted() {
        for text in [
            "",
            "some",
            "full total=3",
            "some avg10=0.00 tot",
            "some total=x",
        ] {
            assert_eq!(read("memory", text), (Pressure::default(), 1), "{text:?}");
        }
    }
}
