//! With a library of our own making: answers, silence, and hosts that have none.

use std::{collections::BTreeSet, fs, path::Path, process::Command, sync::Arc, time::SystemTime};

use super::*;
use crate::{
    metric::{Attributes, Collector, Resource as Owner, Snapshot, Value},
    resource::{SATURATION, USE_ERRORS, UTILIZATION as SHARE},
};

const FIRST: &str = "GPU-00000000-1111-2222-3333-444444444444";
const SECOND: &str = "GPU-00000001-1111-2222-3333-444444444444";

/// A host with the driver loaded, and `fake_nvml.c` compiled with `option`.
struct Host {
    directory: tempfile::TempDir,
    gpu: Gpu,
}

impl Host {
    fn new(option: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src/resource/hardware/gpu/fake_nvml.c");
        let library = directory.path().join(LIBRARY);
        let compiled = Command::new("gcc")
            .args(["-shared", "-fPIC", "-w", option, "-o"])
            .args([&library, &source])
            .status();
        assert!(compiled.expect("gcc is there").success());
        let driver = directory.path().join("driver/nvidia");
        fs::create_dir_all(&driver).expect("a directory");
        fs::write(driver.join("version"), "NVRM version: 550.54.14\n").expect("a file");
        Self {
            gpu: Gpu::new(library),
            directory,
        }
    }

    fn sample(&mut self, now: Instant) -> Result<Option<Use>, Error> {
        let root = Root {
            procfs: self.directory.path().to_owned(),
            ..Root::default()
        };
        self.gpu.sample(&root, now)
    }

    /// The first answer: the library takes its time to open on a busy machine.
    fn first_answer(&mut self, now: Instant) -> Use {
        let deadline = Instant::now() + Duration::from_mins(1);
        while Instant::now() < deadline {
            if let Some(report) = self.sample(now).expect("it is opening") {
                return report;
            }
        }
        panic!("the library does not open");
    }
}

fn snapshot(report: Use) -> Snapshot {
    let host = Arc::new(Owner {
        attributes: Attributes::none(),
        identity: Attributes::none(),
    });
    let mut collector = Collector::new(host, SystemTime::UNIX_EPOCH);
    report.collect(None, &mut collector);
    collector.finish(SystemTime::UNIX_EPOCH)
}

