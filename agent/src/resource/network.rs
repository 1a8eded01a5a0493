//! Network interfaces: traffic against the link's speed, drops, errors, and the backlog of the
//! receive softirq.

use std::{collections::BTreeMap, time::Instant};

use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    method::{Signal, counter, gauge},
    read::{self, Skipped},
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "network";

static IO: Descriptor = counter(
    "system.network.io",
    "Bytes received and sent (/proc/net/dev, bytes)",
    Unit::Bytes,
);
static PACKETS: Descriptor = counter(
    "system.network.packet.count",
    "Packets received and sent (/proc/net/dev, packets)",
    Unit::Count("{packet}"),
);
static DROPPED: Descriptor = counter(
    "system.network.packet.dropped",
    "Packets dropped though there was no error in them (/proc/net/dev, drop)",
    Unit::Count("{packet}"),
);
static ERRORS: Descriptor = counter(
    "system.network.errors",
    "Errors on receiving and sending (/proc/net/dev, errs)",
    Unit::Count("{error}"),
);
static SPEED: Descriptor = gauge(
    "system.network.speed",
    "Bytes per second that the link can carry one way (/sys/class/net/*/speed)",
    Unit::Bytes,
);
static SOFTNET_PROCESSED: Descriptor = counter(
    "system.network.softnet.processed",
    "Packets that the receive softirq has handled (/proc/net/softnet_stat, column 1)",
    Unit::Count("{packet}"),
);
static SOFTNET_DROPPED: Descriptor = counter(
    "system.network.softnet.dropped",
    "Packets dropped because the CPU's backlog was full (/proc/net/softnet_stat, column 2)",
    Unit::Count("{packet}"),
);
static SOFTNET_SQUEEZED: Descriptor = counter(
    "system.network.softnet.squeezed",
    "Times the receive softirq stopped with work left (/proc/net/softnet_stat, column 3)",
    Unit::Count("{event}"),
);

static RECEIVE_DROP: Signal = Signal {
    name: "receive_drop_rate",
    help: "Packets that were received and dropped (/proc/net/dev, receive drop)",
};
static TRANSMIT_DROP: Signal = Signal {
    name: "transmit_drop_rate",
    help: "Packets that were to be sent and dropped (/proc/net/dev, transmit drop)",
};
static SQUEEZE: Signal = Signal {
    name: "softnet_squeeze_rate",
    help: "Times the receive softirq stopped with work left (/proc/net/softnet_stat, column 3)",
};
static BACKLOG_DROP: Signal = Signal {
    name: "softnet_drop_rate",
    help: "Packets dropped because a CPU's backlog was full (/proc/net/softnet_stat, column 2)",
};
static BACKLOG: Signal = Signal {
    name: "softnet_backlog_length",
    help: "Packets in all CPUs' backlogs at the moment of the snapshot (/proc/net/softnet_stat, column 12)",
};
static RECEIVE_ERROR: Signal = Signal {
    name: "receive_error",
    help: "Errors on receiving (/proc/net/dev, receive errs)",
};
static TRANSMIT_ERROR: Signal = Signal {
    name: "transmit_error",
    help: "Errors on sending (/proc/net/dev, transmit errs)",
};

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[
        &IO,
        &PACKETS,
        &DROPPED,
        &ERRORS,
        &SPEED,
        &SOFTNET_PROCESSED,
        &SOFTNET_DROPPED,
        &SOFTNET_SQUEEZED,
    ],
    saturation: &[
        &RECEIVE_DROP,
        &TRANSMIT_DROP,
        &SQUEEZE,
        &BACKLOG_DROP,
        &BACKLOG,
    ],
    errors: &[&RECEIVE_ERROR, &TRANSMIT_ERROR],
    open: || Box::<Network>::default(),
};

/// One direction of an interface.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    bytes: u64,
    packets: u64,
    errors: u64,
    dropped: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Device {
    receive: Traffic,
    transmit: Traffic,
}

/// Counters of `/proc/net/softnet_stat`, which has 32 bits and one line for each CPU. At a
/// million packets a second they wrap in an hour, so they are carried on in 64 bits.
#[derive(Clone, Copy, Debug, Default)]
struct Softnet {
    processed: u64,
    dropped: u64,
    squeezed: u64,
}

#[derive(Debug, Default)]
struct Sample {
    devices: BTreeMap<String, Device>,
    softnet: BTreeMap<u32, Softnet>,
    backlog: Option<u64>,
}

impl Sample {
    fn softnet(&self, counter: impl Fn(&Softnet) -> u64) -> Option<u64> {
        self.softnet
            .values()
            .map(counter)
            .reduce(u64::saturating_add)
    }
}

