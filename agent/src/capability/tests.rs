//! Tests of needs, messages and dropping. Capabilities are per thread, so those that drop do it in
//! a thread of their own.

use std::thread;

use super::{drop::permitted, *};
use crate::kernel::uprobe::{Pmu, Way};

const DEBIAN_11: KernelVersion = KernelVersion::new(5, 10, 0);
const DEBIAN_12: KernelVersion = KernelVersion::new(6, 1, 0);

fn held(capabilities: &[Capability]) -> Held {
    Held {
        effective: capabilities.iter().copied().collect(),
        in_user_namespace: false,
    }
}

fn everything() -> Held {
    held(&[
        BPF,
        PERFMON,
        SYS_ADMIN,
        SYS_PTRACE,
        DAC_READ_SEARCH,
        SYS_RESOURCE,
        CHECKPOINT_RESTORE,
    ])
}

fn missing(held: &Held, kernel: KernelVersion) -> Vec<String> {
    let lacks = held.lacks(kernel);
    lacks.iter().map(|lack| names(&lack.missing, "+")).collect()
}

#[test]
fn fault_27_root_lacks_nothing_and_nobody_everything() {
    assert!(missing(&everything(), DEBIAN_12).is_empty());
    assert!(missing(&everything(), KernelVersion::new(5, 4, 0)).is_empty());
    assert_eq!(
        missing(&held(&[]), DEBIAN_12),
        [
            "CAP_BPF+CAP_PERFMON",
            "CAP_SYS_PTRACE",
            "CAP_DAC_READ_SEARCH",
            "CAP_CHECKPOINT_RESTORE",
            "CAP_SYS_ADMIN"
        ]
    );
}

#[test]
fn fault_27_sys_admin_stands_for_bpf_and_perfmon() {
    let held = held(&[SYS_ADMIN, SYS_PTRACE, DAC_READ_SEARCH]);
    assert!(missing(&held, DEBIAN_12).is_empty());
    assert_eq!(missing(&held, DEBIAN_11), ["CAP_SYS_RESOURCE"]);
}

#[test]
fn fault_27_kernels_before_the_split_ask_for_sys_admin() {
    let held = held(&[BPF, PERFMON, SYS_PTRACE, DAC_READ_SEARCH, SYS_RESOURCE]);
    let old = held.lacks(KernelVersion::new(5, 7, 0));
    assert!(old[0].need.essential && old[0].missing == [SYS_ADMIN]);
    assert!(!held.lacks(DEBIAN_12).iter().any(|lack| lack.need.essential));
}

#[test]
fn fault_27_the_message_names_what_is_missing_and_what_to_do() {
    let held = held(&[BPF]);
    let text = explain(&held, &held.lacks(DEBIAN_12)).unwrap();
    let start = "sonde needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) to load its kernel \
                 programs; missing: CAP_PERFMON. Run it as root";
    assert!(text.starts_with(start), "{text}");
    assert_eq!(explain(&everything(), &everything().lacks(DEBIAN_12)), None);
}

#[test]
fn fault_27_capabilities_of_a_user_namespace_do_not_count() {
    let rootless = Held {
        in_user_namespace: true,
        ..everything()
    };
    let lacks = rootless.lacks(DEBIAN_12);
    assert_eq!(lacks[0].missing, [BPF, PERFMON]);
    assert!(
        explain(&rootless, &lacks)
            .unwrap()
            .contains("user namespace")
    );
    assert!(is_initial_namespace("         0          0 4294967295\n"));
    assert!(!is_initial_namespace("         0     100000      65536\n"));
}

#[test]
fn what_this_thread_holds_is_its_effective_set() {
    let read = || {
        drop_to(&CapabilitySet::from([SYS_PTRACE])).unwrap();
        let held = Held::read(Path::new("/proc")).unwrap();
        assert_eq!(held.effective, caps::read(None, CapSet::Effective).unwrap());
        assert!(held.lacks(DEBIAN_12)[0].need.essential);
    };
    thread::spawn(read).join().unwrap();
}

