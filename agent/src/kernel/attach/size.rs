//! How large each map is made: what isn't used costs next to nothing.

use crate::{
    kernel::{feature::Kernel, sweep::TABLE},
    probe::{FAMILIES, Family},
};

/// Maps that are made as small as they can be, on this kernel and with these families.
pub(super) fn unused<'a>(
    kernel: &'a Kernel,
    families: &'a [&'static Family],
) -> impl Iterator<Item = &'static str> + 'a {
    let off = FAMILIES
        .iter()
        .filter(|family| !families.iter().any(|wanted| wanted.name == family.name));
    let of_families = off.flat_map(|family| family.maps).copied();
    // Both families that follow connections use it.
    let followed = families
        .iter()
        .any(|family| ["tcp", "http"].contains(&family.name));
    let table = followed && kernel.btf.is_ok() && !kernel.has_socket_tracepoints();
    let threads = families.iter().any(|family| family.name == "sched");
    let threads = threads && kernel.btf.is_ok() && !kernel.has_task_storage();
    of_families.chain((!table).then_some(TABLE)).chain(
        (!threads)
            .then_some(["THREAD_TABLE", "DEAD_TABLE"])
            .into_iter()
            .flatten(),
    )
}
