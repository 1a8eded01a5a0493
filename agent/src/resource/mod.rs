//! USE resources, one file each, pure over (last, now).
//!
//! A resource reads its files under a [`Root`] and answers with a [`Use`]: the raw metrics in the
//! conventions' names and the three `use.*` metrics. To add one: a file here, a line in
//! [`RESOURCES`].

mod cgroup;
mod clock;
mod conntrack;
mod cpu;
mod disk;
mod error;
mod file_descriptors;
mod filesystem;
mod hardware;
mod interval;
mod memory;
mod method;
mod network;
mod per_cpu;
mod pressure;
mod processes;
mod read;
mod run_queue;
mod runner;
mod snmp;
mod swap;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::{sync::Arc, time::Instant};

use crate::metric::Descriptor;
pub use crate::root::Root;

pub use self::{
    error::Error,
    method::{
        ERRORS_BY_SERVICE, SATURATION, SATURATION_BY_SERVICE, Signal, USE_ERRORS, UTILIZATION, Use,
        by_service,
    },
    processes::Census,
    runner::{OWN_METRICS, Resources},
};

/// One resource of the USE method. Keeps its last sample, so that rates have an interval.
pub trait Resource: Send {
    /// Reads the resource at `now` (monotonic) and compares with the sample before.
    ///
    /// `Ok(None)` when the host hasn't got the resource, which is no error. `Err` when its main
    /// file can't be read or understood; what is missing beside it is left out and counted in
    /// [`Use`].
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error>;
}

/// What is known of a resource without reading anything.
#[derive(Debug)]
pub struct Registration {
    /// Value of the attribute `resource`, and the name in `--collector.NAME`.
    pub name: &'static str,
    /// The raw metrics that it may report besides the three of the method.
    pub metrics: &'static [&'static Descriptor],
    /// The signals that it may report in `use.saturation`.
    pub saturation: &'static [&'static Signal],
    /// The signals that it may report in `use.errors`.
    pub errors: &'static [&'static Signal],
    /// A fresh one, without a sample yet.
    pub open: fn(&Arc<Census>) -> Box<dyn Resource>,
}

/// Every resource, in the order in which they are read: those that may take their time come last,
/// so that the rates of the others don't suffer.
pub const RESOURCES: &[Registration] = &[
    cpu::REGISTRATION,
    run_queue::REGISTRATION,
    memory::REGISTRATION,
    swap::REGISTRATION,
    disk::REGISTRATION,
    network::REGISTRATION,
    tcp::REGISTRATION,
    udp::REGISTRATION,
    file_descriptors::REGISTRATION,
    conntrack::REGISTRATION,
    clock::REGISTRATION,
    processes::REGISTRATION,
    cgroup::REGISTRATION,
    hardware::thermal::REGISTRATION,
    hardware::power::REGISTRATION,
    hardware::gpu::REGISTRATION,
    filesystem::REGISTRATION,
];

/// The names in [`RESOURCES`].
pub fn names() -> impl Iterator<Item = &'static str> {
    RESOURCES.iter().map(|registration| registration.name)
}