#[test]
fn after_attaching_only_what_later_work_needs_is_kept() {
    let kept = needed_after_attach;
    let reading = CapabilitySet::from([SYS_PTRACE, DAC_READ_SEARCH]);
    assert_eq!(kept(&everything(), DEBIAN_12), reading);
    let with = |more: &[Capability]| {
        reading
            .iter()
            .chain(more)
            .copied()
            .collect::<CapabilitySet>()
    };
    assert_eq!(kept(&everything(), DEBIAN_11), with(&[BPF]));
    assert_eq!(
        kept(&everything(), KernelVersion::new(5, 7, 0)),
        with(&[SYS_ADMIN])
    );
    assert_eq!(
        kept(&held(&[SYS_ADMIN]), DEBIAN_11),
        CapabilitySet::from([SYS_ADMIN])
    );
    assert!(kept(&held(&[]), DEBIAN_11).is_empty());
}

#[test]
fn the_thread_that_attaches_uprobes_keeps_what_that_takes() {
    let kept = |kernel, way| needed_to_attach_uprobes(&everything(), kernel, way);
    let reading = [SYS_PTRACE, DAC_READ_SEARCH, CHECKPOINT_RESTORE];
    let debian_13 = KernelVersion::new(6, 12, 0);
    assert_eq!(
        kept(debian_13, Way::Links),
        CapabilitySet::from(reading),
        "links take none"
    );
    let sysfs = Path::new("/sys");
    let Ok(pmu) = Pmu::read(sysfs) else {
        eprintln!("SKIPPED: no uprobes on this host");
        return;
    };
    let more = [SYS_ADMIN, PERFMON];
    let expected: CapabilitySet = reading.into_iter().chain(more).collect();
    assert_eq!(kept(DEBIAN_12, Way::PerfEvents(pmu)), expected);
    let nobody = needed_to_attach_uprobes(&held(&[]), DEBIAN_12, Way::PerfEvents(pmu));
    assert!(nobody.is_empty());
}

#[test]
fn dropped_capabilities_are_gone_from_every_set() {
    let check = || {
        let before = caps::read(None, CapSet::Permitted).unwrap();
        let kept = CapabilitySet::from([SYS_PTRACE]);
        let dropped = drop_to(&kept).unwrap();
        let expected: CapabilitySet = before.intersection(&kept).copied().collect();
        assert_eq!(caps::read(None, CapSet::Permitted).unwrap(), expected);
        assert_eq!(caps::read(None, CapSet::Effective).unwrap(), expected);
        assert!(caps::read(None, CapSet::Inheritable).unwrap().is_empty());
        assert!(caps::read(None, CapSet::Ambient).unwrap().is_empty());
        assert_eq!(
            dropped.capabilities,
            before.difference(&kept).copied().collect()
        );
        assert_eq!(dropped.bounding, before.contains(&Capability::CAP_SETPCAP));
        if dropped.bounding {
            assert!(
                caps::read(None, CapSet::Bounding)
                    .unwrap()
                    .is_subset(&expected)
            );
        }
        // Once more changes nothing, and a child has no more than its parent.
        assert!(drop_to(&kept).unwrap().capabilities.is_empty());
        let child = thread::spawn(|| caps::read(None, CapSet::Permitted).unwrap());
        assert_eq!(child.join().unwrap(), expected);
    };
    thread::spawn(check).join().unwrap();
}

#[test]
fn threads_that_kept_more_are_found() {
    let own = || {
        let id = nix::unistd::gettid().as_raw().cast_unsigned();
        let permitted = caps::read(None, CapSet::Permitted).unwrap();
        let found = threads_beyond(&CapabilitySet::new(), Path::new("/proc")).unwrap();
        assert_eq!(found.contains(&id), !permitted.is_empty());
        drop_to(&CapabilitySet::new()).unwrap();
        let found = threads_beyond(&CapabilitySet::new(), Path::new("/proc")).unwrap();
        assert!(!found.contains(&id));
    };
    thread::spawn(own).join().unwrap();
    assert_eq!(
        permitted("Name:\tx\nCapPrm:\t00000000a80425fb\n"),
        Some(0xa804_25fb)
    );
    assert_eq!(permitted("CapPrm:\tno\n"), None);
}
