//! Backlog of the receive softirq, `/proc/net/softnet_stat` (`softnet_seq_show` in
//! `net/core/net-procfs.c`): a line of hexadecimal numbers for each CPU.

use std::collections::BTreeMap;

use crate::{
    metric::{Descriptor, Unit},
    resource::{
        Root, Use,
        interval::Interval,
        method::{Signal, counter},
        read::{self, Skipped},
    },
};

pub(super) static PROCESSED: Descriptor = counter(
    "system.network.softnet.processed",
    "Packets that each logical CPU's receive softirq has handled (/proc/net/softnet_stat, column 1)",
    Unit::Count("{packet}"),
);
pub(super) static DROPPED: Descriptor = counter(
    "system.network.softnet.dropped",
    "Packets dropped because the CPU's backlog was full (/proc/net/softnet_stat, column 2)",
    Unit::Count("{packet}"),
);
pub(super) static SQUEEZED: Descriptor = counter(
    "system.network.softnet.squeezed",
    "Times the receive softirq stopped with work left (/proc/net/softnet_stat, column 3)",
    Unit::Count("{event}"),
);

pub(super) static SQUEEZE: Signal = Signal {
    name: "softnet_squeeze_rate",
    help: "Times the receive softirq stopped with work left (/proc/net/softnet_stat, column 3)",
};
pub(super) static DROP: Signal = Signal {
    name: "softnet_drop_rate",
    help: "Packets dropped because a CPU's backlog was full (/proc/net/softnet_stat, column 2)",
};
pub(super) static BACKLOG: Signal = Signal {
    name: "softnet_backlog_length",
    help: "Packets in all CPUs' backlogs at the moment of the snapshot (/proc/net/softnet_stat, column 12)",
};
/// Most CPUs that a kernel can be built for (`NR_CPUS`).
const MAX_CPUS: u32 = 8192;

/// The counters of one CPU. The kernel's have 32 bits, and wrap in an hour at a million packets a
/// second, so they are carried on in 64.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    processed: u64,
    dropped: u64,
    squeezed: u64,
}

/// All CPUs that were ever seen: one that goes offline keeps its part of the sum.
#[derive(Clone, Debug, Default)]
pub(super) struct Softnet {
    cpus: BTreeMap<u32, Counters>,
    backlog: Option<u64>,
}

impl Softnet {
    pub(super) fn read(root: &Root, last: Option<&Self>, skipped: &mut Skipped) -> Self {
        let mut softnet = Self {
            cpus: last.map(|last| last.cpus.clone()).unwrap_or_default(),
            backlog: None,
        };
        let text = skipped.or_skip(read::net(root, "softnet_stat"));
        softnet.update(&text.unwrap_or_default(), skipped);
        softnet
    }

    fn update(&mut self, text: &str, skipped: &mut Skipped) {
        for (line, number) in text.lines().zip(0..) {
            let Some(line) = Line::parse(line, number) else {
                skipped.one();
                continue;
            };
            let counters = self.cpus.entry(line.cpu).or_default();
            counters.processed = carry(counters.processed, line.processed);
            counters.dropped = carry(counters.dropped, line.dropped);
            counters.squeezed = carry(counters.squeezed, line.squeezed);
            if let Some(backlog) = line.backlog {
                *self.backlog.get_or_insert(0) += u64::from(backlog);
            }
        }
    }

    fn sum(&self, counter: impl Fn(&Counters) -> u64) -> Option<u64> {
        self.cpus.values().map(counter).reduce(u64::saturating_add)
    }

    pub(super) fn report(&self, interval: Option<&Interval<'_, Self>>, report: &mut Use) {
        for (cpu, counters) in &self.cpus {
            let attributes = || [("cpu.logical_number", i64::from(*cpu).into())];
            report.count(&PROCESSED, attributes(), counters.processed);
            report.count(&DROPPED, attributes(), counters.dropped);
            report.count(&SQUEEZED, attributes(), counters.squeezed);
        }
        let backlog = self.backlog.map(|length| length as f64);
        report.saturation(None, &BACKLOG, backlog);
        let Some(interval) = interval else { return };
        let squeezed = interval.rate(|softnet| softnet.sum(|counters| counters.squeezed));
        report.saturation(None, &SQUEEZE, squeezed);
        let dropped = interval.rate(|softnet| softnet.sum(|counters| counters.dropped));
        report.saturation(None, &DROP, dropped);
    }
}

struct Line {
    cpu: u32,
    processed: u32,
    dropped: u32,
    squeezed: u32,
    /// Since 5.10.
    backlog: Option<u32>,
}

impl Line {
    /// Offline CPUs have no line; since 5.10 each line says whose it is, before that it is taken
    /// for that of CPU `number`.
    fn parse(line: &str, number: u32) -> Option<Self> {
        let fields = line
            .split_ascii_whitespace()
            .map(|field| u32::from_str_radix(field, 16).ok())
            .collect::<Option<Vec<_>>>()?;
        let field = |column: usize| fields.get(column).copied();
        Some(Self {
            cpu: Some(field(12).unwrap_or(number)).filter(|cpu| *cpu < MAX_CPUS)?,
            processed: field(0)?,
            dropped: field(1)?,
            squeezed: field(2)?,
            backlog: field(11),
        })
    }
}

/// The next value from `last` on whose low 32 bits are `now`.
fn carry(last: u64, now: u32) -> u64 {
    const LOW: u64 = u32::MAX as u64;
    let step = u64::from(now).wrapping_sub(last) & LOW;
    last.saturating_add(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_32_bit_counter_is_carried_over_its_wrap() {
        assert_eq!(carry(0, 7), 7);
        assert_eq!(carry(0xffff_fff0, 0x10), 0x1_0000_0010);
        assert_eq!(carry(0x3_0000_0010, 0x20), 0x3_0000_0020);
        assert_eq!(carry(5, 5), 5);
    }

    #[test]
    fn lines_belong_to_the_cpu_that_they_name_and_an_offline_one_keeps_its_part() {
        let mut softnet = Softnet::default();
        let mut skipped = Skipped::default();
        let zero = "0a 00 00 0 0 0 0 0 0 0 0 3 0 0 0\n";
        let two = "0b 01 02 0 0 0 0 0 0 0 0 4 2 0 0\n";
        softnet.update(&format!("{zero}{two}zz\n"), &mut skipped);
        assert_eq!(softnet.cpus.keys().copied().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(softnet.backlog, Some(7));
        assert_eq!(skipped.count(), 1);
        softnet.update(zero, &mut skipped);
        assert_eq!(softnet.sum(|counters| counters.processed), Some(21));
    }

    #[test]
    fn a_cpu_beyond_what_a_kernel_can_have_is_refused() {
        assert!(Line::parse("1 2 3 0 0 0 0 0 0 0 0 0 2000 0 0", 0).is_none());
    }
}
