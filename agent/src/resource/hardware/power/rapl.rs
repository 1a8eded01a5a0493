//! Energy counters and limits of the power capping framework: RAPL on Intel and AMD.

use std::{collections::HashMap, path::Path, time::Instant};

use super::{
    super::{
        super::{
            Root, Use,
            read::{self, Skipped},
        },
        Component, ENERGY, POWER, POWER_LIMIT,
    },
    MAX_ENTRIES, MICRO,
};

/// Constraints of a zone: long term, short term, peak.
const MAX_CONSTRAINTS: usize = 8;
/// No part of a machine draws more. A counter that would say so did not overflow: it began again.
const MAX_WATTS: f64 = 10_000.0;

/// One zone's counter over its overflows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    at: Instant,
    /// As read, in microjoules.
    last: u64,
    /// With what the overflows took away.
    total: u64,
}

impl Account {
    fn begin(at: Instant, energy: u64) -> Self {
        Self {
            at,
            last: energy,
            total: energy,
        }
    }

    /// Takes the next reading; gives the watts since the last one, where they can be told.
    ///
    /// `range` is what the counter reaches before it begins at 0 again. Of several overflows
    /// between two readings only one shows: at 200 W and Intel's 262 kJ they are 20 minutes apart.
    fn advance(&mut self, at: Instant, energy: u64, range: Option<u64>) -> Option<f64> {
        let seconds = at.checked_duration_since(self.at)?.as_secs_f64();
        if seconds <= 0.0 {
            return None;
        }
        let growth = energy.checked_sub(self.last).or_else(|| {
            let before = range?.checked_sub(self.last)?;
            before.checked_add(energy)
        });
        let watts = growth.map(|growth| growth as f64 / MICRO / seconds);
        let is_sound = watts.is_some_and(|watts| watts < MAX_WATTS);
        let total = growth.and_then(|growth| self.total.checked_add(growth));
        *self = Self {
            at,
            last: energy,
            total: total.filter(|_| is_sound).unwrap_or(energy),
        };
        watts.filter(|_| is_sound)
    }
}

/// Adds every zone; `false` where there is none.
pub(super) fn tell(
    root: &Root,
    now: Instant,
    accounts: &mut HashMap<String, Account>,
    report: &mut Use,
) -> bool {
    let class = root.sysfs.join("class/powercap");
    let mut known = std::mem::take(accounts);
    let entries = read::directory(&class, &mut report.skipped);
    let mut any = false;
    for entry in entries.iter().take(MAX_ENTRIES) {
        let directory = class.join(entry);
        let energy = read::number::<u64>(&directory.join("energy_uj"));
        let Some(energy) = report.skipped.or_skip(energy) else {
            continue;
        };
        any = true;
        let range = read::number::<u64>(&directory.join("max_energy_range_uj"));
        let range = report.skipped.or_skip(range);
        let zone = component(entry, &directory, &mut report.skipped);
        let mut account = known
            .remove(entry)
            .unwrap_or_else(|| Account::begin(now, energy));
        let watts = account.advance(now, energy, range);
        // `intel-rapl:0:1` is a part of `intel-rapl:0`, which is none of anything.
        let parent = entry.rsplit_once(':').map(|(parent, _)| parent);
        let parent = parent.filter(|parent| parent.contains(':'));
        let attributes = match parent {
            Some(parent) => zone.attributes([("hw.parent", parent.into())]),
            None => zone.attributes([]),
        };
        let joules = account.total as f64 / MICRO;
        report.measure(&ENERGY, attributes.clone(), joules);
        report.measure(&POWER, attributes, watts);
        let limit = limits(&zone, &directory, report);
        let share = watts.zip(limit).map(|(watts, limit)| watts / limit);
        report.utilization(Some(entry), share);
        accounts.insert(entry.clone(), account);
    }
    any
}

fn component(entry: &str, directory: &Path, skipped: &mut Skipped) -> Component {
    let name = skipped.or_skip(read::word(&directory.join("name")));
    let name = name.unwrap_or_else(|| entry.to_owned());
    let kind = match name.as_str() {
        "dram" => Some("memory"),
        // The whole machine.
        "psys" => Some("enclosure"),
        "core" | "uncore" => Some("cpu"),
        name if name.starts_with("package") => Some("cpu"),
        _ => None,
    };
    Component {
        id: entry.to_owned(),
        name,
        kind,
    }
}

/// Adds the zone's limits; gives the one that holds in the long run.
fn limits(zone: &Component, directory: &Path, report: &mut Use) -> Option<f64> {
    let mut long_term = None;
    for number in 0..MAX_CONSTRAINTS {
        let file = |end: &str| directory.join(format!("constraint_{number}_{end}"));
        let name = report.skipped.or_skip(read::word(&file("name")));
        let Some(name) = name else { break };
        let limit = report
            .skipped
            .or_skip(read::number::<u64>(&file("power_limit_uw")));
        let watts = limit.map(|limit| limit as f64 / MICRO);
        let watts = watts.filter(|watts| *watts > 0.0 && *watts < MAX_WATTS);
        let kind = match name.as_str() {
            "long_term" => "throttled",
            "short_term" => "turbo",
            "peak_power" => "max",
            _ => continue,
        };
        zone.limit(&POWER_LIMIT, kind, watts, report);
        if kind == "throttled" {
            long_term = watts;
        }
    }
    long_term
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RANGE: u64 = 262_143_328_850;

    #[test]
    fn an_overflow_is_added_and_the_total_never_goes_back() {
        let start = Instant::now();
        let mut account = Account::begin(start, RANGE - 500_000_000);
        // 500 J before the overflow and 1,500 J after it, in 10 s.
        let later = start + Duration::from_secs(10);
        assert_eq!(
            account.advance(later, 1_500_000_000, Some(RANGE)),
            Some(200.0)
        );
        assert_eq!(account.total, RANGE + 1_500_000_000);
        let last = start + Duration::from_secs(20);
        assert_eq!(
            account.advance(last, 2_500_000_000, Some(RANGE)),
            Some(100.0)
        );
        assert_eq!(account.total, RANGE + 2_500_000_000);
    }

    #[test]
    fn a_counter_that_began_again_is_no_overflow() {
        let start = Instant::now();
        for range in [None, Some(RANGE), Some(10)] {
            let mut account = Account::begin(start, 1_000_000_000);
            // The rest of the range in ten seconds would be 26 kW.
            let later = start + Duration::from_secs(10);
            assert_eq!(account.advance(later, 5_000_000, range), None, "{range:?}");
            assert_eq!(account.total, 5_000_000);
        }
    }

    #[test]
    fn fault_28_absurd_readings_give_no_power_and_no_panic() {
        let start = Instant::now();
        let mut account = Account::begin(start, u64::MAX);
        assert_eq!(account.advance(start, u64::MAX, Some(u64::MAX)), None);
        let later = start + Duration::from_secs(1);
        assert_eq!(account.advance(later, u64::MAX - 1, Some(u64::MAX)), None);
        assert_eq!(account.advance(start, 0, None), None, "time went back");
    }
}
