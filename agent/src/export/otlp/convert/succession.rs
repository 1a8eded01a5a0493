//! Cumulative values of service instances whose resource has changed.
//!
//! A service's series go on over a restart: its identity stays, only the description of its main
//! process is another one. To OTLP that is a new stream, because all attributes of a resource tell
//! streams apart (metrics data model, "Stream manipulations"). A stream that began with the whole
//! total would count everything before it twice. So it begins at the last export, from zero: what
//! was told until then stays with the earlier resource, what came since is told under the new one.
//! A receiver that keeps only `service.*` of a resource, as Prometheus does, sees a reset.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
    time::SystemTime,
};

use super::temporality::{Series, Since, difference};
use crate::metric::{Attributes, Kind, Point, Resource, Snapshot, Value};

/// What was told of renewed instances under their earlier resources. Nothing where none is.
#[derive(Debug, Default)]
pub(super) struct Successions {
    last: Option<Arc<Snapshot>>,
    /// Resources that follow another one, and since when.
    begun: HashMap<Arc<Resource>, SystemTime>,
    /// The same by address, for the points of the snapshot that is being exported.
    addresses: HashMap<usize, SystemTime>,
    /// Totals at that time.
    told: HashMap<Series, Value>,
}

impl Successions {
    /// Begins the export of `snapshot`.
    pub(super) fn next_export(&mut self, snapshot: &Arc<Snapshot>) {
        let addresses = by_address(snapshot);
        let present: HashSet<&Arc<Resource>> = addresses.values().copied().collect();
        if let Some(last) = self.last.replace(Arc::clone(snapshot)) {
            self.find(&last, snapshot, &present);
        }
        self.begun.retain(|resource, _| present.contains(resource));
        let identities: HashSet<&Attributes> = self
            .begun
            .keys()
            .map(|resource| &resource.identity)
            .collect();
        self.told
            .retain(|series, _| identities.contains(&series.identity));
        let begun = addresses
            .iter()
            .filter_map(|(address, resource)| Some((*address, *self.begun.get(*resource)?)));
        self.addresses = begun.collect();
    }

    /// Remembers what `last` told of the instances that have another resource among `present`.
    ///
    /// An instance's identity may have changed as well, and several may have become one: then the
    /// sum of what was told of them is what the new stream doesn't tell again.
    fn find(&mut self, last: &Snapshot, now: &Snapshot, present: &HashSet<&Arc<Resource>>) {
        let by_identity: HashMap<&Attributes, &Arc<Resource>> = present
            .iter()
            .map(|resource| (&resource.identity, *resource))
            .collect();
        let identity = |old: &'_ Arc<Resource>| {
            let is_there = by_identity.contains_key(&old.identity);
            let present = now.renames.present(&old.identity);
            if is_there {
                old.identity.clone()
            } else {
                present.clone()
            }
        };
        let addresses = by_address(last);
        let mut renewed = HashSet::new();
        for old in addresses.values().filter(|old| !present.contains(*old)) {
            let identity = identity(old);
            if let Some(new) = by_identity.get(&identity) {
                self.begun.insert(Arc::clone(new), last.time);
                self.told.retain(|series, _| series.identity != identity);
                renewed.insert(identity);
            }
        }
        let identities: HashMap<usize, Attributes> = addresses
            .iter()
            .map(|(address, old)| (*address, identity(old)))
            .filter(|(_, identity)| renewed.contains(identity))
            .collect();
        for family in &last.families {
            if !matches!(family.descriptor.kind, Kind::Counter | Kind::Histogram) {
                continue;
            }
            for point in &family.points {
                if let Some(identity) = identities.get(&Arc::as_ptr(&point.resource).addr()) {
                    let series = Series::of(family.descriptor.name, point).named(identity);
                    self.tell(series, &point.value);
                }
            }
        }
    }

    fn tell(&mut self, series: Series, value: &Value) {
        match self.told.entry(series) {
            Entry::Vacant(place) => drop(place.insert(value.clone())),
            Entry::Occupied(mut place) => place.get_mut().add(value),
        }
    }

    /// The value of `point` in its stream, and the time from which that counts.
    pub(super) fn since(&self, name: &'static str, point: &Point) -> Since {
        let whole = |start| Since {
            start,
            value: point.value.clone(),
        };
        let address = Arc::as_ptr(&point.resource).addr();
        let Some(begun) = self.addresses.get(&address).copied() else {
            return whole(point.start);
        };
        let told = self.told.get(&Series::of(name, point));
        match told.and_then(|told| difference(&point.value, told)) {
            Some(value) => Since {
                start: begun,
                value,
            },
            None => whole(begun.max(point.start)),
        }
    }
}

