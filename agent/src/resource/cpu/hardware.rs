//! What the processor says of itself: frequency, heat, machine checks.

use crate::{
    metric::{Descriptor, Unit},
    resource::{
        Root, Use,
        method::{Signal, gauge},
        read,
    },
};

pub(super) static FREQUENCY: Descriptor = gauge(
    "system.cpu.frequency",
    "Present frequency of the logical CPU (/sys/devices/system/cpu/cpuN/cpufreq/scaling_cur_freq)",
    Unit::Hertz,
);
pub(super) static FREQUENCY_MAX: Descriptor = gauge(
    "system.cpu.frequency.max",
    "Highest frequency that the logical CPU may take at present (/sys/devices/system/cpu/cpuN/cpufreq/scaling_max_freq)",
    Unit::Hertz,
);

pub(super) static THROTTLE: Signal = Signal {
    name: "thermal_throttle",
    help: "Times the core was slowed down because of heat (thermal_throttle/core_throttle_count)",
};
pub(super) static PACKAGE_THROTTLE: Signal = Signal {
    name: "package_thermal_throttle",
    help: "Times the CPU's whole package was slowed down because of heat (thermal_throttle/package_throttle_count)",
};
pub(super) static MACHINE_CHECK: Signal = Signal {
    name: "machine_check",
    help: "Machine check exceptions of all CPUs (/proc/interrupts, MCE)",
};

/// Adds what there is of the CPUs with these numbers.
pub(super) fn report<'a>(root: &Root, cpus: impl Iterator<Item = &'a u32>, report: &mut Use) {
    const HERTZ_PER_KILOHERTZ: f64 = 1e3;
    let directory = root.sysfs.join("devices/system/cpu");
    for number in cpus {
        let device = format!("cpu{number}");
        let directory = directory.join(&device);
        for (descriptor, file) in [
            (&FREQUENCY, "cpufreq/scaling_cur_freq"),
            (&FREQUENCY_MAX, "cpufreq/scaling_max_freq"),
        ] {
            let frequency = read::number::<u64>(&directory.join(file));
            let frequency = report.skipped.or_skip(frequency);
            let attributes = [("cpu.logical_number", i64::from(*number).into())];
            let hertz = frequency.map(|kilohertz| kilohertz as f64 * HERTZ_PER_KILOHERTZ);
            report.measure(descriptor, attributes, hertz);
        }
        for (signal, file) in [
            (&THROTTLE, "thermal_throttle/core_throttle_count"),
            (&PACKAGE_THROTTLE, "thermal_throttle/package_throttle_count"),
        ] {
            let count = read::number(&directory.join(file));
            let count = report.skipped.or_skip(count);
            report.errors(Some(&device), signal, count);
        }
    }
    let interrupts = read::text(&root.procfs.join("interrupts"));
    let interrupts = report.skipped.or_skip(interrupts);
    let checks = interrupts.and_then(|text| machine_checks(&text));
    report.errors(None, &MACHINE_CHECK, checks);
}

/// Sum of the `MCE:` row, which is followed by its description.
fn machine_checks(interrupts: &str) -> Option<u64> {
    let row = interrupts
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("MCE:"))?;
    row.split_ascii_whitespace()
        .map_while(|field| field.parse::<u64>().ok())
        .reduce(u64::saturating_add)
}
