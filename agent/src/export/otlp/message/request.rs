//! The common shape of the three export requests.

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::InstrumentationScope,
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{Metric, ResourceMetrics, ScopeMetrics, metric::Data},
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};

use super::Group;
use crate::export::otlp::signal::SignalKind;

/// The semantic conventions that names follow.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "sonde".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// An export request: resources, one scope, records.
pub(in super::super) trait Request: prost::Message + Default {
    /// Whose request.
    const SIGNAL: SignalKind;
    /// What it carries.
    type Record: prost::Message;

    fn from_groups(groups: Vec<Group<Self::Record>>) -> Self;

    /// The inverse, for requests of our own.
    fn into_groups(self) -> Vec<Group<Self::Record>>;

    /// Items in a record.
    fn items(_record: &Self::Record) -> u64 {
        1
    }

    /// Two records with half the items each; `None` when there is only one.
    fn halve(_record: Self::Record) -> Option<(Self::Record, Self::Record)> {
        None
    }
}

impl Request for ExportTraceServiceRequest {
    const SIGNAL: SignalKind = SignalKind::Traces;
    type Record = Span;

    fn from_groups(groups: Vec<Group<Span>>) -> Self {
        let resource_spans = groups.into_iter().map(|group| ResourceSpans {
            resource: Some(group.resource),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans: group.records,
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        });
        Self {
            resource_spans: resource_spans.collect(),
        }
    }

    fn into_groups(self) -> Vec<Group<Span>> {
        let groups = self.resource_spans.into_iter().map(|spans| Group {
            resource: spans.resource.unwrap_or_default(),
            records: spans
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans)
                .collect(),
        });
        groups.collect()
    }
}

impl Request for ExportLogsServiceRequest {
    const SIGNAL: SignalKind = SignalKind::Logs;
    type Record = LogRecord;

    fn from_groups(groups: Vec<Group<LogRecord>>) -> Self {
        let resource_logs = groups.into_iter().map(|group| ResourceLogs {
            resource: Some(group.resource),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records: group.records,
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        });
        Self {
            resource_logs: resource_logs.collect(),
        }
    }

    fn into_groups(self) -> Vec<Group<LogRecord>> {
        let groups = self.resource_logs.into_iter().map(|logs| Group {
            resource: logs.resource.unwrap_or_default(),
            records: logs
                .scope_logs
                .into_iter()
                .flat_map(|scope| scope.log_records)
                .collect(),
        });
        groups.collect()
    }
}

impl Request for ExportMetricsServiceRequest {
    const SIGNAL: SignalKind = SignalKind::Metrics;
    type Record = Metric;

    fn from_groups(groups: Vec<Group<Metric>>) -> Self {
        let resource_metrics = groups.into_iter().map(|group| ResourceMetrics {
            resource: Some(group.resource),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: group.records,
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        });
        Self {
            resource_metrics: resource_metrics.collect(),
        }
    }

    fn into_groups(self) -> Vec<Group<Metric>> {
        let groups = self.resource_metrics.into_iter().map(|metrics| Group {
            resource: metrics.resource.unwrap_or_default(),
            records: metrics
                .scope_metrics
                .into_iter()
                .flat_map(|scope| scope.metrics)
                .collect(),
        });
        groups.collect()
    }

    /// Data points.
    fn items(metric: &Metric) -> u64 {
        let points = match &metric.data {
            Some(Data::Gauge(data)) => data.data_points.len(),
            Some(Data::Sum(data)) => data.data_points.len(),
            Some(Data::Histogram(data)) => data.data_points.len(),
            Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
            Some(Data::Summary(data)) => data.data_points.len(),
            None => 0,
        };
        points as u64
    }

    fn halve(mut metric: Metric) -> Option<(Metric, Metric)> {
        let half = usize::try_from(Self::items(&metric) / 2)
            .ok()
            .filter(|half| *half > 0)?;
        let mut second = metric.clone();
        keep(&mut metric, 0, half);
        keep(&mut second, half, usize::MAX);
        Some((metric, second))
    }
}

/// Leaves the points from `from` up to `to` in `metric`.
fn keep(metric: &mut Metric, from: usize, to: usize) {
    fn range<P>(points: &mut Vec<P>, from: usize, to: usize) {
        points.truncate(to);
        points.drain(..from.min(points.len()));
    }
    match &mut metric.data {
        Some(Data::Gauge(data)) => range(&mut data.data_points, from, to),
        Some(Data::Sum(data)) => range(&mut data.data_points, from, to),
        Some(Data::Histogram(data)) => range(&mut data.data_points, from, to),
        Some(Data::ExponentialHistogram(data)) => range(&mut data.data_points, from, to),
        Some(Data::Summary(data)) => range(&mut data.data_points, from, to),
        None => {}
    }
}
