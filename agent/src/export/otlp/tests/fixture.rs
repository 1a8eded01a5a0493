//! Data to export.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    export::otlp::{OtlpStats, Reason, SignalKind},
    l7::exchange::{Role, TraceParent},
    metric::{
        Attributes, Collector, Descriptor, Exemplar, Histogram, Point, Resource, Snapshot, Unit,
        Value,
    },
    signal::{LogRecord, Severity, Signal, Span, SpanContext},
};

pub(crate) fn resource(name: &str) -> Arc<Resource> {
    Arc::new(Resource {
        attributes: Attributes::from([("service.name", name.into()), ("host.name", "h".into())]),
        identity: Attributes::from([("service.name", name.into())]),
    })
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

pub(crate) fn span(resource: &Arc<Resource>, name: &str) -> Arc<Span> {
    Arc::new(Span {
        resource: Arc::clone(resource),
        context: SpanContext {
            trace_id: [7; 16],
            span_id: [8; 8],
            flags: 1,
        },
        parent: Some(TraceParent {
            trace_id: [7; 16],
            span_id: [9; 8],
            flags: 1,
        }),
        name: name.into(),
        role: Role::Server,
        start: at(1),
        end: at(2),
        attributes: Attributes::from([
            ("http.request.method", "GET".into()),
            ("http.response.status_code", 500_i64.into()),
        ]),
        error: true,
    })
}

pub(crate) fn span_signal(name: &str) -> Signal {
    Signal::Span(span(&resource("shop"), name))
}

pub(crate) fn log(resource: &Arc<Resource>) -> Arc<LogRecord> {
    Arc::new(LogRecord {
        time: at(3),
        resource: Arc::clone(resource),
        severity: Severity::Error,
        event_name: "process.crash",
        body: "worker was killed by signal 11".to_owned(),
        attributes: Attributes::from([("process.pid", 42_i64.into())]),
        span: Some(SpanContext {
            trace_id: [1; 16],
            span_id: [2; 8],
            flags: 1,
        }),
    })
}

pub(crate) static REQUESTS: Descriptor =
    Descriptor::counter("test.requests", "Requests", Unit::Count("{request}"));
pub(crate) static OPEN: Descriptor =
    Descriptor::up_down_counter("test.open", "Open things", Unit::None);
pub(crate) static LOAD: Descriptor = Descriptor::gauge("test.load", "Load", Unit::Ratio);
pub(crate) static DURATION: Descriptor =
    Descriptor::histogram("test.duration", "Duration", Unit::Seconds);

/// One metric of each kind for one service, and a counter of the host: 5 points.
pub(crate) fn snapshot(time: u64, total: u64) -> Snapshot {
    let mut collector = Collector::new(resource("host"), at(0));
    collector.push(&REQUESTS, Attributes::none(), Value::Integer(total));
    let shop = resource("shop");
    for (descriptor, value) in [
        (&REQUESTS, Value::Integer(total)),
        (&OPEN, Value::Integer(3)),
        (&LOAD, Value::Float(0.5)),
    ] {
        let attributes = Attributes::from([("http.route", "/".into())]);
        collector.push_for(descriptor, Arc::clone(&shop), attributes, value);
    }
    let histogram = Histogram {
        bounds: [0.1, 1.0].into(),
        counts: vec![total, 1, 2],
        sum: 12.5,
    };
    let point = Point {
        resource: shop,
        attributes: Attributes::none(),
        start: at(0),
        value: Value::Histogram(histogram),
        exemplars: vec![Exemplar {
            value: 0.05,
            time: at(1),
            trace_id: [3; 16],
            span_id: [4; 8],
        }],
    };
    collector.push_point(&DURATION, point);
    collector.finish(at(time))
}

/// Points of [`snapshot`].
pub(crate) const SNAPSHOT_POINTS: u64 = 5;

/// The law: captured = exported + dropped + waiting.
pub(crate) fn assert_conserved(stats: &OtlpStats) {
    for signal in SignalKind::ALL {
        let stats = stats.signal(signal);
        let dropped: u64 = Reason::ALL
            .iter()
            .map(|reason| stats.dropped(*reason))
            .sum();
        let known = stats.exported() + dropped + stats.waiting();
        assert_eq!(stats.captured(), known, "{signal}: {stats:?}");
    }
}
