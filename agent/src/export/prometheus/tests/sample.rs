//! Made-up snapshots.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::metric::{
    Attributes, Collector, DURATION_BOUNDS, Descriptor, Exemplar, Histogram, Point, Resource,
    Snapshot, Unit, Value,
};

pub(super) static DURATION: Descriptor = Descriptor::histogram(
    "http.server.request.duration",
    "Duration of \"server\" requests,\nfrom C:\\first to last byte",
    Unit::Seconds,
);
pub(super) static IO: Descriptor =
    Descriptor::counter("tcp.io", "Bytes sent and received", Unit::Bytes);
pub(super) static CPU: Descriptor =
    Descriptor::counter("system.cpu.time", "Time spent", Unit::Seconds);
pub(super) static UTILIZATION: Descriptor = Descriptor::gauge(
    "system.cpu.utilization",
    "Share of the time that the CPU was busy",
    Unit::Ratio,
);
pub(super) static ACTIVE: Descriptor = Descriptor::up_down_counter(
    "http.server.active_requests",
    "Requests that are being answered",
    Unit::Count("{request}"),
);
pub(super) static THREADS: Descriptor =
    Descriptor::up_down_counter("process.thread.count", "Threads", Unit::Count("{thread}"));

pub(super) fn time() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)
}

pub(super) fn service(name: &str, instance: &str) -> Arc<Resource> {
    let identity = [
        ("service.name", name.into()),
        ("service.namespace", "shop".into()),
    ];
    let rest = [("service.instance.id", instance.into())];
    Arc::new(Resource {
        attributes: identity.iter().cloned().chain(rest).collect(),
        identity: identity.into(),
    })
}

pub(super) fn host() -> Arc<Resource> {
    Arc::new(Resource {
        attributes: [("host.name", "h1".into()), ("os.type", "linux".into())].into(),
        identity: Attributes::none(),
    })
}

pub(super) fn collector() -> Collector {
    Collector::new(host(), UNIX_EPOCH + Duration::from_secs(1_600_000_000))
}

/// A histogram on the given bounds.
pub(super) fn histogram(bounds: &[f64], counts: &[u64], sum: f64) -> Value {
    Value::Histogram(Histogram {
        bounds: bounds.into(),
        counts: counts.to_vec(),
        sum,
    })
}

pub(super) fn exemplar(value: f64, id: u8) -> Exemplar {
    Exemplar {
        value,
        time: time() + Duration::from_secs(id.into()),
        trace_id: [id; 16],
        span_id: [id; 8],
    }
}

/// What the golden files hold: every kind, every unit's spelling, values and strings of the
/// nastier sort.
pub(super) fn golden() -> Snapshot {
    let mut collector = collector();
    let shop = service("cart", "a");
    let raw = String::from_utf8_lossy(b"/\0\x01\x1b/\"quoted\"\\back\nline/\xff\xfe");
    let attributes = |status: i64| -> Attributes {
        [
            ("http.request.method", "GET".into()),
            ("http.response.status_code", status.into()),
            ("http.route", raw.clone().into_owned().into()),
            ("tls", true.into()),
        ]
        .into()
    };
    let mut counts = vec![0; DURATION_BOUNDS.len() + 1];
    (counts[2], counts[7], counts[18]) = (3, 40, 1);
    collector.push_point(
        &DURATION,
        Point {
            resource: Arc::clone(&shop),
            attributes: attributes(200),
            start: time(),
            value: histogram(DURATION_BOUNDS, &counts, 12.375),
            exemplars: vec![exemplar(0.0007, 1), exemplar(11.5, 2)],
        },
    );
    let counts = vec![0; DURATION_BOUNDS.len() + 1];
    collector.push_for(
        &DURATION,
        Arc::clone(&shop),
        attributes(500),
        histogram(DURATION_BOUNDS, &counts, 0.0),
    );
    collector.push_for(
        &IO,
        Arc::clone(&shop),
        [("network.io.direction", "receive".into())].into(),
        Value::Integer(u64::MAX),
    );
    collector.push(
        &CPU,
        [("cpu.mode", "user".into())].into(),
        Value::Float(0.1 + 0.2),
    );
    collector.push(
        &CPU,
        [("cpu.mode", "idle".into())].into(),
        Value::Float(1e21),
    );
    for (cpu, value) in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5]
        .into_iter()
        .enumerate()
    {
        let cpu = i64::try_from(cpu).expect("four");
        collector.push(
            &UTILIZATION,
            [("cpu.logical_number", cpu.into())].into(),
            Value::Float(value),
        );
    }
    collector.push_for(&ACTIVE, shop, Attributes::none(), Value::Integer(7));
    collector.push_for(
        &THREADS,
        service("db", "b"),
        Attributes::none(),
        Value::Integer(12),
    );
    collector.finish(time())
}
