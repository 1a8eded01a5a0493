//! The object with all programs and maps, made fit for this kernel.

use aya::{Btf, Ebpf, EbpfLoader};
use object::{Object as _, ObjectSection as _, read::elf::ElfFile64};
use sonde_common::{event::tls::BUFFERS, field};

use super::{Error, Settings, cast::Cast, size};
use crate::{
    clock,
    kernel::{btf, feature::Kernel, map, sweep::TABLE},
    probe::{Family, tls},
};

/// The kernel side, as built beside the agent.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sonde-ebpf"));

/// Loads the object for this kernel: its maps, and what its programs are told. Gives it as it was
/// loaded as well, for programs that aya can't load.
pub(super) fn load(
    kernel: &Kernel,
    families: &[&'static Family],
    settings: &Settings,
    types: Option<&Btf>,
    period: u32,
) -> Result<(Ebpf, Vec<u8>), Error> {
    let offsets = kernel
        .btf
        .as_ref()
        .map_or([field::ABSENT; field::COUNT], btf::Btf::offsets);
    let tls = families
        .iter()
        .any(|family| family.name == tls::FAMILY.name);
    let buffers = if tls { BUFFERS + cpus()? } else { 1 };
    let (followed, tick) = (u32::from(tls), clock::tick());
    let in_iowait = kernel
        .btf
        .as_ref()
        .ok()
        .and_then(|btf| btf.bit_offset("task_struct", "in_iowait"))
        .unwrap_or(field::ABSENT);
    let stack_registers = kernel.stack_registers();
    let cast = Cast::of(kernel, &offsets);
    let files_type = cast.map_or(0, |cast| cast.files);
    let first_drop = kernel.first_drop().unwrap_or(u32::MAX);
    let mut loader = EbpfLoader::new();
    loader
        .btf(types)
        .allow_unsupported_maps()
        .map_max_entries("EVENTS", settings.ring_bytes)
        .map_max_entries(TABLE, settings.table_entries)
        .map_max_entries("TLS_BUFFERS", buffers)
        .override_global("OFFSETS", &offsets, true)
        .override_global("SELF_TGID", &settings.self_tgid, true)
        .override_global("IN_IOWAIT", &in_iowait, true)
        .override_global("STACK_REGS", &stack_registers, true)
        .override_global("FILES_TYPE", &files_type, true)
        .override_global("FIRST_DROP", &first_drop, true)
        .override_global("TICK", &tick, true)
        .override_global("TLS_FOLLOWED", &followed, true)
        .override_global("SYSCALL_PERIOD", &period, true);
    for map in size::unused(kernel, families) {
        loader.map_max_entries(map, 1);
    }
    let mut object = OBJECT.to_vec();
    if !kernel.is_at_least(5, 11) {
        leave_out_task_storage(&mut object);
    }
    if let Some(cast) = cast {
        cast.write(&mut object);
    }
    let mut ebpf = loader.load(&object)?;
    if tls {
        map::fill(&mut ebpf, "TLS_FREE", 0..BUFFERS)?;
    }
    Ok((ebpf, object))
}

/// Makes the object fit for kernels that have no storage on tasks (before 5.11): the loader makes every
/// map, so those are made as storage on sockets, which nobody uses.
fn leave_out_task_storage(object: &mut [u8]) {
    const TASK_STORAGE: u32 = 29;
    const SK_STORAGE: u32 = 24;
    for place in map_types(object, TASK_STORAGE).into_iter().flatten() {
        if let Some(bytes) = object.get_mut(place..place + 4) {
            bytes.copy_from_slice(&SK_STORAGE.to_le_bytes());
        }
    }
}

/// Where the object says of maps that they are of this type: in its BTF, as lengths of arrays.
fn map_types(object: &[u8], kind: u32) -> Option<Vec<usize>> {
    let file = ElfFile64::<object::LittleEndian>::parse(object).ok()?;
    let section = file.section_by_name(".BTF")?;
    let start = usize::try_from(section.file_range()?.0).ok()?;
    let types = btf::Btf::parse(section.data().ok()?.to_vec()).ok()?;
    Some(
        types
            .array_lengths(kind)
            .map(|place| start + place)
            .collect(),
    )
}

/// CPUs that there may be.
fn cpus() -> Result<u32, Error> {
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| Error::Cpus(error))?;
    Ok(u32::try_from(cpus).unwrap_or(u32::MAX - BUFFERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_on_tasks_is_told_by_its_type_and_by_nothing_else() {
        // Two maps, and one type for the type of both.
        assert_eq!(map_types(OBJECT, 29).map(|places| places.len()), Some(1));
        let mut patched = OBJECT.to_vec();
        leave_out_task_storage(&mut patched);
        assert_eq!(map_types(&patched, 29), Some(Vec::new()));
        let changed = OBJECT.iter().zip(&patched).filter(|(old, new)| old != new);
        assert_eq!(changed.count(), 1);
    }
}
