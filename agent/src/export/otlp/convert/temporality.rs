//! What is sent as the difference from the last export.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    export::otlp::config::TemporalityPreference,
    metric::{Attributes, Histogram, Kind, Point, Snapshot, Value},
};

/// Exports for which a series that is missing from the snapshot is still remembered. Without
/// memory its return would tell its whole total once more.
const REMEMBERED_EXPORTS: u64 = 10;

/// Totals of the last built export, per series. Empty while everything is cumulative.
#[derive(Debug)]
pub(super) struct Deltas {
    preference: TemporalityPreference,
    series: HashMap<Series, Last>,
    export: u64,
}

/// A series, whatever its resource says besides whose it is: it goes on when a service restarts.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Series {
    name: &'static str,
    pub(super) identity: Attributes,
    attributes: Attributes,
}

impl Series {
    /// The series of `point`, of the metric `name`.
    pub(super) fn of(name: &'static str, point: &Point) -> Self {
        Self {
            name,
            identity: point.resource.identity.clone(),
            attributes: point.attributes.clone(),
        }
    }

    /// The same series of a service with this identity.
    pub(super) fn named(self, identity: &Attributes) -> Self {
        Self {
            identity: identity.clone(),
            ..self
        }
    }
}

#[derive(Debug)]
struct Last {
    start: SystemTime,
    time: SystemTime,
    value: Value,
    export: u64,
}

impl Last {
    /// Takes in another series that has become one with this one.
    fn add(&mut self, other: &Self) {
        self.value.add(&other.value);
        self.start = self.start.min(other.start);
        self.time = self.time.max(other.time);
        self.export = self.export.max(other.export);
    }
}

/// A value and the time from which it counts.
#[derive(Debug, PartialEq)]
pub(super) struct Since {
    pub(super) start: SystemTime,
    pub(super) value: Value,
}

impl Deltas {
    pub(super) fn new(preference: TemporalityPreference) -> Self {
        Self {
            preference,
            series: HashMap::new(),
            export: 0,
        }
    }

    /// Whether metrics of `kind` are sent as differences.
    pub(super) fn wanted(&self, kind: Kind) -> bool {
        match self.preference {
            TemporalityPreference::Cumulative => false,
            TemporalityPreference::Delta => matches!(kind, Kind::Counter | Kind::Histogram),
            TemporalityPreference::LowMemory => kind == Kind::Histogram,
        }
    }

    /// Begins the export of `snapshot`, and forgets series that didn't show up for long. Those of
    /// services whose identity has changed go on under the new one.
    pub(super) fn next_export(&mut self, snapshot: &Snapshot) {
        self.rename(snapshot);
        self.export += 1;
        let oldest = self.export.saturating_sub(REMEMBERED_EXPORTS);
        self.series.retain(|_, last| last.export >= oldest);
    }

    fn rename(&mut self, snapshot: &Snapshot) {
        if self.series.is_empty() || snapshot.renames.is_empty() {
            return;
        }
        let points = snapshot.families.iter().flat_map(|family| &family.points);
        let present: HashSet<&Attributes> = points.map(|point| &point.resource.identity).collect();
        let renamed = self.series.extract_if(|series, _| {
            let identity = &series.identity;
            !present.contains(identity) && snapshot.renames.present(identity) != identity
        });
        for (series, last) in renamed.collect::<Vec<_>>() {
            let identity = snapshot.renames.present(&series.identity).clone();
            match self.series.entry(series.named(&identity)) {
                Entry::Vacant(place) => drop(place.insert(last)),
                Entry::Occupied(mut place) => place.get_mut().add(&last),
            }
        }
    }

    /// What `point` added since the last export. A series that is new, or began anew, tells its
    /// whole value since its own start. `None` when its total went down although it claims to be
    /// the same series: what was added then is not known, and rather nothing than a wrong value.
    pub(super) fn take(
        &mut self,
        name: &'static str,
        point: &Point,
        time: SystemTime,
    ) -> Option<Since> {
        let series = Series::of(name, point);
        let now = Last {
            start: point.start,
            time,
            value: point.value.clone(),
            export: self.export,
        };
        match self.series.insert(series, now) {
            Some(last) if last.start == point.start => Some(Since {
                start: last.time,
                value: difference(&point.value, &last.value)?,
            }),
            _ => Some(Since {
                start: point.start,
                value: point.value.clone(),
            }),
        }
    }
}

