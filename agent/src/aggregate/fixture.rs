//! What the tests of this module's parts observe.

use std::{
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use sonde_common::event::http::Tuple;

use crate::{
    clock::Clock,
    l7::{
        exchange::{Exchange, Method, Role},
        headers::Headers,
        transport::Transport,
    },
    metric::{Attributes, Collector, Resource, Snapshot, Value},
};

/// A service's resource.
pub(crate) fn resource(name: &str) -> Arc<Resource> {
    let attributes = Attributes::from([("service.name", name.into())]);
    Arc::new(Resource {
        identity: attributes.clone(),
        attributes,
    })
}

/// The host's.
pub(crate) fn host() -> Arc<Resource> {
    Arc::new(Resource {
        attributes: Attributes::from([("host.name", "h".into())]),
        identity: Attributes::none(),
    })
}

/// A clock that started in January 2027.
pub(crate) fn clock() -> Clock {
    Clock::with_boot(UNIX_EPOCH + Duration::from_hours(500_000))
}

/// 127.0.0.1:40000 to 192.0.2.1:8080, as the client sees it.
pub(crate) fn tuple() -> Tuple {
    Tuple {
        local: Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets(),
        remote: Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets(),
        local_port: 40_000,
        remote_port: 8_080,
        netns: 1,
    }
}

/// `GET /users/42` over HTTP/1.1, 200 after 3 ms.
pub(crate) fn exchange(role: Role) -> Exchange {
    let mut tuple = tuple();
    if role == Role::Server {
        std::mem::swap(&mut tuple.local, &mut tuple.remote);
        std::mem::swap(&mut tuple.local_port, &mut tuple.remote_port);
    }
    Exchange {
        connection: 1,
        tuple,
        role,
        queued: None,
        transport: Transport::default(),
        tgid: 100,
        start: 1_000_000_000,
        response_start: Some(1_002_000_000),
        end: 1_003_000_000,
        method: Method::Get,
        method_original: None,
        path: "/users/42".into(),
        host: None,
        user_agent: None,
        version: "1.1",
        scheme: "http",
        status: Some(200),
        failure: None,
        request_body: Some(0),
        response_body: Some(512),
        parent: None,
        request_headers: Headers::default(),
        response_headers: Headers::default(),
        truncated: false,
        rpc: None,
    }
}

/// What `collect` adds.
pub(crate) fn snapshot(collect: impl FnOnce(&mut Collector)) -> Snapshot {
    let mut collector = Collector::new(host(), UNIX_EPOCH);
    collect(&mut collector);
    collector.finish(UNIX_EPOCH)
}

/// Every series of a metric as text: `value{name="value",...}`, or `n=count s=sum{...}` for a
/// histogram, `service` first where the series is a service's.
pub(crate) fn series(snapshot: &Snapshot, name: &str) -> Vec<String> {
    let points = snapshot
        .families
        .iter()
        .filter(|family| family.descriptor.name == name)
        .flat_map(|family| &family.points);
    points
        .map(|point| {
            let value = match &point.value {
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Histogram(histogram) => {
                    format!("n={} s={}", histogram.count(), histogram.sum)
                }
            };
            let labels: Vec<_> = point
                .resource
                .identity
                .iter()
                .chain(point.attributes.iter())
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("{value} {{{}}}", labels.join(","))
        })
        .collect()
}
