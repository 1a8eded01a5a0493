//! The object with all programs and maps, made fit for this kernel.

use aya::{Btf, Ebpf, EbpfLoader};
use sonde_common::{event::tls::BUFFERS, field};

use super::{Error, Settings, size};
use crate::{
    clock,
    kernel::{btf, feature::Kernel, map, sweep::TABLE},
    probe::{Family, tls},
};

/// The kernel side, as built beside the agent.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sonde-ebpf"));

/// Loads the object for this kernel: its maps, and what its programs are told.
pub(super) fn load(
    kernel: &Kernel,
    families: &[&'static Family],
    settings: &Settings,
    types: Option<&Btf>,
    period: u32,
) -> Result<Ebpf, Error> {
    let offsets = kernel
        .btf
        .as_ref()
        .map_or([field::ABSENT; field::COUNT], btf::Btf::offsets);
    let tls = families
        .iter()
        .any(|family| family.name == tls::FAMILY.name);
    let buffers = if tls { BUFFERS + cpus()? } else { 1 };
    let (followed, tick) = (u32::from(tls), clock::tick());
    let mut loader = EbpfLoader::new();
    loader
        .btf(types)
        .allow_unsupported_maps()
        .map_max_entries("EVENTS", settings.ring_bytes)
        .map_max_entries(TABLE, settings.table_entries)
        .map_max_entries("TLS_BUFFERS", buffers)
        .override_global("OFFSETS", &offsets, true)
        .override_global("SELF_TGID", &settings.self_tgid, true)
        .override_global("TICK", &tick, true)
        .override_global("TLS_FOLLOWED", &followed, true)
        .override_global("SYSCALL_PERIOD", &period, true);
    for map in size::unused(kernel, families) {
        loader.map_max_entries(map, 1);
    }
    let mut ebpf = loader.load(OBJECT)?;
    if tls {
        map::fill(&mut ebpf, "TLS_FREE", 0..BUFFERS)?;
    }
    Ok(ebpf)
}

/// CPUs that there may be.
fn cpus() -> Result<u32, Error> {
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| Error::Cpus(error))?;
    Ok(u32::try_from(cpus).unwrap_or(u32::MAX - BUFFERS))
}