#[derive(Debug, Default)]
struct Network {
    last: Option<Timed<Sample>>,
}

impl Resource for Network {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let path = read::net(root, "dev");
        let Some(text) = read::text(&path)? else {
            return Ok(None);
        };
        let mut sample = Sample {
            devices: parse_devices(&text, &mut report.skipped),
            ..Sample::default()
        };
        if sample.devices.is_empty() {
            return Err(read::malformed(&path, "statistics of any interface"));
        }
        let softnet = read::text(&read::net(root, "softnet_stat"));
        if let Some(text) = report.skipped.or_skip(softnet) {
            let last = self.last.as_ref().map(|last| &last.value.softnet);
            sample.read_softnet(&text, last, &mut report.skipped);
        }
        let now = Timed {
            at: now,
            value: sample,
        };
        raw(&now.value, &mut report);
        let interval = Interval::between(self.last.as_ref(), &now);
        for (name, device) in &now.value.devices {
            let interval = interval
                .as_ref()
                .and_then(|interval| interval.part(|sample| sample.devices.get(name)));
            usage(name, device, interval.as_ref(), root, &mut report);
        }
        softirq(&now.value, interval.as_ref(), &mut report);
        self.last = Some(now);
        Ok(Some(report))
    }
}

fn parse_devices(text: &str, skipped: &mut Skipped) -> BTreeMap<String, Device> {
    const HEADINGS: usize = 2;
    let devices = skipped.lines(text.lines().skip(HEADINGS), |line| {
        let (name, fields) = line.rsplit_once(':')?;
        let name = name.trim();
        let fields = read::numbers::<16>(fields)?;
        let direction = |first: usize| Traffic {
            bytes: fields[first],
            packets: fields[first + 1],
            errors: fields[first + 2],
            dropped: fields[first + 3],
        };
        let device = Device {
            receive: direction(0),
            transmit: direction(8),
        };
        (!name.is_empty()).then(|| (name.to_owned(), device))
    });
    devices.into_iter().collect()
}

impl Sample {
    fn read_softnet(
        &mut self,
        text: &str,
        last: Option<&BTreeMap<u32, Softnet>>,
        skipped: &mut Skipped,
    ) {
        for (line, number) in text.lines().zip(0..) {
            let Some(fields) = hexadecimal(line) else {
                skipped.one();
                continue;
            };
            let field = |column: usize| fields.get(column).copied();
            let [Some(processed), Some(dropped), Some(squeezed)] = [0, 1, 2].map(field) else {
                skipped.one();
                continue;
            };
            // Offline CPUs have no line; since 5.10 each line says whose it is.
            let cpu = field(12).unwrap_or(number);
            let last = last.and_then(|last| last.get(&cpu)).copied();
            let carried =
                |now, counter: fn(&Softnet) -> u64| carry(last.as_ref().map(counter), now);
            let softnet = Softnet {
                processed: carried(processed, |softnet| softnet.processed),
                dropped: carried(dropped, |softnet| softnet.dropped),
                squeezed: carried(squeezed, |softnet| softnet.squeezed),
            };
            self.softnet.insert(cpu, softnet);
            if let Some(backlog) = field(11) {
                *self.backlog.get_or_insert(0) += u64::from(backlog);
            }
        }
    }
}

fn hexadecimal(line: &str) -> Option<Vec<u32>> {
    line.split_ascii_whitespace()
        .map(|field| u32::from_str_radix(field, 16).ok())
        .collect()
}

/// The 64-bit value whose low half is `now`, the next one from `last` on.
fn carry(last: Option<u64>, now: u32) -> u64 {
    const LOW: u64 = u32::MAX as u64;
    match last {
        None => now.into(),
        Some(last) => {
            let step = u64::from(now).wrapping_sub(last) & LOW;
            last.saturating_add(step)
        }
    }
}

fn raw(sample: &Sample, report: &mut Use) {
    for (name, device) in &sample.devices {
        for (direction, traffic) in [("receive", device.receive), ("transmit", device.transmit)] {
            let attributes = || {
                [
                    ("network.interface.name", name.as_str().into()),
                    ("network.io.direction", direction.into()),
                ]
            };
            // The conventions know the interface as system.device in this one metric; with both,
            // it joins with the others.
            let with_device = attributes()
                .into_iter()
                .chain([("system.device", name.as_str().into())])
                .collect::<crate::metric::Attributes>();
            report.count(&IO, attributes(), traffic.bytes);
            report.count(&PACKETS, with_device, traffic.packets);
            report.count(&DROPPED, attributes(), traffic.dropped);
            report.count(&ERRORS, attributes(), traffic.errors);
        }
    }
}

