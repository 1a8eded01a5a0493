//! Traffic, drops and errors of an interface, `/proc/net/dev` (`dev_seq_printf_stats` in
//! `net/core/net-procfs.c`).

use std::collections::BTreeMap;

use super::{bond, link::Link};
use crate::{
    metric::{Attributes, Descriptor, Unit},
    resource::{
        Root, Use,
        interval::Interval,
        method::{Signal, counter},
        read::{self, Skipped},
    },
};

pub(super) static IO: Descriptor = counter(
    "system.network.io",
    "Bytes received and sent (/proc/net/dev, bytes)",
    Unit::Bytes,
);
pub(super) static PACKETS: Descriptor = counter(
    "system.network.packet.count",
    "Packets received and sent (/proc/net/dev, packets)",
    Unit::Count("{packet}"),
);
pub(super) static MULTICAST: Descriptor = counter(
    "system.network.packet.multicast",
    "Multicast packets received (/proc/net/dev, multicast)",
    Unit::Count("{packet}"),
);
pub(super) static DROPPED: Descriptor = counter(
    "system.network.packet.dropped",
    "Packets dropped though there was no error in them (/proc/net/dev, drop)",
    Unit::Count("{packet}"),
);
pub(super) static ERRORS: Descriptor = counter(
    "system.network.errors",
    "Errors on receiving and sending (/proc/net/dev, errs)",
    Unit::Count("{error}"),
);
pub(super) static ERROR_DETAIL: Descriptor = counter(
    "system.network.errors.detail",
    "Errors by what went wrong; drivers count some of them in system.network.errors as well (/proc/net/dev, fifo, frame, colls, carrier)",
    Unit::Count("{error}"),
);

pub(super) static RECEIVE_DROP: Signal = Signal {
    name: "receive_drop_rate",
    help: "Packets that were received and dropped (/proc/net/dev, receive drop)",
};
pub(super) static TRANSMIT_DROP: Signal = Signal {
    name: "transmit_drop_rate",
    help: "Packets that were to be sent and dropped (/proc/net/dev, transmit drop)",
};
pub(super) static RECEIVE_ERROR: Signal = Signal {
    name: "receive_error",
    help: "Errors on receiving (/proc/net/dev, receive errs)",
};
pub(super) static TRANSMIT_ERROR: Signal = Signal {
    name: "transmit_error",
    help: "Errors on sending (/proc/net/dev, transmit errs)",
};

/// One direction of an interface.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) bytes: u64,
    packets: u64,
    errors: u64,
    dropped: u64,
    /// Buffer overruns.
    fifo: u64,
}

/// The counters of one interface.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Device {
    pub(super) receive: Traffic,
    pub(super) transmit: Traffic,
    frame: u64,
    multicast: u64,
    collisions: u64,
    carrier: u64,
}

impl Device {
    /// The columns of a line behind the interface's name.
    fn parse(fields: &str) -> Option<Self> {
        let [
            receive @ ..,
            sent,
            packets,
            errors,
            dropped,
            fifo,
            collisions,
            carrier,
            _compressed,
        ] = read::numbers::<16>(fields)?;
        let transmit = Traffic {
            bytes: sent,
            packets,
            errors,
            dropped,
            fifo,
        };
        let [
            bytes,
            packets,
            errors,
            dropped,
            fifo,
            frame,
            _compressed,
            multicast,
        ] = receive;
        let receive = Traffic {
            bytes,
            packets,
            errors,
            dropped,
            fifo,
        };
        Some(Self {
            receive,
            transmit,
            frame,
            multicast,
            collisions,
            carrier,
        })
    }
}

pub(super) fn parse(text: &str, skipped: &mut Skipped) -> BTreeMap<String, Device> {
    const HEADINGS: usize = 2;
    let devices = skipped.lines(text.lines().skip(HEADINGS), |line| {
        let (name, fields) = line.rsplit_once(':')?;
        let name = name.trim();
        let device = Device::parse(fields)?;
        // No interface has a slash in its name, and it becomes part of a path.
        (!name.is_empty() && !name.contains('/')).then(|| (name.to_owned(), device))
    });
    devices.into_iter().collect()
}

pub(super) fn report(
    name: &str,
    now: &Device,
    interval: Option<&Interval<'_, Device>>,
    root: &Root,
    report: &mut Use,
) {
    raw(name, now, report);
    let link = Link::read(name, root, &mut report.skipped);
    if let Some(link) = &link {
        link.report(name, report);
        bond::report(name, root, report);
    }
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

fn raw(name: &str, device: &Device, report: &mut Use) {
    for (direction, traffic) in [("receive", device.receive), ("transmit", device.transmit)] {
        let attributes = || {
            [
                ("network.interface.name", name.into()),
                ("network.io.direction", direction.into()),
            ]
        };
        // The conventions know the interface as system.device in this one metric; with both,
        // it joins with the others.
        let with_device = attributes()
            .into_iter()
            .chain([("system.device", name.into())])
            .collect::<Attributes>();
        report.count(&IO, attributes(), traffic.bytes);
        report.count(&PACKETS, with_device, traffic.packets);
        report.count(&DROPPED, attributes(), traffic.dropped);
        report.count(&ERRORS, attributes(), traffic.errors);
    }
    let interface = [("network.interface.name", name.into())];
    report.count(&MULTICAST, interface, device.multicast);
    for (direction, kind, count) in [
        ("receive", "fifo", device.receive.fifo),
        ("receive", "frame", device.frame),
        ("transmit", "fifo", device.transmit.fifo),
        ("transmit", "collision", device.collisions),
        ("transmit", "carrier", device.carrier),
    ] {
        let attributes = [
            ("error.type", kind.into()),
            ("network.interface.name", name.into()),
            ("network.io.direction", direction.into()),
        ];
        report.count(&ERROR_DETAIL, attributes, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_taken_for_what_they_are() {
        let device = Device::parse("1 2 3 4 5 6 7 8 11 12 13 14 15 16 17 18").unwrap();
        let Device {
            receive, transmit, ..
        } = device;
        assert_eq!((receive.bytes, receive.packets), (1, 2));
        assert_eq!((receive.errors, receive.dropped, receive.fifo), (3, 4, 5));
        assert_eq!((device.frame, device.multicast), (6, 8));
        assert_eq!((transmit.bytes, transmit.packets), (11, 12));
        assert_eq!((transmit.errors, transmit.dropped), (13, 14));
        assert_eq!(transmit.fifo, 15);
        assert_eq!((device.collisions, device.carrier), (16, 17));
    }
}
