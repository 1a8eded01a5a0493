//! Network interfaces: traffic against the link's speed, drops, errors, and the backlog of the
//! receive softirq.

mod link;
mod softnet;

use std::{collections::BTreeMap, time::Instant};

use self::{link::Link, softnet::Softnet};
use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    method::{Signal, counter, gauge},
    read::{self, Skipped},
};
use crate::metric::{Attributes, Descriptor, Unit};

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
static RECEIVE_DROP: Signal = Signal {
    name: "receive_drop_rate",
    help: "Packets that were received and dropped (/proc/net/dev, receive drop)",
};
static TRANSMIT_DROP: Signal = Signal {
    name: "transmit_drop_rate",
    help: "Packets that were to be sent and dropped (/proc/net/dev, transmit drop)",
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
        &softnet::PROCESSED,
        &softnet::DROPPED,
        &softnet::SQUEEZED,
    ],
    saturation: &[
        &RECEIVE_DROP,
        &TRANSMIT_DROP,
        &softnet::SQUEEZE,
        &softnet::DROP,
        &softnet::BACKLOG,
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

#[derive(Debug, Default)]
struct Sample {
    devices: BTreeMap<String, Device>,
    softnet: Softnet,
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
        let last = self.last.as_ref().map(|last| &last.value.softnet);
        sample.softnet = Softnet::read(root, last, &mut report.skipped);
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
        let softnet = interval.and_then(|interval| interval.part(|sample| Some(&sample.softnet)));
        now.value.softnet.report(softnet.as_ref(), &mut report);
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
        // No interface has a slash in its name, and it becomes part of a path.
        (!name.is_empty() && !name.contains('/')).then(|| (name.to_owned(), device))
    });
    devices.into_iter().collect()
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
                .collect::<Attributes>();
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
