//! Every metric of the collectors that `node_exporter` 1.5 has on by default on Linux, and what sonde
//! has of it.

mod absent;
mod disk;
mod hardware;
mod memory;
mod network;
mod processor;
mod protocol;
mod system;

use super::row::{Collector, Row};

/// The tables, in the order of their pages in the document.
#[must_use]
pub fn collectors() -> Vec<Collector> {
    let mut collectors: Vec<_> = [
        processor::COLLECTORS,
        memory::COLLECTORS,
        disk::COLLECTORS,
        hardware::COLLECTORS,
        network::COLLECTORS,
        protocol::COLLECTORS,
        system::COLLECTORS,
        absent::COLLECTORS,
    ]
    .concat();
    collectors.sort_by_key(|collector| collector.name);
    collectors
}

/// All lines.
pub fn rows() -> impl Iterator<Item = Row> {
    let collectors = collectors().into_iter();
    collectors.flat_map(|collector| collector.rows.iter().copied())
}

/// The line about a metric: its own rather than one for all that begin alike.
#[must_use]
pub fn row(name: &str) -> Option<Row> {
    let all: Vec<_> = rows().filter(|row| row.is_about(name)).collect();
    all.iter().max_by_key(|row| row.node.len()).copied()
}
