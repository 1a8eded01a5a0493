//! Metrics.

use std::{sync::Arc, time::SystemTime};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as ProtoExemplar, ExponentialHistogram,
    ExponentialHistogramDataPoint, Gauge, Histogram as ProtoHistogram, HistogramDataPoint, Metric,
    NumberDataPoint, Sum, exemplar, metric::Data, number_data_point,
};

use super::{
    ByResource, attributes, exponential, nanoseconds,
    succession::Successions,
    temporality::{Deltas, Since},
};
use crate::{
    export::otlp::{
        config::{HistogramAggregation, TemporalityPreference},
        message::{Group, Request},
    },
    metric::{Descriptor, Exemplar, Histogram, Kind, Point, Snapshot, Value},
};

/// Turns snapshots into metrics; remembers the last one, and its totals where deltas are wanted.
#[derive(Debug)]
pub(in super::super) struct MetricBuilder {
    deltas: Deltas,
    successions: Successions,
    aggregation: HistogramAggregation,
}

/// A snapshot in OTLP's shape.
#[derive(Debug)]
pub(in super::super) struct Built {
    pub(in super::super) groups: Vec<Group<Metric>>,
    /// Points whose value doesn't fit their metric's kind.
    pub(in super::super) invalid: u64,
}

impl MetricBuilder {
    pub(in super::super) fn new(
        temporality: TemporalityPreference,
        aggregation: HistogramAggregation,
    ) -> Self {
        Self {
            deltas: Deltas::new(temporality),
            successions: Successions::default(),
            aggregation,
        }
    }

    /// The points of `snapshot` by resource and metric.
    pub(in super::super) fn build(&mut self, snapshot: &Arc<Snapshot>) -> Built {
        self.deltas.next_export(snapshot);
        self.successions.next_export(snapshot);
        let mut by_resource: ByResource<Metric> = ByResource::new();
        let mut invalid = 0;
        for family in &snapshot.families {
            for point in &family.points {
                let Some(since) = self.since(family.descriptor, point, snapshot.time) else {
                    continue;
                };
                let metrics = by_resource.of(&point.resource);
                if metrics
                    .last()
                    .is_none_or(|metric| metric.name != family.descriptor.name)
                {
                    metrics.push(self.empty(family.descriptor));
                }
                let data = metrics.last_mut().and_then(|metric| metric.data.as_mut());
                let pushed = data.and_then(|data| push(data, point, since, snapshot.time));
                invalid += u64::from(pushed.is_none());
            }
        }
        let mut groups = by_resource.into_groups();
        for group in &mut groups {
            group
                .records
                .retain(|metric| ExportMetricsServiceRequest::items(metric) > 0);
        }
        Built { groups, invalid }
    }

    fn since(
        &mut self,
        descriptor: &'static Descriptor,
        point: &Point,
        time: SystemTime,
    ) -> Option<Since> {
        if self.deltas.wanted(descriptor.kind) {
            return self.deltas.take(descriptor.name, point, time);
        }
        Some(self.successions.since(descriptor.name, point))
    }

