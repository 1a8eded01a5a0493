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
                        add(into.to_mut(), point);
                    }
                }
            }
        }
        series
    }
}

/// Adds the value of `other`.
fn add(point: &mut Point, other: &Point) {
    point.start = point.start.min(other.start);
    match (&mut point.value, &other.value) {
        (Value::Integer(sum), Value::Integer(more)) => *sum = sum.saturating_add(*more),
        (Value::Histogram(sum), Value::Histogram(more)) => {
            add_histogram(sum, more);
            point.exemplars.extend_from_slice(&other.exemplars);
        }
        (sum, more) => {
            if let (Some(left), Some(right)) = (scalar(sum), scalar(more)) {
                *sum = Value::Float(left + right);
            }
        }
    }
}

fn scalar(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Histogram(_) => None,
    }
}

/// Adds two distributions on the bounds that both have, which is exact whatever their bounds are.
fn add_histogram(sum: &mut Histogram, more: &Histogram) {
    if sum.bounds == more.bounds {
        for (count, other) in sum.counts.iter_mut().zip(&more.counts) {
            *count = count.saturating_add(*other);
        }
    } else {
        let common: Vec<f64> = sum
            .bounds
            .iter()
            .copied()
            .filter(|bound| more.bounds.contains(bound))
            .collect();
        let mut counts = coarsen(sum, &common);
        for (count, other) in counts.iter_mut().zip(coarsen(more, &common)) {
            *count = count.saturating_add(other);
        }
        sum.counts = counts;
        sum.bounds = common.into();
    }
    sum.sum += more.sum;
}

/// The counts of `histogram` on some of its own bounds.
fn coarsen(histogram: &Histogram, bounds: &[f64]) -> Vec<u64> {
    let mut counts = vec![0_u64; bounds.len() + 1];
    for (index, count) in histogram.counts.iter().enumerate() {
        let bound = histogram
            .bounds
            .get(index)
            .copied()
            .unwrap_or(f64::INFINITY);
        // As many places as bounds, and one: a bound that is above all of them has the last.
        let place = &mut counts[bounds.partition_point(|common| *common < bound)];
        *place = place.saturating_add(*count);
    }
    counts
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
