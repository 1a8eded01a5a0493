//! Power: what CPUs and other parts draw, against their caps, and batteries.
//!
//! `/sys/class/powercap` (Documentation/power/powercap/powercap.rst), `/sys/class/hwmon` and
//! `/sys/class/power_supply` (Documentation/ABI/testing/sysfs-class-power).

mod meter;
mod rapl;
mod supply;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    super::{
        Error, Registration, Resource, Root, Use,
        method::{Signal, gauge},
    },
    ENERGY, POWER, POWER_LIMIT, STATUS,
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "power";
/// A meter behind a slow bus may take its time; what isn't read by then is left out and counted.
const BUDGET: Duration = Duration::from_millis(500);
/// Most zones, and most supplies, that are looked at.
const MAX_ENTRIES: usize = 256;
const MICRO: f64 = 1e6;

static CHARGE: Descriptor = gauge(
    "hw.battery.charge",
    "Share of the battery's charge that is left (/sys/class/power_supply/*/capacity)",
    Unit::Ratio,
);
static ONLINE: Descriptor = gauge(
    "system.power.supply.online",
    "1 if the supply gives power, 0 if it does not (/sys/class/power_supply/*/online)",
    Unit::None,
);

static CAPPED: Signal = Signal {
    name: "power_cap_length",
    help: "1 while a meter says that its part draws as much as it may (/sys/class/hwmon/*/powerN_cap_alarm)",
};
static UNHEALTHY: Signal = Signal {
    name: "unhealthy",
    help: "Snapshots since the agent's start in which a battery's health was neither Good nor Unknown (/sys/class/power_supply/*/health)",
};

pub(in super::super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[&ENERGY, &POWER, &POWER_LIMIT, &CHARGE, &ONLINE, &STATUS],
    saturation: &[&CAPPED],
    errors: &[&UNHEALTHY],
    open: |_| Box::<Power>::default(),
};

#[derive(Debug, Default)]
struct Power {
    zones: HashMap<String, rapl::Account>,
    /// Snapshots in which a battery was unhealthy.
    unhealthy: HashMap<String, u64>,
}

impl Resource for Power {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        let deadline = Instant::now() + BUDGET;
        let mut report = Use::new(NAME);
        let zones = rapl::tell(root, now, &mut self.zones, &mut report);
        let supplies = supply::tell(root, &mut self.unhealthy, &mut report);
        let meters = meter::tell(root, deadline, &mut report);
        Ok((zones || supplies || meters).then_some(report))
    }
}
