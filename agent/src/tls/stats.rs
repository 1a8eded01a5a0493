//! What the thread that looks for TLS libraries tells of itself.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Library, Refusal};
use crate::{
    metric::{Attributes, Collector, Descriptor, Unit, Value},
    selfmon,
};

/// Files that the programs are attached to.
pub const FILES: Descriptor = Descriptor::gauge(
    "sonde.tls.files",
    "Files with a TLS library, each counted once, that is watched (uprobes)",
    Unit::None,
);
/// Breakpoints in them.
pub const BREAKPOINTS: Descriptor = Descriptor::gauge(
    "sonde.tls.breakpoints",
    "Breakpoints in those files, by what the kernel does with the instruction: emulated is cheap, stepped takes a debug exception",
    Unit::None,
);
/// Files that were looked into.
pub const INSPECTED: Descriptor = Descriptor::counter(
    "sonde.tls.inspections",
    "Programs and libraries that were looked into for TLS",
    Unit::None,
);

/// All of them, for the reference.
pub const DESCRIPTORS: &[&Descriptor] = &[&FILES, &BREAKPOINTS, &INSPECTED];

/// Stage of refused files in `sonde_ignored_total`.
pub const STAGE: &str = "tls_file";

/// Written by the thread, read by whoever makes a snapshot.
#[derive(Debug, Default)]
pub(super) struct Stats {
    files: [AtomicU64; Library::ALL.len()],
    /// Stepped and emulated.
    breakpoints: [AtomicU64; 2],
    refused: [AtomicU64; Refusal::ALL.len()],
    inspected: AtomicU64,
}

impl Stats {
    pub(super) fn inspected(&self) {
        self.inspected.fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        self.refused[refusal as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn set_files(&self, library: Library, count: usize) {
        self.files[library as usize].store(count as u64, Relaxed);
    }

    pub(super) fn set_breakpoints(&self, emulated: bool, count: usize) {
        self.breakpoints[usize::from(emulated)].store(count as u64, Relaxed);
    }

    pub(super) fn collect(&self, collector: &mut Collector) {
        let integer = |count: &AtomicU64| Value::Integer(count.load(Relaxed));
        for library in Library::ALL {
            let attributes = Attributes::from([("tls_library", library.reason().into())]);
            collector.push(&FILES, attributes, integer(&self.files[*library as usize]));
        }
        for (count, how) in self.breakpoints.iter().zip(["stepped", "emulated"]) {
            let attributes = Attributes::from([("instruction", how.into())]);
            collector.push(&BREAKPOINTS, attributes, integer(count));
        }
        collector.push(&INSPECTED, Attributes::none(), integer(&self.inspected));
        for refusal in Refusal::ALL {
            let count = self.refused[*refusal as usize].load(Relaxed);
            selfmon::ignored(STAGE, refusal.reason(), count, collector);
        }
    }
}
