//! Bytes and operations by disk.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    super::{
        Root,
        read::{self, Skipped},
    },
    descriptors as metric,
    file::Files,
    hierarchy::{Controller, Version},
    report::Report,
};

/// More disks than this of one cgroup are left out and counted.
const MAX_DISKS: usize = 64;

/// Names of the host's disks by device number (`8:0`).
#[derive(Debug, Default)]
pub(super) struct Disks(HashMap<String, String>);

impl Disks {
    /// From `/proc/diskstats`; empty where it can't be read, and then the numbers stand.
    pub(super) fn read(root: &Root, skipped: &mut Skipped) -> Self {
        let text = skipped.or_skip(read::text(&root.procfs.join("diskstats")));
        let lines = text.iter().flat_map(|text| text.lines());
        // A name that stands twice would make one series of two disks.
        let mut used = HashSet::new();
        let names = lines.filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let (major, minor) = (fields.next()?, fields.next()?);
            let name = fields.next().filter(|name| used.insert(*name))?;
            Some((format!("{major}:{minor}"), name.to_owned()))
        });
        Self(names.collect())
    }

    fn name<'a>(&'a self, number: &'a str) -> &'a str {
        self.0.get(number).map_or(number, String::as_str)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traffic {
    read_bytes: Option<u64>,
    written_bytes: Option<u64>,
    reads: Option<u64>,
    writes: Option<u64>,
}

/// Traffic by device number.
#[derive(Debug, Default)]
pub(super) struct Io(BTreeMap<String, Traffic>);

impl Io {
    pub(super) fn read(files: &mut Files<'_>) -> Self {
        match files.version(Controller::Io) {
            Some(Version::V2) => Self::v2(files),
            Some(Version::V1) => Self::v1(files),
            None => Self::default(),
        }
    }

    /// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`, with more behind that where
    /// iocost or iolatency are on. Some kernels (5.15) leave the newline out behind devices that
    /// have nothing to tell: `7:1 7:0 8:0 rbytes=1`.
    fn v2(files: &mut Files<'_>) -> Self {
        let text = files.long_text(Controller::Io, "io.stat");
        Self::parse_v2(text.as_deref().unwrap_or_default(), files.skipped)
    }

    fn parse_v2(text: &str, skipped: &mut Skipped) -> Self {
        let mut io = Self::default();
        for line in text.lines() {
            let mut device = None;
            for word in line.split_ascii_whitespace() {
                let Some((name, value)) = word.split_once('=') else {
                    device = Some(word);
                    continue;
                };
                let Some(traffic) = device.and_then(|device| io.disk(device, skipped)) else {
                    break;
                };
                let slot = match name {
                    "rbytes" => &mut traffic.read_bytes,
                    "wbytes" => &mut traffic.written_bytes,
                    "rios" => &mut traffic.reads,
                    "wios" => &mut traffic.writes,
                    _ => continue,
                };
                *slot = value.parse().ok();
                if slot.is_none() {
                    skipped.one();
                }
            }
        }
        io
    }

    /// What the throttling layer counts, which is all of it, whatever the scheduler.
    fn v1(files: &mut Files<'_>) -> Self {
        let mut io = Self::default();
        io.v1_file(files, "io_service_bytes", |traffic| {
            [&mut traffic.read_bytes, &mut traffic.written_bytes]
        });
        io.v1_file(files, "io_serviced", |traffic| {
            [&mut traffic.reads, &mut traffic.writes]
        });
        io
    }

    /// `8:0 Read 1`, `8:0 Write 2` and others, then `Total 3`.
    fn v1_file(
        &mut self,
        files: &mut Files<'_>,
        name: &str,
        slots: impl Fn(&mut Traffic) -> [&mut Option<u64>; 2],
    ) {
        // With the children's, where the kernel is new enough (5.4) to have that.
        let names = ["_recursive", ""].map(|end| format!("blkio.throttle.{name}{end}"));
        let text = names
            .iter()
            .find_map(|name| files.long_text(Controller::Io, name));
        for line in text.iter().flat_map(|text| text.lines()) {
            let mut fields = line.split_ascii_whitespace();
            let (device, operation, value) = (fields.next(), fields.next(), fields.next());
            let (Some(device), Some(operation), Some(value)) = (device, operation, value) else {
                continue;
            };
            let Some(traffic) = self.disk(device, files.skipped) else {
                continue;
            };
            let [read, written] = slots(traffic);
            match operation {
                "Read" => *read = files.parse(value),
                "Write" => *written = files.parse(value),
                _ => {}
            }
        }
    }

    /// Where a device's traffic is kept; `None` for what is no device number, or one too many.
    fn disk(&mut self, device: &str, skipped: &mut Skipped) -> Option<&mut Traffic> {
        let is_number = device
            .split_once(':')
            .is_some_and(|pair| [pair.0, pair.1].iter().all(|it| it.parse::<u32>().is_ok()));
        let is_room = self.0.len() < MAX_DISKS || self.0.contains_key(device);
        if is_number && is_room {
            return Some(self.0.entry(device.to_owned()).or_default());
        }
        skipped.one();
        None
    }

    pub(super) fn raw(&self, disks: &Disks, report: &mut Report<'_>) {
        for (number, traffic) in &self.0 {
            let device = disks.name(number);
            for (direction, bytes, operations) in [
                ("read", traffic.read_bytes, traffic.reads),
                ("write", traffic.written_bytes, traffic.writes),
            ] {
                let attributes = || {
                    [
                        ("disk.io.direction", direction.into()),
                        ("system.device", device.into()),
                    ]
                };
                report.count(&metric::DISK_IO, attributes(), bytes);
                report.count(&metric::DISK_OPERATIONS, attributes(), operations);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Vec<(String, Traffic)>, u64) {
        let mut skipped = Skipped::default();
        let io = Io::parse_v2(text, &mut skipped);
        (io.0.into_iter().collect(), skipped.count())
    }

    #[test]
    fn a_device_without_traffic_may_lack_its_newline() {
        let text = "7:1 7:0 8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n7:2 \n";
        let traffic = Traffic {
            read_bytes: Some(1),
            written_bytes: Some(2),
            reads: Some(3),
            writes: Some(4),
        };
        assert_eq!(parse(text), (vec![("8:0".to_owned(), traffic)], 0));
    }

    #[test]
    fn what_a_cost_model_adds_is_read_over() {
        let text = "8:0 rbytes=1 cost.usage=7 cost.wait=9 use_delay=0 delay_nsec=0\n";
        let (disks, skipped) = parse(text);
        assert_eq!((disks.len(), skipped), (1, 0));
    }

    #[test]
    fn fault_22_disks_over_the_cap_are_counted() {
        let lines: Vec<_> = (0..70).map(|minor| format!("8:{minor} rbytes=1")).collect();
        let text = lines.join("\n");
        let (disks, skipped) = parse(&text);
        assert_eq!((disks.len(), skipped), (MAX_DISKS, 6));
    }

    #[test]
    fn a_name_that_stands_twice_is_no_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = "8 0 sda 1 2\n8 16 sda 1 2\nx\n";
        std::fs::write(directory.path().join("diskstats"), text).expect("a file");
        let root = Root {
            procfs: directory.path().to_owned(),
            ..Root::default()
        };
        let disks = Disks::read(&root, &mut Skipped::default());
        let names = ["8:0", "8:16", "9:0"].map(|number| disks.name(number));
        assert_eq!(names, ["sda", "8:16", "9:0"]);
    }
}