    /// The metric without points.
    fn empty(&self, descriptor: &Descriptor) -> Metric {
        let aggregation_temporality = if self.deltas.wanted(descriptor.kind) {
            AggregationTemporality::Delta
        } else {
            AggregationTemporality::Cumulative
        }
        .into();
        let data = match (descriptor.kind, self.aggregation) {
            (Kind::Gauge, _) => Data::Gauge(Gauge::default()),
            (Kind::Counter | Kind::UpDownCounter, _) => Data::Sum(Sum {
                aggregation_temporality,
                is_monotonic: descriptor.kind == Kind::Counter,
                ..Sum::default()
            }),
            (Kind::Histogram, HistogramAggregation::ExplicitBucketHistogram) => {
                Data::Histogram(ProtoHistogram {
                    aggregation_temporality,
                    ..ProtoHistogram::default()
                })
            }
            (Kind::Histogram, HistogramAggregation::Base2ExponentialBucketHistogram) => {
                Data::ExponentialHistogram(ExponentialHistogram {
                    aggregation_temporality,
                    ..ExponentialHistogram::default()
                })
            }
        };
        Metric {
            name: descriptor.name.to_owned(),
            description: descriptor.help.to_owned(),
            unit: descriptor.unit.ucum().to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }
}

/// Adds a point to its metric's data; `None` when its value is of another kind.
fn push(data: &mut Data, point: &Point, since: Since, time: SystemTime) -> Option<()> {
    // After a step of the clock back, a start after the end would be refused.
    let start = since.start.min(time);
    match (data, since.value) {
        (Data::Gauge(gauge), value) => {
            let number = number_point(point, &value, None, time)?;
            gauge.data_points.push(number);
        }
        (Data::Sum(sum), value) => {
            let number = number_point(point, &value, Some(start), time)?;
            sum.data_points.push(number);
        }
        (Data::Histogram(histogram), Value::Histogram(value)) => {
            let point = explicit_point(point, value, start, time)?;
            histogram.data_points.push(point);
        }
        (Data::ExponentialHistogram(histogram), Value::Histogram(value)) => {
            let point = exponential_point(point, &value, start, time)?;
            histogram.data_points.push(point);
        }
        _ => return None,
    }
    Some(())
}

fn number_point(
    point: &Point,
    value: &Value,
    start: Option<SystemTime>,
    time: SystemTime,
) -> Option<NumberDataPoint> {
    let value = match value {
        Value::Integer(number) => match i64::try_from(*number) {
            Ok(number) => number_data_point::Value::AsInt(number),
            Err(_) => number_data_point::Value::AsDouble(*number as f64),
        },
        Value::Float(number) => number_data_point::Value::AsDouble(*number),
        Value::Histogram(_) => return None,
    };
    Some(NumberDataPoint {
        attributes: attributes(&point.attributes),
        start_time_unix_nano: start.map_or(0, nanoseconds),
        time_unix_nano: nanoseconds(time),
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn explicit_point(
    point: &Point,
    value: Histogram,
    start: SystemTime,
    time: SystemTime,
) -> Option<HistogramDataPoint> {
    if value.counts.len() != value.bounds.len() + 1 {
        return None;
    }
    Some(HistogramDataPoint {
        attributes: attributes(&point.attributes),
        start_time_unix_nano: nanoseconds(start),
        time_unix_nano: nanoseconds(time),
        count: value.count(),
        sum: Some(value.sum),
        explicit_bounds: value.bounds.to_vec(),
        bucket_counts: value.counts,
        exemplars: exemplars(point),
        ..HistogramDataPoint::default()
    })
}

fn exponential_point(
    point: &Point,
    value: &Histogram,
    start: SystemTime,
    time: SystemTime,
) -> Option<ExponentialHistogramDataPoint> {
    if value.counts.len() != value.bounds.len() + 1 {
        return None;
    }
    let exponential = exponential::convert(value)?;
    Some(ExponentialHistogramDataPoint {
        attributes: attributes(&point.attributes),
        start_time_unix_nano: nanoseconds(start),
        time_unix_nano: nanoseconds(time),
        count: value.count(),
        sum: Some(value.sum),
        scale: exponential.scale,
        zero_count: exponential.zero_count,
        positive: Some(exponential.positive),
        exemplars: exemplars(point),
        ..ExponentialHistogramDataPoint::default()
    })
}

fn exemplars(point: &Point) -> Vec<ProtoExemplar> {
    let convert = |exemplar: &Exemplar| ProtoExemplar {
        time_unix_nano: nanoseconds(exemplar.time),
        span_id: exemplar.span_id.to_vec(),
        trace_id: exemplar.trace_id.to_vec(),
        value: Some(exemplar::Value::AsDouble(exemplar.value)),
        ..ProtoExemplar::default()
    };
    point.exemplars.iter().map(convert).collect()
}
