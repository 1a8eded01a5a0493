//! Power meters of hwmon: supplies of servers (`PMBus`), graphics cards, ACPI's.

use std::time::Instant;

use super::{
    super::{
        super::{Root, Use, read::Skipped},
        Component, ENERGY, POWER, POWER_LIMIT,
        hwmon::{Chip, Sensor},
    },
    CAPPED, MICRO,
};

/// Adds every meter; `false` where there is none.
pub(super) fn tell(root: &Root, deadline: Instant, report: &mut Use) -> bool {
    let mut any = false;
    for chip in Chip::all(root, &mut report.skipped) {
        let mut meters = chip.sensors("power", "_input", &mut report.skipped);
        let averages = chip.sensors("power", "_average", &mut report.skipped);
        for average in averages {
            if !meters.iter().any(|meter| meter.id() == average.id()) {
                meters.push(average);
            }
        }
        let energies = chip.sensors("energy", "_input", &mut report.skipped);
        for sensor in &energies {
            let energy = sensor.number("_input", &mut report.skipped);
            let joules = energy.filter(|it| *it >= 0).map(watts);
            let component = component(&chip, sensor, &mut report.skipped);
            report.measure(&ENERGY, component.attributes([]), joules);
        }
        any |= !meters.is_empty() || !energies.is_empty();
        for meter in meters {
            if Instant::now() >= deadline {
                report.skipped.one();
                return any;
            }
            power(&chip, &meter, report);
        }
    }
    any
}

fn power(chip: &Chip, meter: &Sensor<'_>, report: &mut Use) {
    let skipped = &mut report.skipped;
    let component = component(chip, meter, skipped);
    let drawn = meter.number("_input", skipped);
    let drawn = drawn.or_else(|| meter.number("_average", skipped));
    // Some show what flows back as less than nothing; that is no draw.
    let drawn = drawn.filter(|it| *it >= 0).map(watts);
    let limits = [
        ("_cap", "throttled"),
        ("_max", "max"),
        ("_crit", "critical"),
    ];
    let limits = limits.map(|(end, kind)| {
        let limit = meter.number(end, skipped).filter(|it| *it > 0);
        (kind, limit.map(watts))
    });
    let capped = meter.flag("_cap_alarm", skipped);
    report.measure(&POWER, component.attributes([]), drawn);
    for (kind, limit) in limits {
        component.limit(&POWER_LIMIT, kind, limit, report);
    }
    let limit = limits.into_iter().find_map(|(_, limit)| limit);
    let share = drawn.zip(limit).map(|(drawn, limit)| drawn / limit);
    let id = Some(component.id.as_str());
    report.utilization(id, share);
    let capped = capped.map(|capped| f64::from(u8::from(capped)));
    report.saturation(id, &CAPPED, capped);
}

fn component(chip: &Chip, sensor: &Sensor<'_>, skipped: &mut Skipped) -> Component {
    let kind = match chip.name.as_str() {
        "amdgpu" | "i915" | "nouveau" | "radeon" | "xe" => Some("gpu"),
        "amd_energy" | "fam15h_power" | "zenpower" => Some("cpu"),
        // What ACPI's meters measure is the machine.
        "power_meter" => Some("enclosure"),
        _ => None,
    };
    Component {
        id: sensor.id(),
        name: sensor.label(skipped),
        kind,
    }
}

/// Microwatts to watts, and microjoules to joules.
fn watts(micro: i64) -> f64 {
    micro as f64 / MICRO
}
