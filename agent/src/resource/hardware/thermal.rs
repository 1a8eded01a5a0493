//! Temperatures against the limits of their sensors, and how hard the host cools.
//!
//! `/sys/class/hwmon` (Documentation/hwmon/sysfs-interface.rst) and `/sys/class/thermal`
//! (Documentation/driver-api/thermal/sysfs-api.rst). What a hot CPU loses in speed is told by `cpu`.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    super::{
        Error, Registration, Resource, Root, Use,
        method::{Signal, gauge},
        read::{self, Skipped},
    },
    Component, STATUS, TEMPERATURE, TEMPERATURE_LIMIT,
    hwmon::{Chip, Sensor},
};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "thermal";
/// A chip behind a slow bus may take its time; what isn't read by then is left out and counted.
const BUDGET: Duration = Duration::from_millis(500);
/// Most zones and cooling devices (a CPU is one) that are looked at.
const MAX_ENTRIES: usize = 8192;
/// Most trip points of a zone; there were 12 at most as long as the kernel had a limit.
const MAX_TRIPS: usize = 32;
/// What is hotter is a driver's word for "not set", such as 65261.85 of an `NVMe` drive.
const MAX_CELSIUS: f64 = 1000.0;
const ABSOLUTE_ZERO: f64 = -273.15;

const THROTTLED: &str = "throttled";
const HIGH: &str = "high.degraded";
const HIGHEST: &str = "high.critical";

static COOLING: Descriptor = gauge(
    "system.thermal.cooling.state",
    "How hard the device cools, by slowing a part down or a fan up (/sys/class/thermal/cooling_device*/cur_state)",
    Unit::None,
);
static COOLING_LIMIT: Descriptor = gauge(
    "system.thermal.cooling.limit",
    "How hard the device can cool (/sys/class/thermal/cooling_device*/max_state)",
    Unit::None,
);

static COOLING_SHARE: Signal = Signal {
    name: "cooling_share",
    help: "How hard a device cools of how hard it can; for a CPU, how far it is slowed down (/sys/class/thermal/cooling_device*, cur_state over max_state)",
};
static CRITICAL: Signal = Signal {
    name: "critical_temperature",
    help: "Snapshots since the agent's start in which the temperature was at the critical limit or the sensor's alarm was on (tempN_crit_alarm)",
};
static FAULT: Signal = Signal {
    name: "sensor_fault",
    help: "Snapshots since the agent's start in which the sensor said that it is broken (tempN_fault)",
};

pub(in super::super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[
        &TEMPERATURE,
        &TEMPERATURE_LIMIT,
        &STATUS,
        &COOLING,
        &COOLING_LIMIT,
    ],
    saturation: &[&COOLING_SHARE],
    errors: &[&CRITICAL, &FAULT],
    open: |_| Box::<Thermal>::default(),
};

/// Snapshots in which something was wrong with a sensor.
#[derive(Clone, Copy, Debug, Default)]
struct Wrong {
    critical: u64,
    fault: u64,
}

#[derive(Debug, Default)]
struct Thermal {
    /// By sensor; the present ones only.
    wrong: HashMap<String, Wrong>,
}

