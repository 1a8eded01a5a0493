//! NVIDIA GPUs, where their driver is loaded and brings its management library (NVML).
//!
//! Without the driver this costs a look for one file: nothing is opened, no thread started. While
//! the library is open the driver keeps the GPUs initialised.

mod nvml;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    ffi::OsString,
    time::{Duration, Instant},
};

use self::nvml::{Library, POLICIES, Reading, Silence};
use super::{
    super::{
        Error, Registration, Resource, Root, Use,
        interval::{Interval, Timed},
        method::{Signal, amount, counter, gauge},
    },
    Component, ENERGY, POWER, POWER_LIMIT, TEMPERATURE, TEMPERATURE_LIMIT,
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "gpu";
/// For the dynamic linker to look for.
const LIBRARY: &str = "libnvidia-ml.so.1";
/// When a library that could not be used is tried again: drivers are updated under way.
const RETRY: Duration = Duration::from_mins(5);

const PERCENT: f64 = 100.0;
const MILLI: f64 = 1e3;
const NANOSECONDS: f64 = 1e9;

static UTILIZATION: Descriptor = gauge(
    "hw.gpu.utilization",
    "Share of the driver's last sampling period in which the GPU did this kind of task (NVML)",
    Unit::Ratio,
);
static MEMORY_USAGE: Descriptor = amount(
    "hw.gpu.memory.usage",
    "Memory of the GPU that is allocated (NVML)",
    Unit::Bytes,
);
static MEMORY_LIMIT: Descriptor = amount(
    "hw.gpu.memory.limit",
    "Memory of the GPU (NVML)",
    Unit::Bytes,
);
static MEMORY_UTILIZATION: Descriptor = gauge(
    "hw.gpu.memory.utilization",
    "Share of the GPU's memory that is allocated (NVML)",
    Unit::Ratio,
);
static HELD_BACK: Descriptor = counter(
    "hw.gpu.throttled.time",
    "Time for which the GPU's clocks were held back, by reason (NVML, violation status)",
    Unit::Seconds,
);
static ERRORS: Descriptor = counter(
    "hw.errors",
    "Memory errors of the GPU since its driver was loaded (NVML, volatile ECC counters)",
    Unit::Count("{error}"),
);

static MEMORY_SHARE: Signal = Signal {
    name: "memory_share",
    help: "Share of the GPU's memory that is allocated; at 1 the next allocation fails (NVML)",
};
static POWER_THROTTLED: Signal = Signal {
    name: "power_throttled_share",
    help: "Share of the time in which the power cap held the clocks back (NVML, violation status)",
};
static THERMAL_THROTTLED: Signal = Signal {
    name: "thermal_throttled_share",
    help: "Share of the time in which heat held the clocks back (NVML, violation status)",
};
static BOARD_THROTTLED: Signal = Signal {
    name: "board_throttled_share",
    help: "Share of the time in which a limit of the board held the clocks back (NVML, violation status)",
};
static RELIABILITY_THROTTLED: Signal = Signal {
    name: "reliability_throttled_share",
    help: "Share of the time in which the voltage's reliability held the clocks back (NVML, violation status)",
};
/// By [`POLICIES`], with `hw.gpu.throttle.reason`.
static THROTTLED: [(&str, &Signal); POLICIES.len()] = [
    ("power", &POWER_THROTTLED),
    ("thermal", &THERMAL_THROTTLED),
    ("board_limit", &BOARD_THROTTLED),
    ("reliability", &RELIABILITY_THROTTLED),
];

static CORRECTED: Signal = Signal {
    name: "ecc_corrected",
    help: "Memory errors that were corrected, since the driver was loaded (NVML)",
};
static UNCORRECTED: Signal = Signal {
    name: "ecc_uncorrected",
    help: "Memory errors that could not be corrected, since the driver was loaded (NVML)",
};
static PCIE_REPLAY: Signal = Signal {
    name: "pcie_replay",
    help: "Packets on the bus that had to be sent again (NVML)",
};

pub(in super::super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[
        &UTILIZATION,
        &MEMORY_USAGE,
        &MEMORY_LIMIT,
        &MEMORY_UTILIZATION,
        &TEMPERATURE,
        &TEMPERATURE_LIMIT,
        &POWER,
        &POWER_LIMIT,
        &ENERGY,
        &HELD_BACK,
        &ERRORS,
    ],
    saturation: &[
        &MEMORY_SHARE,
        &POWER_THROTTLED,
        &THERMAL_THROTTLED,
        &BOARD_THROTTLED,
        &RELIABILITY_THROTTLED,
    ],
    errors: &[&CORRECTED, &UNCORRECTED, &PCIE_REPLAY],
    open: |_| Box::new(Gpu::new(LIBRARY)),
};

type Readings = HashMap<String, Reading>;

#[derive(Debug)]
struct Gpu {
    path: OsString,
    library: Option<Library>,
    retry: Option<Instant>,
    last: Option<Timed<Readings>>,
}

impl Gpu {
    fn new(library: impl Into<OsString>) -> Self {
        Self {
            path: library.into(),
            library: None,
            retry: None,
            last: None,
        }
    }

    /// The library, opened if it isn't and may be.
    fn library(&mut self, now: Instant) -> Option<&mut Library> {
        if self.library.is_none() && self.retry.is_none_or(|retry| now >= retry) {
            self.retry = now.checked_add(RETRY);
            self.library = Library::open(self.path.clone());
        }
        self.library.as_mut()
    }
}

impl Resource for Gpu {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        if !root.procfs.join("driver/nvidia/version").exists() {
            // An open library would keep the driver from being unloaded.
            *self = Self::new(std::mem::take(&mut self.path));
            return Ok(None);
        }
        let Some(library) = self.library(now) else {
            return Ok(None);
        };
        let answer = match library.ask() {
            Ok(answer) => answer,
            Err(Silence::Unusable) => {
                self.library = None;
                return Ok(None);
            }
            Err(Silence::Opening) => return Ok(None),
            Err(Silence::Stuck) => {
                return Err(Error::NoAnswer {
                    from: "NVIDIA's driver",
                });
            }
        };
        let mut report = Use::new(NAME);
        report.skipped.many(answer.lost);
        let gpus = answer.gpus.into_iter();
        let now = Timed {
            at: now,
            value: gpus.map(|gpu| (gpu.id.clone(), gpu)).collect::<Readings>(),
        };
        for gpu in now.value.values() {
            tell(gpu, &mut report);
        }
        throttling(self.last.as_ref(), &now, &mut report);
        self.last = Some(now);
        Ok(Some(report))
    }
}

