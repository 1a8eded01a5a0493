//! A link: its speed, whether it is up, how often that changed; from `/sys/class/net`
//! (Documentation/ABI/testing/sysfs-class-net).

use std::path::Path;

use super::interface::Device;
use crate::{
    metric::{Descriptor, Unit},
    resource::{
        Error, Root, Use,
        interval::Interval,
        method::{Signal, counter, gauge},
        read::{self, Skipped},
    },
};

pub(super) static SPEED: Descriptor = gauge(
    "system.network.speed",
    "Bytes per second that the link can carry one way (/sys/class/net/*/speed)",
    Unit::Bytes,
);
pub(super) static CARRIER: Descriptor = gauge(
    "system.network.carrier",
    "1 while the link of an interface that is switched on is up, else 0; hardware and bonds of it (/sys/class/net/*/carrier)",
    Unit::None,
);
pub(super) static CARRIER_CHANGES: Descriptor = counter(
    "system.network.carrier.changes",
    "Times that the link went up or down (/sys/class/net/*/carrier_changes)",
    Unit::Count("{change}"),
);
pub(super) static MTU: Descriptor = gauge(
    "system.network.mtu",
    "Largest packet that the interface sends (/sys/class/net/*/mtu)",
    Unit::Bytes,
);

pub(super) static CARRIER_LOSS: Signal = Signal {
    name: "carrier_loss",
    help: "Times that the link went down (/sys/class/net/*/carrier_down_count)",
};

/// What a link can carry, and has been through.
pub(super) struct Link {
    bytes_per_second: Option<f64>,
    is_half_duplex: bool,
    carrier: Option<u64>,
    changes: Option<u64>,
    losses: Option<u64>,
    mtu: Option<u64>,
}

impl Link {
    /// `None` for what has no link: veth, tun and bridges report a constant speed. Only hardware
    /// and bonds of it are believed.
    pub(super) fn read(name: &str, root: &Root, skipped: &mut Skipped) -> Option<Self> {
        let directory = root.sysfs.join("class/net").join(name);
        if !["device", "bonding"]
            .map(|kind| directory.join(kind).exists())
            .contains(&true)
        {
            return None;
        }
        let speed = when_up(&directory.join("speed"), skipped);
        let carrier = when_up(&directory.join("carrier"), skipped);
        let mut number = |file| skipped.or_skip(read::number::<u64>(&directory.join(file)));
        Some(Self {
            bytes_per_second: speed.and_then(bytes_per_second),
            // As the speed, EINVAL on some drivers.
            is_half_duplex: read::text(&directory.join("duplex"))
                .ok()
                .flatten()
                .is_some_and(|duplex| duplex.trim() == "half"),
            carrier: carrier.and_then(|carrier| u64::try_from(carrier).ok()),
            changes: number("carrier_changes"),
            losses: number("carrier_down_count"),
            mtu: number("mtu"),
        })
    }

    pub(super) fn report(&self, name: &str, report: &mut Use) {
        let attributes = || [("network.interface.name", name.into())];
        report.measure(&SPEED, attributes(), self.bytes_per_second);
        report.count(&CARRIER, attributes(), self.carrier);
        report.count(&CARRIER_CHANGES, attributes(), self.changes);
        report.count(&MTU, attributes(), self.mtu);
        report.errors(Some(name), &CARRIER_LOSS, self.losses);
    }

    /// Share of the link that the traffic took; of one direction where each has its own.
    pub(super) fn utilization(&self, interval: &Interval<'_, Device>) -> Option<f64> {
        let speed = self.bytes_per_second?;
        let received = interval.share(speed, |device| device.receive.bytes)?;
        let sent = interval.share(speed, |device| device.transmit.bytes)?;
        Some(if self.is_half_duplex {
            (received + sent).min(1.0)
        } else {
            received.max(sent)
        })
    }
}

/// A file that answers with EINVAL while the interface is switched off, or has no link.
fn when_up(path: &Path, skipped: &mut Skipped) -> Option<i64> {
    match read::number(path) {
        Err(Error::Read { .. }) => None,
        answer => skipped.or_skip(answer),
    }
}

/// -1 and 0 say "unknown", as most virtual machines do.
fn bytes_per_second(megabits: i64) -> Option<f64> {
    const BYTES_PER_MEGABIT: f64 = 1e6 / 8.0;
    let megabits = u32::try_from(megabits).ok().filter(|speed| *speed > 0)?;
    Some(f64::from(megabits) * BYTES_PER_MEGABIT)
}
