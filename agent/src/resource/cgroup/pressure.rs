//! Pressure stall information of a cgroup.

use super::{
    super::{
        interval::Interval,
        pressure::{MICROSECONDS, Pressure},
    },
    descriptors as metric,
    file::Files,
    hierarchy::Controller,
    report::Report,
};

/// Stall times by resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pressures {
    cpu: Pressure,
    memory: Pressure,
    io: Pressure,
}

impl Pressures {
    pub(super) fn read(files: &mut Files<'_>) -> Self {
        if files.version(Controller::Pressure).is_none() {
            return Self::default();
        }
        let [cpu, memory, io] = ["cpu.pressure", "memory.pressure", "io.pressure"].map(|name| {
            let Some(text) = files.text(Controller::Pressure, name) else {
                return Pressure::default();
            };
            let pressure = Pressure::parse(&text);
            if pressure.is_none() {
                files.skipped.one();
            }
            pressure.unwrap_or_default()
        });
        Self { cpu, memory, io }
    }

    pub(super) fn raw(&self, report: &mut Report<'_>) {
        for (resource, pressure) in [("cpu", self.cpu), ("memory", self.memory), ("io", self.io)] {
            for (kind, total) in [("some", pressure.some), ("full", pressure.full)] {
                let attributes = [("resource", resource.into()), ("kind", kind.into())];
                let seconds = total.map(|total| total as f64 / MICROSECONDS);
                report.measure(&metric::STALL, attributes, seconds);
            }
        }
    }

    pub(super) fn method(interval: &Interval<'_, Self>, report: &mut Report<'_>) {
        type Total = fn(&Pressures) -> Option<u64>;
        let signals: [(_, Total); 5] = [
            (&metric::CPU_SOME, |it| it.cpu.some),
            (&metric::MEMORY_SOME, |it| it.memory.some),
            (&metric::MEMORY_FULL, |it| it.memory.full),
            (&metric::IO_SOME, |it| it.io.some),
            (&metric::IO_FULL, |it| it.io.full),
        ];
        for (signal, total) in signals {
            report.saturation(signal, interval.share(MICROSECONDS, total));
        }
    }
}