/// What one sensor says now.
#[derive(Debug)]
struct Reading {
    component: Component,
    celsius: Option<f64>,
    /// By `hw.limit_type`.
    limits: Vec<(&'static str, f64)>,
    fault: Option<bool>,
    alarm: Option<bool>,
}

impl Resource for Thermal {
    fn sample(&mut self, root: &Root, _now: Instant) -> Result<Option<Use>, Error> {
        let deadline = Instant::now() + BUDGET;
        let mut report = Use::new(NAME);
        let class = root.sysfs.join("class/thermal");
        let mut entries = read::directory(&class, &mut report.skipped);
        report
            .skipped
            .many(entries.len().saturating_sub(MAX_ENTRIES) as u64);
        entries.truncate(MAX_ENTRIES);
        let chips = Chip::all(root, &mut report.skipped);
        let mut readings = Vec::new();
        for entry in &entries {
            let directory = class.join(entry);
            if entry.starts_with("thermal_zone") {
                readings.push(zone(entry, &directory, &mut report.skipped));
            } else if entry.starts_with("cooling_device") {
                cooling(entry, &directory, &mut report);
            }
        }
        for sensor in chips
            .iter()
            .flat_map(|chip| chip.sensors("temp", "_input", &mut Skipped::default()))
        {
            if Instant::now() >= deadline {
                report.skipped.one();
                break;
            }
            readings.push(chip_sensor(&sensor, &mut report.skipped));
        }
        if entries.is_empty() && readings.is_empty() {
            return Ok(None);
        }
        let mut known = std::mem::take(&mut self.wrong);
        for reading in readings {
            let wrong = known.remove(&reading.component.id).unwrap_or_default();
            let wrong = reading.tell(wrong, &mut report);
            self.wrong.insert(reading.component.id, wrong);
        }
        Ok(Some(report))
    }
}

impl Reading {
    /// Adds what it says, and gives what was wrong up to now.
    fn tell(&self, mut wrong: Wrong, report: &mut Use) -> Wrong {
        let component = &self.component;
        let device = Some(component.id.as_str());
        report.measure(&TEMPERATURE, component.attributes([]), self.celsius);
        for (kind, limit) in &self.limits {
            component.limit(&TEMPERATURE_LIMIT, kind, Some(*limit), report);
        }
        let limit = self.limit(HIGHEST).or_else(|| self.limit(HIGH));
        let share = self.celsius.zip(limit);
        // Frost is no use of the room below the limit.
        report.utilization(device, share.map(|(now, limit)| (now / limit).max(0.0)));

        let critical = self.is_critical();
        if let Some(critical) = critical {
            wrong.critical += u64::from(critical);
            report.observed_errors(device, &CRITICAL, wrong.critical);
        }
        if let Some(fault) = self.fault {
            wrong.fault += u64::from(fault);
            report.observed_errors(device, &FAULT, wrong.fault);
        }
        if critical.or(self.fault).is_some() {
            let state = match (self.fault, critical) {
                (Some(true), _) => "failed",
                (_, Some(true)) => "degraded",
                _ => "ok",
            };
            let component = Component {
                kind: Some("temperature"),
                ..component.clone()
            };
            component.status(&["ok", "degraded", "failed"], state, report);
        }
        wrong
    }

    fn limit(&self, wanted: &str) -> Option<f64> {
        let limits = self.limits.iter().filter(|(kind, _)| *kind == wanted);
        limits.map(|(_, limit)| *limit).reduce(f64::min)
    }