fn usage(
    name: &str,
    now: &Device,
    interval: Option<&Interval<'_, Device>>,
    root: &Root,
    report: &mut Use,
) {
    let link = Link::read(name, root, &mut report.skipped);
    let speed = link.as_ref().map(|link| link.bytes_per_second);
    let attributes = [("network.interface.name", name.into())];
    report.measure(&SPEED, attributes, speed);
    let device = Some(name);
    report.errors(device, &RECEIVE_ERROR, now.receive.errors);
    report.errors(device, &TRANSMIT_ERROR, now.transmit.errors);
    let Some(interval) = interval else { return };
    let used = link.and_then(|link| link.utilization(interval));
    report.utilization(device, used);
    let received = interval.rate(|device| device.receive.dropped);
    report.saturation(device, &RECEIVE_DROP, received);
    let sent = interval.rate(|device| device.transmit.dropped);
    report.saturation(device, &TRANSMIT_DROP, sent);
}

/// What a link can carry.
struct Link {
    bytes_per_second: f64,
    is_half_duplex: bool,
}

impl Link {
    /// `None` where the speed is unknown (link down, most virtual machines) or made up: veth, tun
    /// and bridges report a constant. Only hardware and bonds of it are believed.
    fn read(name: &str, root: &Root, skipped: &mut Skipped) -> Option<Self> {
        const BYTES_PER_MEGABIT: f64 = 1e6 / 8.0;
        let directory = root.sysfs.join("class/net").join(name);
        if !["device", "bonding"]
            .map(|kind| directory.join(kind).exists())
            .contains(&true)
        {
            return None;
        }
        let megabits = match read::number::<i64>(&directory.join("speed")) {
            // A link that is down answers with EINVAL, or with -1; both say "unknown".
            Err(Error::Read { .. }) => None,
            answer => skipped.or_skip(answer),
        }?;
        let megabits = u32::try_from(megabits).ok().filter(|speed| *speed > 0)?;
        // As the speed, EINVAL on some drivers.
        let duplex = read::text(&directory.join("duplex")).ok().flatten();
        Some(Self {
            bytes_per_second: f64::from(megabits) * BYTES_PER_MEGABIT,
            is_half_duplex: duplex.is_some_and(|duplex| duplex.trim() == "half"),
        })
    }

    fn utilization(&self, interval: &Interval<'_, Device>) -> Option<f64> {
        let received = interval.share(self.bytes_per_second, |device| device.receive.bytes)?;
        let sent = interval.share(self.bytes_per_second, |device| device.transmit.bytes)?;
        Some(if self.is_half_duplex {
            (received + sent).min(1.0)
        } else {
            received.max(sent)
        })
    }
}

fn softirq(sample: &Sample, interval: Option<&Interval<'_, Sample>>, report: &mut Use) {
    let processed = sample.softnet(|softnet| softnet.processed);
    report.count(&SOFTNET_PROCESSED, [], processed);
    let dropped = sample.softnet(|softnet| softnet.dropped);
    report.count(&SOFTNET_DROPPED, [], dropped);
    let squeezed = sample.softnet(|softnet| softnet.squeezed);
    report.count(&SOFTNET_SQUEEZED, [], squeezed);
    report.saturation(None, &BACKLOG, sample.backlog.map(|length| length as f64));
    let Some(interval) = interval else { return };
    let squeezed = interval.rate(|sample| sample.softnet(|softnet| softnet.squeezed));
    report.saturation(None, &SQUEEZE, squeezed);
    let dropped = interval.rate(|sample| sample.softnet(|softnet| softnet.dropped));
    report.saturation(None, &BACKLOG_DROP, dropped);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_32_bit_counter_is_carried_over_its_wrap() {
        assert_eq!(carry(None, 7), 7);
        assert_eq!(carry(Some(0xffff_fff0), 0x10), 0x1_0000_0010);
        assert_eq!(carry(Some(0x3_0000_0010), 0x20), 0x3_0000_0020);
        assert_eq!(carry(Some(5), 5), 5);
    }

    #[test]
    fn softnet_lines_belong_to_the_cpu_that_they_name() {
        let mut sample = Sample::default();
        let mut skipped = Skipped::default();
        let text = "0a 00 00 0 0 0 0 0 0 0 0 3 0 0 0\n0b 01 02 0 0 0 0 0 0 0 0 4 2 0 0\nzz\n";
        sample.read_softnet(text, None, &mut skipped);
        assert_eq!(sample.softnet.keys().copied().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(sample.backlog, Some(7));
        assert_eq!(sample.softnet(|softnet| softnet.processed), Some(21));
        assert_eq!(skipped.count(), 1);
    }
}
