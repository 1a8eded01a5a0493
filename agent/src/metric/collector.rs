//! How a snapshot comes about.

use std::{sync::Arc, time::SystemTime};

use super::{Attributes, Descriptor, Family, Point, Renames, Resource, Snapshot, Value};

/// Collects points into families while a snapshot is made.
#[derive(Debug)]
pub struct Collector {
    families: Vec<Family>,
    /// Start of the agent: the default for cumulative points.
    start: SystemTime,
    host: Arc<Resource>,
    renames: Arc<Renames>,
}

impl Collector {
    /// An empty one; points without a resource of their own belong to `host`.
    #[must_use]
    pub fn new(host: Arc<Resource>, start: SystemTime) -> Self {
        Self {
            families: Vec::new(),
            start,
            host,
            renames: Arc::default(),
        }
    }

    /// Says which services have other identities than they had, or have become one.
    pub fn rename(&mut self, renames: &Arc<Renames>) {
        self.renames = Arc::clone(renames);
    }

    /// The host's resource.
    #[must_use]
    pub fn host(&self) -> &Arc<Resource> {
        &self.host
    }

    /// When cumulative values began.
    #[must_use]
    pub fn start(&self) -> SystemTime {
        self.start
    }

    /// Adds a point of the host.
    pub fn push(&mut self, descriptor: &'static Descriptor, attributes: Attributes, value: Value) {
        let resource = Arc::clone(&self.host);
        self.push_for(descriptor, resource, attributes, value);
    }

    /// Adds a point of a service.
    pub fn push_for(
        &mut self,
        descriptor: &'static Descriptor,
        resource: Arc<Resource>,
        attributes: Attributes,
        value: Value,
    ) {
        let start = self.start;
        self.push_point(
            descriptor,
            Point {
                resource,
                attributes,
                start,
                value,
                exemplars: Vec::new(),
            },
        );
    }

    /// Adds a complete point.
    pub fn push_point(&mut self, descriptor: &'static Descriptor, point: Point) {
        // Points of one metric come one after another, so the search ends at its first look.
        let family = self
            .families
            .iter()
            .rposition(|family| family.descriptor.name == descriptor.name);
        match family {
            Some(index) => self.families[index].points.push(point),
            None => self.families.push(Family {
                descriptor,
                points: vec![point],
            }),
        }
    }

    /// Adds families that were collected elsewhere.
    pub fn absorb(&mut self, families: Vec<Family>) {
        for family in families {
            for point in family.points {
                self.push_point(family.descriptor, point);
            }
        }
    }

    /// What was collected, to be absorbed elsewhere.
    #[must_use]
    pub fn into_families(self) -> Vec<Family> {
        self.families
    }

    /// The finished snapshot. Points of services that have become one are added up.
    #[must_use]
    pub fn finish(mut self, time: SystemTime) -> Snapshot {
        for family in &mut self.families {
            self.renames.add_up(family);
        }
        Snapshot {
            time,
            families: self.families,
            host: self.host,
            renames: self.renames,
        }
    }
}