/// `now - before`; `None` where any part of it would be negative or the two don't compare.
pub(super) fn difference(now: &Value, before: &Value) -> Option<Value> {
    match (now, before) {
        (Value::Integer(now), Value::Integer(before)) => {
            now.checked_sub(*before).map(Value::Integer)
        }
        (Value::Float(now), Value::Float(before)) => Some(now - before)
            .filter(|added| *added >= 0.0)
            .map(Value::Float),
        (Value::Histogram(now), Value::Histogram(before)) => {
            if now.bounds != before.bounds || now.counts.len() != before.counts.len() {
                return None;
            }
            let pairs = now.counts.iter().zip(&before.counts);
            let counts = pairs.map(|(now, before)| now.checked_sub(*before));
            Some(Value::Histogram(Histogram {
                bounds: Arc::clone(&now.bounds),
                counts: counts.collect::<Option<_>>()?,
                sum: now.sum - before.sum,
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Collector, Descriptor, Renames, Resource, Unit};
    use std::time::Duration;

    fn point(start: u64, value: Value) -> Point {
        of_process(1, start, value)
    }

    fn of_process(pid: i64, start: u64, value: Value) -> Point {
        Point {
            resource: Arc::new(Resource {
                attributes: Attributes::from([("process.pid", pid.into())]),
                identity: Attributes::from([("service.name", "shop".into())]),
            }),
            attributes: Attributes::from([("k", "v".into())]),
            start: at(start),
            value,
            exemplars: Vec::new(),
        }
    }

    const REQUESTS: Descriptor = Descriptor::counter("requests", "Requests", Unit::None);

    fn named(name: &str) -> Arc<Resource> {
        let identity = Attributes::from([("service.name", name.into())]);
        Arc::new(Resource {
            attributes: identity.clone(),
            identity,
        })
    }

    fn empty() -> Snapshot {
        Collector::new(named("host"), at(0)).finish(at(0))
    }

    /// What one export tells of the services, by name; `renames` says which were others before.
    fn export(
        deltas: &mut Deltas,
        time: u64,
        totals: &[(&str, u64)],
        renames: &Renames,
    ) -> Vec<Option<Value>> {
        let mut collector = Collector::new(named("host"), at(5));
        for (name, total) in totals {
            let value = Value::Integer(*total);
            collector.push_for(&REQUESTS, named(name), Attributes::none(), value);
        }
        collector.rename(&Arc::new(renames.clone()));
        let snapshot = collector.finish(at(time));
        deltas.next_export(&snapshot);
        let points = snapshot.families.iter().flat_map(|family| &family.points);
        points
            .map(|point| Some(deltas.take("requests", point, snapshot.time)?.value))
            .collect()
    }

    #[test]
    fn a_service_that_is_known_better_goes_on_with_its_deltas() {
        let mut deltas = Deltas::new(TemporalityPreference::Delta);
        let mut renames = Renames::default();
        export(&mut deltas, 10, &[("web", 100), ("sh", 7)], &renames);
        let identity = |name| named(name).identity.clone();
        renames.note(&identity("web"), &identity("shop"), false);
        let told = export(&mut deltas, 20, &[("shop", 103), ("sh", 8)], &renames);
        let integer = |count| Some(Value::Integer(count));
        assert_eq!(told, [integer(3), integer(1)]);
        // Another one turns out to be part of it.
        renames.note(&identity("sh"), &identity("shop"), true);
        let told = export(&mut deltas, 30, &[("shop", 104), ("shop", 10)], &renames);
        assert_eq!(told, [integer(3)]);
        // One that is called as the first one was, is new.
        let told = export(&mut deltas, 40, &[("shop", 114), ("web", 2)], &renames);
        assert_eq!(told, [integer(0), integer(2)]);
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn take(deltas: &mut Deltas, start: u64, value: Value, time: u64) -> Option<(u64, Value)> {
        deltas.next_export(&empty());
        let since = deltas.take("m", &point(start, value), at(time))?;
        let start = since.start.duration_since(SystemTime::UNIX_EPOCH);
        Some((start.expect("after 1970").as_secs(), since.value))
    }

    #[test]
    fn deltas_add_up_to_the_total_and_intervals_touch() {
        let mut deltas = Deltas::new(TemporalityPreference::Delta);
        let mut total = 0;
        let mut end = 5;
        for (time, value) in [(10, 3), (20, 3), (30, 10)] {
            let (start, added) =
                take(&mut deltas, 5, Value::Integer(value), time).expect("a delta");
            assert_eq!(start, end);
            end = time;
            let Value::Integer(added) = added else {
                panic!("{added:?}")
            };
            total += added;
        }
        assert_eq!(total, 10);
    }

    #[test]
    fn a_new_start_tells_the_whole_value() {
        let mut deltas = Deltas::new(TemporalityPreference::Delta);
        take(&mut deltas, 5, Value::Integer(100), 10);
        assert_eq!(
            take(&mut deltas, 15, Value::Integer(4), 20),
            Some((15, Value::Integer(4)))
        );
    }

    #[test]
    fn a_restarted_service_goes_on_with_its_deltas() {
        let mut deltas = Deltas::new(TemporalityPreference::Delta);
        take(&mut deltas, 5, Value::Integer(100), 10);
        deltas.next_export(&empty());
        let restarted = of_process(2, 5, Value::Integer(103));
        let since = deltas.take("m", &restarted, at(20)).expect("a delta");
        assert_eq!((since.start, since.value), (at(10), Value::Integer(3)));
    }

    #[test]
    fn a_total_that_shrinks_tells_nothing_once() {
        let mut deltas = Deltas::new(TemporalityPreference::Delta);
        take(&mut deltas, 5, Value::Float(2.0), 10);
        assert_eq!(take(&mut deltas, 5, Value::Float(1.5), 20), None);
        assert_eq!(
            take(&mut deltas, 5, Value::Float(1.75), 30),
            Some((20, Value::Float(0.25)))
        );
    }

    #[test]
    fn histograms_subtract_bucket_by_bucket() {
        let histogram = |counts: [u64; 2], sum| {
            Value::Histogram(Histogram {
                bounds: [1.0].into(),
                counts: counts.into(),
                sum,
            })
        };
        let mut deltas = Deltas::new(TemporalityPreference::LowMemory);
        take(&mut deltas, 0, histogram([1, 2], 5.0), 10);
        let delta = take(&mut deltas, 0, histogram([1, 5], 11.0), 20);
        assert_eq!(delta, Some((10, histogram([0, 3], 6.0))));
    }

    #[test]
    fn memory_of_vanished_series_ends() {
        let mut deltas = Deltas::new(TemporalityPreference::Delta);
        take(&mut deltas, 5, Value::Integer(7), 10);
        deltas.next_export(&empty());
        assert_eq!(
            take(&mut deltas, 5, Value::Integer(8), 20),
            Some((10, Value::Integer(1))),
            "a short absence is no new series"
        );
        for _ in 0..=REMEMBERED_EXPORTS {
            deltas.next_export(&empty());
        }
        assert!(deltas.series.is_empty());
    }

    #[test]
    fn preferences_follow_the_specification() {
        let wanted = |preference| {
            let deltas = Deltas::new(preference);
            [
                Kind::Counter,
                Kind::UpDownCounter,
                Kind::Gauge,
                Kind::Histogram,
            ]
            .map(|kind| deltas.wanted(kind))
        };
        assert_eq!(wanted(TemporalityPreference::Cumulative), [false; 4]);
        assert_eq!(
            wanted(TemporalityPreference::Delta),
            [true, false, false, true]
        );
        assert_eq!(
            wanted(TemporalityPreference::LowMemory),
            [false, false, false, true]
        );
    }
}