fn tell(gpu: &Reading, report: &mut Use) {
    let part = Component {
        id: gpu.id.clone(),
        name: gpu.name.clone(),
        kind: Some("gpu"),
    };
    let device = Some(gpu.id.as_str());
    for (task, percent) in [
        ("general", gpu.busy),
        ("encoder", gpu.encoder),
        ("decoder", gpu.decoder),
    ] {
        let attributes = part.attributes([("hw.gpu.task", task.into())]);
        report.measure(&UTILIZATION, attributes, percent.and_then(share));
    }
    report.utilization(device, gpu.busy.and_then(share));
    report.count(&MEMORY_USAGE, part.attributes([]), gpu.memory_used);
    report.count(&MEMORY_LIMIT, part.attributes([]), gpu.memory_total);
    let memory = gpu
        .memory_used
        .zip(gpu.memory_total.filter(|total| *total > 0))
        .map(|(used, total)| used as f64 / total as f64);
    report.measure(&MEMORY_UTILIZATION, part.attributes([]), memory);
    report.saturation(device, &MEMORY_SHARE, memory);

    report.measure(
        &TEMPERATURE,
        part.attributes([]),
        gpu.temperature.map(f64::from),
    );
    for (kind, limit) in [("throttled", gpu.slowdown), ("high.critical", gpu.shutdown)] {
        part.limit(&TEMPERATURE_LIMIT, kind, limit.map(f64::from), report);
    }
    let thousandth = |value: u32| f64::from(value) / MILLI;
    report.measure(&POWER, part.attributes([]), gpu.power.map(thousandth));
    let limit = gpu.power_limit.map(thousandth);
    part.limit(&POWER_LIMIT, "throttled", limit, report);
    let energy = gpu.energy.map(|millijoules| millijoules as f64 / MILLI);
    report.measure(&ENERGY, part.attributes([]), energy);

    for (kind, signal, errors) in [
        ("corrected", &CORRECTED, gpu.corrected),
        ("uncorrected", &UNCORRECTED, gpu.uncorrected),
    ] {
        let attributes = part.attributes([("error.type", kind.into())]);
        report.count(&ERRORS, attributes, errors);
        report.errors(device, signal, errors);
    }
    report.errors(device, &PCIE_REPLAY, gpu.pcie_replays);
    for ((reason, _), time) in THROTTLED.iter().zip(gpu.held_back) {
        let attributes = part.attributes([("hw.gpu.throttle.reason", (*reason).into())]);
        let seconds = time.map(|time| time as f64 / NANOSECONDS);
        report.measure(&HELD_BACK, attributes, seconds);
    }
}

fn throttling(last: Option<&Timed<Readings>>, now: &Timed<Readings>, report: &mut Use) {
    let Some(interval) = Interval::between(last, now) else {
        return;
    };
    for id in now.value.keys() {
        let Some(gpu) = interval.part(|gpus| gpus.get(id)) else {
            continue;
        };
        for (index, (_, signal)) in THROTTLED.iter().enumerate() {
            let time = |gpu: &Reading| gpu.held_back.get(index).copied().flatten();
            report.saturation(Some(id), signal, gpu.share(NANOSECONDS, time));
        }
    }
}

/// Percent as a share; `None` for what can't be.
fn share(percent: u32) -> Option<f64> {
    let share = f64::from(percent) / PERCENT;
    (share <= 1.0).then_some(share)
}