    /// The sensor's own word before a comparison; `None` where neither can be had.
    fn is_critical(&self) -> Option<bool> {
        let compared = self.celsius.zip(self.limit(HIGHEST));
        self.alarm
            .or_else(|| compared.map(|(celsius, limit)| celsius >= limit))
    }
}

fn chip_sensor(sensor: &Sensor<'_>, skipped: &mut Skipped) -> Reading {
    let limits = [("_crit", HIGHEST), ("_max", HIGH)];
    let limits = limits.map(|(end, kind)| Some((kind, limit(sensor.number(end, skipped)?)?)));
    let fault = sensor.flag("_fault", skipped);
    // A broken sensor's temperature is none.
    let celsius = match fault {
        Some(true) => None,
        _ => temperature(sensor.number("_input", skipped), skipped),
    };
    Reading {
        component: Component {
            id: sensor.id(),
            name: sensor.label(skipped),
            kind: None,
        },
        celsius,
        limits: limits.into_iter().flatten().collect(),
        fault,
        alarm: sensor.flag("_crit_alarm", skipped),
    }
}

fn zone(entry: &str, directory: &Path, skipped: &mut Skipped) -> Reading {
    let name = skipped.or_skip(read::word(&directory.join("type")));
    let mut limits: Vec<(&'static str, f64)> = Vec::new();
    for number in 0..MAX_TRIPS {
        let trip = |end: &str| directory.join(format!("trip_point_{number}_{end}"));
        let Some(kind) = skipped.or_skip(read::word(&trip("type"))) else {
            break;
        };
        let kind = match kind.as_str() {
            "critical" => HIGHEST,
            "hot" => HIGH,
            "passive" => THROTTLED,
            // A fan that starts or speeds up.
            _ => continue,
        };
        let at = skipped.or_skip(read::number(&trip("temp"))).and_then(limit);
        let Some(at) = at else { continue };
        // Several of a kind are steps; the first one counts.
        match limits.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known = known.min(at),
            None => limits.push((kind, at)),
        }
    }
    Reading {
        component: Component {
            id: entry.to_owned(),
            name: name.unwrap_or_else(|| entry.to_owned()),
            kind: None,
        },
        celsius: temperature(
            skipped.or_skip(read::number(&directory.join("temp"))),
            skipped,
        ),
        limits,
        fault: None,
        alarm: None,
    }
}

fn cooling(entry: &str, directory: &Path, report: &mut Use) {
    let skipped = &mut report.skipped;
    let name = skipped.or_skip(read::word(&directory.join("type")));
    let [state, limit] = ["cur_state", "max_state"].map(|file| {
        let state = skipped.or_skip(read::number::<i64>(&directory.join(file)));
        // intel_powerclamp has -1 while it is off.
        state.and_then(|state| u64::try_from(state).ok())
    });
    let component = Component {
        id: entry.to_owned(),
        name: name.unwrap_or_else(|| entry.to_owned()),
        kind: None,
    };
    report.count(&COOLING, component.attributes([]), state);
    report.count(&COOLING_LIMIT, component.attributes([]), limit);
    let share = state.zip(limit.filter(|limit| *limit > 0));
    let share = share.map(|(state, limit)| (state as f64 / limit as f64).min(1.0));
    report.saturation(Some(entry), &COOLING_SHARE, share);
}

fn celsius(millidegrees: i64) -> f64 {
    millidegrees as f64 / 1e3
}

/// A temperature that can be; others are counted.
fn temperature(millidegrees: Option<i64>, skipped: &mut Skipped) -> Option<f64> {
    let celsius = celsius(millidegrees?);
    if (ABSOLUTE_ZERO..MAX_CELSIUS).contains(&celsius) {
        return Some(celsius);
    }
    skipped.one();
    None
}

/// A limit that was set: drivers show 0, absolute zero or their largest number where none is.
fn limit(millidegrees: i64) -> Option<f64> {
    let celsius = celsius(millidegrees);
    (celsius > 0.0 && celsius < MAX_CELSIUS).then_some(celsius)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_words_for_no_limit_are_none() {
        for none in [0, -274_000, 65_261_850, i64::MAX, i64::MIN] {
            assert_eq!(limit(none), None, "{none}");
        }
        assert_eq!(limit(95_500), Some(95.5));
    }

    #[test]
    fn fault_28_a_temperature_that_cannot_be_is_counted() {
        let mut skipped = Skipped::default();
        assert_eq!(temperature(Some(-300_000), &mut skipped), None);
        assert_eq!(temperature(Some(i64::MAX), &mut skipped), None);
        assert_eq!(skipped.count(), 2);
        assert_eq!(temperature(Some(-40_000), &mut skipped), Some(-40.0));
        assert_eq!(temperature(None, &mut skipped), None);
        assert_eq!(skipped.count(), 2);
    }

    #[test]
    fn a_sensors_own_alarm_goes_before_a_comparison() {
        let reading = |celsius, alarm| Reading {
            component: Component {
                id: "x".to_owned(),
                name: "x".to_owned(),
                kind: None,
            },
            celsius,
            limits: vec![(HIGH, 80.0), (HIGHEST, 100.0)],
            fault: None,
            alarm,
        };
        assert_eq!(reading(Some(101.0), None).is_critical(), Some(true));
        assert_eq!(reading(Some(99.0), None).is_critical(), Some(false));
        assert_eq!(reading(Some(99.0), Some(true)).is_critical(), Some(true));
        assert_eq!(reading(None, None).is_critical(), None);
    }
}
