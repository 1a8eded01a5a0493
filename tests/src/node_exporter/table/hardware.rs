//! Sensors and meters.

use crate::node_exporter::row::{Collector, Row};

pub(super) const COLLECTORS: &[Collector] = &[
    Collector {
        name: "hwmon",
        rows: &[
            Row::other("node_hwmon_temp_celsius", &["hw_temperature_celsius"], ""),
            Row::other(
                "node_hwmon_temp_max_celsius",
                &["hw_temperature_limit_celsius"],
                "by what happens at it",
            ),
            Row::other(
                "node_hwmon_temp_crit_celsius",
                &["hw_temperature_limit_celsius", "use_utilization_ratio"],
                "by what happens at it, and the temperature as a share of it",
            ),
            Row::other(
                "node_hwmon_temp_crit_alarm_celsius",
                &["hw_status", "use_errors_total"],
                "`signal=\"critical_temperature\"`",
            ),
            Row::other(
                "node_hwmon_power_*",
                &["hw_power_watts", "hw_power_limit_watts"],
                "",
            ),
            Row::other(
                "node_hwmon_energy_joule_total",
                &["hw_energy_joules_total"],
                "",
            ),
            Row::no(
                "node_hwmon_*",
                "voltages, currents and fans under their drivers' names: what they lead to is a temperature or a failed part",
            ),
        ],
    },
    Collector {
        name: "thermal_zone",
        rows: &[
            Row::other("node_thermal_zone_temp", &["hw_temperature_celsius"], ""),
            Row::other(
                "node_cooling_device_cur_state",
                &["system_thermal_cooling_state"],
                "",
            ),
            Row::other(
                "node_cooling_device_max_state",
                &["system_thermal_cooling_limit"],
                "",
            ),
        ],
    },
    Collector {
        name: "rapl",
        rows: &[Row::other(
            "node_rapl_*",
            &["hw_energy_joules_total"],
            "overflows of the hardware's counter added; and `hw_power_watts` against `hw_power_limit_watts`",
        )],
    },
    Collector {
        name: "powersupplyclass",
        rows: &[
            Row::other(
                "node_power_supply_online",
                &["system_power_supply_online"],
                "",
            ),
            Row::other(
                "node_power_supply_capacity",
                &["hw_battery_charge_ratio"],
                "a share rather than percent",
            ),
            Row::other("node_power_supply_power_watt", &["hw_power_watts"], ""),
            Row::no(
                "node_power_supply_*",
                "identity, and charges and voltages of portable computers' batteries",
            ),
        ],
    },
];