/// The resources of a snapshot, each address once.
fn by_address(snapshot: &Snapshot) -> HashMap<usize, &Arc<Resource>> {
    let points = snapshot.families.iter().flat_map(|family| &family.points);
    points
        .map(|point| (Arc::as_ptr(&point.resource).addr(), &point.resource))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        export::otlp::tests::fixture::{DURATION, OPEN, REQUESTS, at},
        metric::{Collector, Histogram, Renames},
    };

    fn shop(pid: i64) -> Arc<Resource> {
        let identity = Attributes::from([("service.name", "shop".into())]);
        Arc::new(Resource {
            attributes: Attributes::from([
                ("process.pid", pid.into()),
                ("service.name", "shop".into()),
            ]),
            identity,
        })
    }

    fn histogram(count: u64) -> Value {
        Value::Histogram(Histogram {
            bounds: [1.0].into(),
            counts: vec![count, 0],
            sum: 0.5 * count as f64,
        })
    }

    /// What an export tells, as start, in seconds, and value.
    struct Told {
        requests: (u64, Value),
        duration: (u64, Value),
        open: (u64, Value),
    }

    fn export(successions: &mut Successions, pid: i64, time: u64, total: u64) -> Told {
        let mut collector = Collector::new(shop(0), at(5));
        for (descriptor, value) in [
            (&REQUESTS, Value::Integer(total)),
            (&DURATION, histogram(total)),
            (&OPEN, Value::Integer(3)),
        ] {
            collector.push_for(descriptor, shop(pid), Attributes::none(), value);
        }
        let snapshot = Arc::new(collector.finish(at(time)));
        successions.next_export(&snapshot);
        let mut told = snapshot.families.iter().map(|family| {
            let since = successions.since(family.descriptor.name, &family.points[0]);
            let start = since.start.duration_since(at(0)).expect("after it");
            (start.as_secs(), since.value)
        });
        Told {
            requests: told.next().expect("requests"),
            duration: told.next().expect("durations"),
            open: told.next().expect("open"),
        }
    }

    #[test]
    fn a_stream_begins_at_zero_where_an_earlier_resource_told_the_rest() {
        let mut successions = Successions::default();
        let before = export(&mut successions, 1, 10, 100);
        assert_eq!(before.requests, (5, Value::Integer(100)));
        for (time, total) in [(20, 107), (30, 110)] {
            let after = export(&mut successions, 2, time, total);
            assert_eq!(after.requests, (10, Value::Integer(total - 100)));
            assert_eq!(after.duration, (10, histogram(total - 100)));
            // What is open is open, whoever opened it.
            assert_eq!(after.open, (10, Value::Integer(3)));
        }
    }

    #[test]
    fn each_restart_begins_where_the_last_export_was() {
        let mut successions = Successions::default();
        let exports = [(1, 10, 100), (2, 20, 120), (3, 30, 150), (3, 40, 151)];
        let told =
            exports.map(|(pid, time, total)| export(&mut successions, pid, time, total).requests);
        let expected = [(5, 100), (10, 20), (20, 30), (20, 31)];
        assert_eq!(
            told,
            expected.map(|(start, count)| (start, Value::Integer(count)))
        );
        // Nothing is kept of those that are gone.
        assert_eq!((successions.begun.len(), successions.told.len()), (1, 2));
    }

    /// What an export tells of the services' requests, by name, as start and value; `renames` says
    /// which were others before.
    fn export_named(
        successions: &mut Successions,
        time: u64,
        totals: &[(&'static str, u64)],
        renames: &Renames,
    ) -> Vec<(u64, Value)> {
        let mut collector = Collector::new(shop(0), at(5));
        for (name, total) in totals {
            let identity = Attributes::from([("service.name", (*name).into())]);
            let resource = Arc::new(Resource {
                attributes: identity.clone(),
                identity,
            });
            let value = Value::Integer(*total);
            collector.push_for(&REQUESTS, resource, Attributes::none(), value);
        }
        collector.rename(&Arc::new(renames.clone()));
        let snapshot = Arc::new(collector.finish(at(time)));
        successions.next_export(&snapshot);
        let points = snapshot.families.iter().flat_map(|family| &family.points);
        points
            .map(|point| {
                let since = successions.since(REQUESTS.name, point);
                let start = since.start.duration_since(at(0)).expect("after it");
                (start.as_secs(), since.value)
            })
            .collect()
    }

    #[test]
    fn what_was_told_of_a_service_before_it_was_known_is_not_told_again() {
        let named = |name: &'static str| Attributes::from([("service.name", name.into())]);
        let mut renames = Renames::default();
        let mut successions = Successions::default();
        export_named(&mut successions, 10, &[("web", 100), ("sh", 7)], &renames);
        renames.note(&named("web"), &named("shop"), false);
        let told = export_named(&mut successions, 20, &[("shop", 103), ("sh", 8)], &renames);
        assert_eq!(told, [(10, Value::Integer(3)), (5, Value::Integer(8))]);
        // Another one turns out to be part of it: the stream begins anew with both.
        renames.note(&named("sh"), &named("shop"), true);
        let told = export_named(
            &mut successions,
            30,
            &[("shop", 104), ("shop", 10)],
            &renames,
        );
        assert_eq!(told, [(20, Value::Integer(3))]);
        let told = export_named(&mut successions, 40, &[("shop", 120), ("web", 2)], &renames);
        assert_eq!(told, [(20, Value::Integer(9)), (5, Value::Integer(2))]);
    }

    #[test]
    fn a_series_that_is_new_with_the_resource_is_told_whole() {
        let mut successions = Successions::default();
        let mut collector = Collector::new(shop(0), at(5));
        collector.push_for(&OPEN, shop(1), Attributes::none(), Value::Integer(3));
        successions.next_export(&Arc::new(collector.finish(at(10))));
        let after = export(&mut successions, 2, 20, 7);
        assert_eq!(after.requests, (10, Value::Integer(7)));
    }

    #[test]
    fn a_total_that_began_anew_is_told_whole() {
        let mut successions = Successions::default();
        export(&mut successions, 1, 10, 100);
        let after = export(&mut successions, 2, 20, 7);
        assert_eq!(after.requests, (10, Value::Integer(7)));
    }
}
