//! Batteries, uninterruptible supplies and mains.

use std::{collections::HashMap, path::Path};

use super::{
    super::{
        super::{
            Root, Use,
            read::{self, Skipped},
        },
        Component, POWER,
    },
    CHARGE, MAX_ENTRIES, MICRO, ONLINE, UNHEALTHY,
};

const PERCENT: f64 = 100.0;
/// The `hw.state` values of a battery.
const STATES: [&str; 5] = ["ok", "degraded", "failed", "charging", "discharging"];

/// Adds every supply of the host; `false` where there is none.
pub(super) fn tell(root: &Root, unhealthy: &mut HashMap<String, u64>, report: &mut Use) -> bool {
    let class = root.sysfs.join("class/power_supply");
    let mut known = std::mem::take(unhealthy);
    let mut any = false;
    let entries = read::directory(&class, &mut report.skipped);
    for entry in entries.iter().take(MAX_ENTRIES) {
        let directory = class.join(entry);
        let skipped = &mut report.skipped;
        let Some(kind) = word(&directory, "type", skipped) else {
            continue;
        };
        // A mouse's battery isn't the host's.
        if word(&directory, "scope", skipped).as_deref() == Some("Device") {
            continue;
        }
        any = true;
        if matches!(kind.as_str(), "Battery" | "UPS") {
            let before = known.remove(entry).unwrap_or(0);
            let now = battery(entry, &directory, before, report);
            unhealthy.insert(entry.clone(), now);
        } else {
            let component = component(entry, &directory, "power_supply", skipped);
            let online = skipped.or_skip(read::number::<u64>(&directory.join("online")));
            // 2 is a supply whose voltage can be chosen.
            let online = online.map(|online| online.min(1));
            report.count(&ONLINE, component.attributes([]), online);
        }
    }
    any
}

/// Adds a battery; gives the number of snapshots in which it was unhealthy.
fn battery(entry: &str, directory: &Path, mut unhealthy: u64, report: &mut Use) -> u64 {
    let skipped = &mut report.skipped;
    let component = component(entry, directory, "battery", skipped);
    let charge = skipped
        .or_skip(read::number::<u64>(&directory.join("capacity")))
        .map(|percent| percent as f64 / PERCENT);
    let is_possible = charge.is_none_or(|charge| charge <= 1.0);
    let charge = charge.filter(|_| is_possible);
    if !is_possible {
        skipped.one();
    }
    // Negative while it discharges, with some drivers.
    let power = skipped.or_skip(read::number::<i64>(&directory.join("power_now")));
    let watts = power.map(|micro| micro.unsigned_abs() as f64 / MICRO);
    let health = word(directory, "health", skipped);
    let status = word(directory, "status", skipped);
    report.measure(&CHARGE, component.attributes([]), charge);
    report.measure(&POWER, component.attributes([]), watts);
    report.utilization(Some(entry), charge.map(|charge| 1.0 - charge));
    let is_well = health.as_deref().map(|it| matches!(it, "Good" | "Unknown"));
    if let Some(is_well) = is_well {
        unhealthy += u64::from(!is_well);
        report.observed_errors(Some(entry), &UNHEALTHY, unhealthy);
    }
    let state = match (health.as_deref(), status.as_deref()) {
        (Some("Dead" | "Unspecified failure"), _) => "failed",
        (_, Some("Charging")) => "charging",
        (_, Some("Discharging")) => "discharging",
        (_, None) => return unhealthy,
        _ if is_well == Some(false) => "degraded",
        _ => "ok",
    };
    component.status(&STATES, state, report);
    unhealthy
}

fn component(
    entry: &str,
    directory: &Path,
    kind: &'static str,
    skipped: &mut Skipped,
) -> Component {
    let name = word(directory, "model_name", skipped).filter(|name| !name.is_empty());
    Component {
        id: entry.to_owned(),
        name: name.unwrap_or_else(|| entry.to_owned()),
        kind: Some(kind),
    }
}

fn word(directory: &Path, file: &str, skipped: &mut Skipped) -> Option<String> {
    skipped.or_skip(read::word(&directory.join(file)))
}
