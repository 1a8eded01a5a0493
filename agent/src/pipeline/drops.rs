//! Dropped packets out of the kernel's map.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use aya::Ebpf;
use sonde_common::event::drop::{DropKey, NAME};

use crate::{
    kernel::{feature::Kernel, map},
    metric::{Attributes, Collector, Descriptor, Unit, Value},
    probe::drop::REASONS,
    selfmon,
};

/// Packets dropped.
pub(super) const DROPS: Descriptor = Descriptor::counter(
    "system.network.drops",
    "Packets that the kernel dropped, by its reason (enum skb_drop_reason, tracepoint kfree_skb, kernel 5.17), and by interface where the packet has one of the host's network namespace",
    Unit::Count("{packet}"),
);

const MAP: &str = "DROPS";
const PREFIX: &str = "SKB_DROP_REASON_";

/// Tells what was dropped.
#[derive(Debug, Default)]
pub(super) struct DropReader {
    /// Names of the reasons, without what they all begin with.
    reasons: HashMap<u32, String>,
    /// The host's network namespace.
    netns: u32,
}

impl DropReader {
    /// With this kernel's names; the first process is in the host's namespace.
    pub(super) fn new(kernel: &Kernel, procfs: &Path) -> Self {
        let btf = kernel.btf.as_ref().ok();
        let reasons = btf.map(|btf| btf.enumeration(REASONS)).unwrap_or_default();
        let short = |name: String| {
            name.strip_prefix(PREFIX)
                .map_or(name.clone(), str::to_owned)
        };
        let netns = fs::metadata(procfs.join("1/ns/net")).map_or(0, |file| file.ino());
        Self {
            reasons: reasons
                .into_iter()
                .map(|(number, name)| (number, short(name)))
                .collect(),
            netns: u32::try_from(netns).unwrap_or(0),
        }
    }

    /// Adds all series, and the fill of the map.
    pub(super) fn collect(&self, ebpf: &Ebpf, collector: &mut Collector) -> Result<(), map::Error> {
        let drops = map::sums_by_key::<DropKey>(ebpf, MAP)?;
        let filled = drops.len();
        // Interfaces of other namespaces are told together.
        let mut told: BTreeMap<(u32, Option<String>), u64> = BTreeMap::new();
        for (key, count) in drops {
            *told.entry((key.reason, self.interface(&key))).or_default() += count;
        }
        for ((reason, interface), count) in told {
            let reason = [("network.drop.reason", self.reason(reason).into())];
            let interface = interface.map(|name| ("network.interface.name", name.into()));
            let attributes: Attributes = reason.into_iter().chain(interface).collect();
            collector.push(&DROPS, attributes, Value::Integer(count));
        }
        selfmon::collect_fill(ebpf, [(MAP, filled)], collector)
    }

    /// The name of a reason; a number for those of subsystems, which are in no enumeration of all.
    fn reason(&self, reason: u32) -> String {
        self.reasons
            .get(&reason)
            .cloned()
            .unwrap_or_else(|| format!("reason_{reason:#x}"))
    }

    fn interface(&self, key: &DropKey) -> Option<String> {
        let name = key.interface.split(|byte| *byte == 0).next()?;
        let is_ours = key.netns != 0 && key.netns == self.netns && name.len() < NAME;
        is_ours.then(|| String::from_utf8_lossy(name).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(netns: u32, name: &[u8]) -> DropKey {
        let mut interface = [0; NAME];
        interface[..name.len()].copy_from_slice(name);
        DropKey {
            reason: 3,
            netns,
            interface,
        }
    }

    #[test]
    fn reasons_have_the_kernels_names_and_others_numbers() {
        let reader = DropReader {
            reasons: HashMap::from([(3, "NO_SOCKET".to_owned())]),
            netns: 7,
        };
        assert_eq!(reader.reason(3), "NO_SOCKET");
        assert_eq!(reader.reason(0x1_0002), "reason_0x10002");
    }

    #[test]
    fn only_the_hosts_own_interfaces_are_named() {
        let reader = DropReader {
            netns: 7,
            ..DropReader::default()
        };
        assert_eq!(reader.interface(&key(7, b"eth0")).as_deref(), Some("eth0"));
        assert_eq!(reader.interface(&key(8, b"eth0")), None, "a container's");
        assert_eq!(reader.interface(&key(0, b"")), None);
        assert_eq!(DropReader::default().interface(&key(0, b"")), None);
        let odd = reader.interface(&key(7, b"\xff\n")).unwrap();
        assert_eq!(odd, "\u{fffd}\n");
    }
}
