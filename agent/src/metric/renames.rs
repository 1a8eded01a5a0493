//! Services whose identity has changed while they ran, since more has become known of them.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use super::{Attributes, Family, Kind, Point};

/// Most identities that are remembered.
const CAPACITY: usize = 8_192;

/// Identities that services had, and which they have now. A service can have an earlier identity
/// of another one's, or its own again: whoever asks looks first whether the identity is there.
#[derive(Clone, Debug, Default)]
pub struct Renames {
    present: HashMap<Attributes, Attributes>,
    /// Identities of services that were several.
    merged: HashSet<Attributes>,
}

impl Renames {
    /// A service has another identity; when `merges`, one that another service had already.
    /// `false` when there is no room to remember that.
    pub fn note(&mut self, old: &Attributes, new: &Attributes, merges: bool) -> bool {
        if self.present.len() >= CAPACITY && !self.present.contains_key(old) {
            return false;
        }
        for present in self.present.values_mut().filter(|present| *present == old) {
            *present = new.clone();
        }
        let had_merged = self.merged.remove(old);
        if merges || had_merged {
            self.merged.insert(new.clone());
        }
        self.present.insert(old.clone(), new.clone());
        // It may have had the new one before.
        self.present.remove(new);
        true
    }

    /// The identity of the service that had this one, or still has.
    #[must_use]
    pub fn present<'a>(&'a self, identity: &'a Attributes) -> &'a Attributes {
        self.present.get(identity).unwrap_or(identity)
    }

    /// How many identities are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.present.len()
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// Forgets services that `keep` doesn't hold to, by their present identities.
    pub fn retain(&mut self, keep: impl Fn(&Attributes) -> bool) {
        self.present.retain(|_, present| keep(present));
        self.merged.retain(|identity| keep(identity));
    }

    /// Makes one point of those that are one series by now.
    pub(super) fn add_up(&self, family: &mut Family) {
        let is_merged = |point: &Point| self.merged.contains(&point.resource.identity);
        if self.merged.is_empty() || !family.points.iter().any(is_merged) {
            return;
        }
        let mut points: Vec<Point> = Vec::with_capacity(family.points.len());
        let mut known = HashMap::new();
        for point in std::mem::take(&mut family.points) {
            if !is_merged(&point) {
                points.push(point);
                continue;
            }
            let series = (point.resource.identity.clone(), point.attributes.clone());
            match known.entry(series) {
                Entry::Vacant(place) => {
                    place.insert(points.len());
                    points.push(point);
                }
                Entry::Occupied(place) => match points.get_mut(*place.get()) {
                    Some(held) if family.descriptor.kind != Kind::Gauge => held.add(&point),
                    Some(held) => *held = point,
                    None => {}
                },
            }
        }
        family.points = points;
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::UNIX_EPOCH};

    use super::*;
    use crate::metric::{Collector, Descriptor, Resource, Unit, Value};

    const REQUESTS: Descriptor = Descriptor::counter("requests", "Requests", Unit::None);
    const DEPTH: Descriptor = Descriptor::gauge("depth", "Depth", Unit::None);

    fn identity(name: &str) -> Attributes {
        Attributes::from([("service.name", name.into())])
    }

    fn resource(name: &str) -> Arc<Resource> {
        Arc::new(Resource {
            attributes: identity(name),
            identity: identity(name),
        })
    }

    #[test]
    fn the_latest_identity_is_the_present_one() {
        let mut renames = Renames::default();
        let [a, b, c] = ["a", "b", "c"].map(identity);
        assert!(renames.note(&a, &b, false) && renames.note(&b, &c, false));
        assert_eq!(renames.present(&a), &c);
        assert_eq!(renames.present(&c), &c);
        // There and back.
        assert!(renames.note(&c, &a, false));
        assert_eq!(renames.present(&b), &a);
        assert_eq!(renames.present(&a), &a);
        renames.retain(|_| false);
        assert!(renames.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut renames = Renames::default();
        let noted = (0..CAPACITY + 3)
            .filter(|n| renames.note(&identity(&n.to_string()), &identity("x"), false));
        assert_eq!(noted.count(), CAPACITY);
    }

    #[test]
    fn points_of_services_that_became_one_are_added_up() {
        let mut renames = Renames::default();
        renames.note(&identity("old"), &identity("shop"), true);
        let mut collector = Collector::new(resource("host"), UNIX_EPOCH);
        for (name, count) in [("shop", 3), ("other", 5), ("shop", 4), ("other", 6)] {
            for descriptor in [&REQUESTS, &DEPTH] {
                let (none, value) = (Attributes::none(), Value::Integer(count));
                collector.push_for(descriptor, resource(name), none, value);
            }
        }
        collector.rename(&Arc::new(renames));
        let snapshot = collector.finish(UNIX_EPOCH);
        let values: Vec<Vec<_>> = snapshot
            .families
            .iter()
            .map(|family| {
                family
                    .points
                    .iter()
                    .map(|point| point.value.clone())
                    .collect()
            })
            .collect();
        let integers = |counts: &[u64]| counts.iter().map(|it| Value::Integer(*it)).collect();
        let expected: [Vec<Value>; 2] = [integers(&[7, 5, 6]), integers(&[4, 5, 6])];
        assert_eq!(values, expected);
    }
}
