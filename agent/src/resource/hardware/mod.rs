//! Hardware: heat, power and graphics processors, in the conventions' `hw.*` names, where the host
//! shows them. A virtual machine mostly has none.

pub(super) mod gpu;
mod hwmon;
pub(super) mod power;
pub(super) mod thermal;

use super::{
    Use,
    method::{amount, counter, gauge},
};
use crate::metric::{AttributeValue, Attributes, Descriptor, Unit};

static TEMPERATURE: Descriptor = gauge(
    "hw.temperature",
    "Temperature (/sys/class/hwmon/*/tempN_input, /sys/class/thermal/thermal_zone*/temp; NVIDIA: NVML)",
    Unit::Celsius,
);
static TEMPERATURE_LIMIT: Descriptor = gauge(
    "hw.temperature.limit",
    "Temperature at which the part is slowed down (throttled), too hot (high.degraded) or switched off (high.critical) (tempN_max and tempN_crit; trip points passive, hot and critical; NVIDIA: NVML)",
    Unit::Celsius,
);
static STATUS: Descriptor = amount(
    "hw.status",
    "1 for the component's present state, 0 for its others (hwmon: tempN_fault, tempN_crit_alarm, else the temperature against its critical limit; batteries: /sys/class/power_supply/*/status and health)",
    Unit::None,
);
static ENERGY: Descriptor = counter(
    "hw.energy",
    "Energy used, overflows of the hardware's counter added (/sys/class/powercap/*/energy_uj, /sys/class/hwmon/*/energyN_input; NVIDIA: NVML, since the driver was loaded)",
    Unit::Joules,
);
static POWER: Descriptor = gauge(
    "hw.power",
    "Power drawn: measured (/sys/class/hwmon/*/powerN_input or powerN_average, /sys/class/power_supply/*/power_now; NVIDIA: NVML), or energy used since the last snapshot (/sys/class/powercap)",
    Unit::Watts,
);
static POWER_LIMIT: Descriptor = gauge(
    "hw.power.limit",
    "Power at which the part is slowed down (throttled), for a short time (turbo), or that it must never reach (max, critical) (/sys/class/powercap/*/constraint_N_power_limit_uw, /sys/class/hwmon/*/powerN_cap, powerN_max, powerN_crit; NVIDIA: NVML)",
    Unit::Watts,
);

/// A part of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Component {
    /// `hw.id`: unique on the host.
    id: String,
    /// `hw.name`: what people call it.
    name: String,
    /// `hw.type`, where it is known.
    kind: Option<&'static str>,
}

impl Component {
    fn attributes<const N: usize>(&self, more: [(&'static str, AttributeValue); N]) -> Attributes {
        [
            ("hw.id", self.id.as_str().into()),
            ("hw.name", self.name.as_str().into()),
        ]
        .into_iter()
        .chain(self.kind.map(|kind| ("hw.type", kind.into())))
        .chain(more)
        .collect()
    }

    /// Adds its status: `present` of `states`.
    fn status(&self, states: &[&'static str], present: &str, report: &mut Use) {
        for state in states {
            let attributes = self.attributes([("hw.state", (*state).into())]);
            report.count(&STATUS, attributes, u64::from(*state == present));
        }
    }

    /// Adds a limit of some kind (`hw.limit_type`).
    fn limit(
        &self,
        metric: &'static Descriptor,
        kind: &'static str,
        value: Option<f64>,
        report: &mut Use,
    ) {
        let attributes = self.attributes([("hw.limit_type", kind.into())]);
        report.measure(metric, attributes, value);
    }
}