/// The value of the series of `metric` that has these attributes.
fn value(snapshot: &Snapshot, metric: &Descriptor, attributes: &[(&str, &str)]) -> Option<f64> {
    let mut families = snapshot.families.iter();
    let family = families.find(|family| family.descriptor == metric)?;
    let has = |found: &Attributes| {
        let mut wanted = attributes.iter();
        wanted.all(|(name, value)| found.get(name).is_some_and(|it| it.to_string() == *value))
    };
    let point = family.points.iter().find(|point| has(&point.attributes))?;
    match point.value {
        Value::Integer(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        Value::Histogram(_) => None,
    }
}

#[test]
fn a_gpu_tells_what_its_library_does() {
    let mut host = Host::new("-DALL");
    let now = Instant::now();
    host.first_answer(now);
    let report = host.sample(now + Duration::from_secs(10));
    let report = report.expect("an answer").expect("a GPU");
    // The third one has fallen off the bus.
    assert_eq!(report.skipped(), 1);
    let snapshot = snapshot(report);
    let expected: [(_, &[(&str, &str)], _); _] = [
        (&UTILIZATION, &[("hw.gpu.task", "general")], 0.75),
        (&UTILIZATION, &[("hw.gpu.task", "decoder")], 0.1),
        (&MEMORY_UTILIZATION, &[], 0.25),
        (&TEMPERATURE, &[("hw.name", "NVIDIA H100 80GB HBM3")], 61.0),
        (
            &TEMPERATURE_LIMIT,
            &[("hw.limit_type", "high.critical")],
            95.0,
        ),
        (&TEMPERATURE_LIMIT, &[("hw.limit_type", "throttled")], 87.0),
        (&POWER, &[("hw.type", "gpu")], 350.0),
        (&POWER_LIMIT, &[], 700.0),
        (&ERRORS, &[("error.type", "corrected")], 12.0),
    ];
    for (metric, attributes, expected) in expected {
        let attributes = [attributes, &[("hw.id", FIRST)]].concat();
        let measured = value(&snapshot, metric, &attributes);
        assert_eq!(measured, Some(expected), "{} {attributes:?}", metric.name);
    }
    let of = |metric, signal| value(&snapshot, metric, &[("device", FIRST), ("signal", signal)]);
    assert_eq!(value(&snapshot, &SHARE, &[("device", FIRST)]), Some(0.75));
    // 2.5 s of the ten.
    assert_eq!(of(&SATURATION, "power_throttled_share"), Some(0.25));
    assert_eq!(of(&SATURATION, "thermal_throttled_share"), Some(0.0));
    assert_eq!(of(&USE_ERRORS, "ecc_uncorrected"), Some(1.0));
    assert_eq!(of(&USE_ERRORS, "pcie_replay"), Some(4.0));
}

#[test]
fn what_a_gpu_does_not_support_is_absent() {
    let mut host = Host::new("-DALL");
    let report = host.first_answer(Instant::now());
    let snapshot = snapshot(report);
    assert_eq!(value(&snapshot, &SHARE, &[("device", SECOND)]), Some(0.0));
    let id = [("hw.id", SECOND)];
    assert_eq!(value(&snapshot, &TEMPERATURE, &id), Some(61.0));
    for metric in [&POWER, &ENERGY, &ERRORS, &MEMORY_USAGE, &HELD_BACK] {
        assert_eq!(value(&snapshot, metric, &id), None, "{}", metric.name);
    }
}

#[test]
fn the_registration_names_exactly_what_is_reported() {
    let mut host = Host::new("-DALL");
    let now = Instant::now();
    host.first_answer(now);
    let report = host.sample(now + Duration::from_secs(10));
    let snapshot = snapshot(report.expect("an answer").expect("a GPU"));
    let method = [&SHARE, &SATURATION, &USE_ERRORS];
    let families = snapshot.families.iter().map(|family| family.descriptor);
    let raw = families.filter(|metric| !method.contains(metric));
    let registered = REGISTRATION.metrics.iter().map(|metric| metric.name);
    assert_eq!(
        raw.map(|metric| metric.name).collect::<BTreeSet<_>>(),
        registered.collect()
    );
    for signal in REGISTRATION.saturation {
        let found = value(&snapshot, &SATURATION, &[("signal", signal.name)]);
        assert!(found.is_some(), "{}", signal.name);
    }
    for signal in REGISTRATION.errors {
        let found = value(&snapshot, &USE_ERRORS, &[("signal", signal.name)]);
        assert!(found.is_some(), "{}", signal.name);
    }
}

#[test]
fn without_the_driver_nothing_is_opened() {
    let mut host = Host::new("-DALL");
    fs::remove_dir_all(host.directory.path().join("driver")).expect("a directory");
    assert!(matches!(host.sample(Instant::now()), Ok(None)));
    assert!(host.gpu.library.is_none() && host.gpu.retry.is_none());
}

/// The driver without its library, and a library that the driver refuses.
#[test]
fn a_library_that_cannot_be_used_is_tried_again_after_minutes_only() {
    let mut missing = Host::new("-DALL");
    missing.gpu = Gpu::new("/nonexistent/libnvidia-ml.so.1");
    for mut host in [missing, Host::new("-DNO_DRIVER")] {
        let now = Instant::now();
        let deadline = now + Duration::from_mins(1);
        while host.gpu.library.is_some() || host.gpu.retry.is_none() {
            assert!(matches!(host.sample(now), Ok(None)));
            assert!(Instant::now() < deadline, "the library isn't given up");
        }
        let retry = host.gpu.retry;
        assert!(matches!(host.sample(now + RETRY / 2), Ok(None)));
        assert_eq!(host.gpu.retry, retry, "not opened again");
        assert!(matches!(host.sample(now + RETRY), Ok(None)));
        assert_ne!(host.gpu.retry, retry, "opened again");
    }
}

#[test]
fn fault_28_a_driver_that_hangs_holds_no_snapshot_up() {
    let mut host = Host::new("-DHANGS");
    let now = Instant::now();
    host.first_answer(now);
    for _ in 0..3 {
        let before = Instant::now();
        let result = host.sample(now + Duration::from_secs(10));
        assert!(matches!(result, Err(Error::NoAnswer { .. })), "{result:?}");
        assert!(before.elapsed() < Duration::from_secs(30), "it waited");
    }
}
