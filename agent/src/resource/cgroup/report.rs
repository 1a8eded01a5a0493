//! What is told of one cgroup.

use super::{
    super::{
        Use,
        method::{SATURATION, Signal, USE_ERRORS, UTILIZATION},
    },
    NAME,
    descriptors::Twin,
    owner::{Kind, Owner},
};
use crate::metric::{AttributeValue, Descriptor};

/// Adds to the resource's sample what is one cgroup's.
pub(super) struct Report<'a> {
    pub(super) sample: &'a mut Use,
    pub(super) owner: &'a Owner,
}

/// A metric of cgroups: the same for all, or by another name for containers.
pub(super) trait Named {
    /// Describes it for a cgroup of this kind.
    fn of(&'static self, kind: Kind) -> &'static Descriptor;
}

impl Named for Descriptor {
    fn of(&'static self, _kind: Kind) -> &'static Descriptor {
        self
    }
}

impl Named for Twin {
    fn of(&'static self, kind: Kind) -> &'static Descriptor {
        if kind == Kind::Container {
            self.container
        } else {
            self.cgroup
        }
    }
}

impl Report<'_> {
    pub(super) fn count<const N: usize>(
        &mut self,
        metric: &'static impl Named,
        attributes: [(&'static str, AttributeValue); N],
        value: Option<u64>,
    ) {
        if value.is_some() {
            let attributes = self.owner.with(attributes);
            self.sample
                .count(metric.of(self.owner.kind), attributes, value);
        }
    }

    pub(super) fn measure<const N: usize>(
        &mut self,
        metric: &'static impl Named,
        attributes: [(&'static str, AttributeValue); N],
        value: Option<f64>,
    ) {
        if value.is_some() {
            let attributes = self.owner.with(attributes);
            self.sample
                .measure(metric.of(self.owner.kind), attributes, value);
        }
    }

    /// The share of one of its limits that is in use.
    pub(super) fn utilization(&mut self, limit: &Signal, ratio: Option<f64>) {
        if ratio.is_some() {
            let attributes = self.owner.of_method(NAME, limit.name);
            self.sample.measure(&UTILIZATION, attributes, ratio);
        }
    }

    pub(super) fn saturation(&mut self, signal: &Signal, value: Option<f64>) {
        if value.is_some() {
            let attributes = self.owner.of_method(NAME, signal.name);
            self.sample.measure(&SATURATION, attributes, value);
        }
    }

    pub(super) fn errors(&mut self, signal: &Signal, count: Option<u64>) {
        if count.is_some() {
            let attributes = self.owner.of_method(NAME, signal.name);
            self.sample.count(&USE_ERRORS, attributes, count);
        }
    }
}
