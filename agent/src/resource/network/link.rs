//! Speed of a link, from `/sys/class/net`.

use super::Device;
use crate::resource::{
    Error, Root,
    interval::Interval,
    read::{self, Skipped},
};

/// What a link can carry.
pub(super) struct Link {
    pub(super) bytes_per_second: f64,
    is_half_duplex: bool,
}

impl Link {
    /// `None` where the speed is unknown (link down, most virtual machines) or made up: veth, tun
    /// and bridges report a constant. Only hardware and bonds of it are believed.
    pub(super) fn read(name: &str, root: &Root, skipped: &mut Skipped) -> Option<Self> {
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

    /// Share of the link that the traffic took; of one direction where each has its own.
    pub(super) fn utilization(&self, interval: &Interval<'_, Device>) -> Option<f64> {
        let received = interval.share(self.bytes_per_second, |device| device.receive.bytes)?;
        let sent = interval.share(self.bytes_per_second, |device| device.transmit.bytes)?;
        Some(if self.is_half_duplex {
            (received + sent).min(1.0)
        } else {
            received.max(sent)
        })
    }
}
