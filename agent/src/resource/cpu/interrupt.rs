//! Interrupts of all CPUs, `/proc/stat` (`show_stat` in `fs/proc/stat.c`).

use crate::{
    metric::{Descriptor, Unit},
    resource::{Use, method::counter},
};

pub(super) static INTERRUPTS: Descriptor = counter(
    "system.cpu.interrupts",
    "Hardware interrupts of all CPUs (/proc/stat, intr)",
    Unit::Count("{interrupt}"),
);
pub(super) static SOFTIRQS: Descriptor = counter(
    "system.cpu.softirqs",
    "Softirqs of all CPUs by kind (/proc/stat, softirq)",
    Unit::Count("{interrupt}"),
);

/// The columns of the `softirq` line behind its total (`softirq_to_name` in `kernel/softirq.c`).
const KINDS: [&str; 10] = [
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
];

/// Adds what the text of `/proc/stat` tells.
pub(super) fn report(stat: &str, report: &mut Use) {
    // The first of thousands of columns is the sum.
    if let Some(mut columns) = columns(stat, "intr ") {
        match columns.next().and_then(|total| total.parse::<u64>().ok()) {
            Some(total) => report.count(&INTERRUPTS, [], total),
            None => report.skipped.one(),
        }
    }
    let Some(columns) = columns(stat, "softirq ") else {
        return;
    };
    for (kind, count) in KINDS.iter().zip(columns.skip(1)) {
        match count.parse::<u64>() {
            Ok(count) => report.count(&SOFTIRQS, [("softirq", (*kind).into())], count),
            Err(_) => report.skipped.one(),
        }
    }
}

fn columns<'a>(stat: &'a str, name: &str) -> Option<impl Iterator<Item = &'a str>> {
    let line = stat.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_ascii_whitespace())
}
