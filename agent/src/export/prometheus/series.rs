//! Points that are one series.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

use super::labels::LabelWriter;
use crate::metric::{Exemplar, Histogram, Kind, Point, Value};

/// Whether a family of this kind can hold the value.
pub(super) fn fits(kind: Kind, value: &Value) -> bool {
    match value {
        Value::Histogram(histogram) => {
            kind == Kind::Histogram && histogram.counts.len() == histogram.bounds.len() + 1
        }
        Value::Integer(_) | Value::Float(_) => kind != Kind::Histogram,
    }
}

/// Finds the points that are one series. Keeps its buffers from family to family.
#[derive(Debug, Default)]
pub(super) struct SeriesSet {
    writer: LabelWriter,
    labels: Vec<u8>,
    ends: Vec<usize>,
}

impl SeriesSet {
    /// The series of `points`, in the order of their first points, each with its labels.
    pub(super) fn merge<'a, 's: 'a>(
        &'s mut self,
        kind: Kind,
        points: &[&'a Point],
    ) -> Vec<(&'a [u8], Cow<'a, Point>)> {
        self.labels.clear();
        self.ends.clear();
        for point in points {
            self.writer.write(
                &mut self.labels,
                &point.resource.identity,
                &point.attributes,
            );
            self.ends.push(self.labels.len());
        }
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = starts.zip(self.ends.iter().copied());
        let mut series: Vec<(&[u8], Cow<'_, Point>)> = Vec::with_capacity(points.len());
        let mut known = HashMap::with_capacity(points.len());
        for (point, (start, end)) in points.iter().zip(ranges) {
            let labels = &self.labels[start..end];
            match known.entry(labels) {
                Entry::Vacant(entry) => {
                    entry.insert(series.len());
                    series.push((labels, Cow::Borrowed(*point)));
                }
                Entry::Occupied(entry) => {
                    let into = &mut series[*entry.get()].1;
                    if kind == Kind::Gauge {
                        *into = Cow::Borrowed(*point);
                    } else {
                        into.to_mut().add(point);
                    }
                }
            }
        }
        series
    }
}

/// The newest exemplar of each bucket; as many places as the histogram has counts.
pub(super) fn exemplars<'a>(point: &'a Point, histogram: &Histogram) -> Vec<Option<&'a Exemplar>> {
    let mut places: Vec<Option<&Exemplar>> = vec![None; histogram.counts.len()];
    for exemplar in &point.exemplars {
        let bucket = histogram
            .bounds
            .partition_point(|bound| *bound < exemplar.value);
        if let Some(place) = places.get_mut(bucket)
            && place.is_none_or(|newest| newest.time <= exemplar.time)
        {
            *place = Some(exemplar);
        }
    }
    places
}
