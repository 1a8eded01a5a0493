use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::{
    aggregate::{
        cardinality::overflow_attributes,
        fixture::{self, clock, exchange, resource, series, snapshot},
    },
    l7::exchange::Failure,
    metric::{Family, Snapshot},
};

fn observe(red: &mut Red, exchange: &Exchange) -> Arc<str> {
    let route = red.observe(exchange, &resource("shop"), None, &clock());
    red.route(route)
}

fn told(red: &Red, name: &str) -> Vec<String> {
    series(&snapshot(|collector| red.collect(collector)), name)
}

fn family<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Family {
    snapshot
        .families
        .iter()
        .find(|family| family.descriptor.name == name)
        .unwrap()
}

#[test]
fn a_server_request_is_one_series_by_method_route_and_status() {
    let mut red = Red::new(RedLimits::default());
    assert_eq!(&*observe(&mut red, &exchange(Role::Server)), "/users/{id}");
    let mut other = exchange(Role::Server);
    other.path = "/users/43".into();
    observe(&mut red, &other);
    assert_eq!(
        told(&red, "http.server.request.duration"),
        [
            "n=2 s=0.006 {service.name=shop,http.request.method=GET,http.response.status_code=200,\
             http.route=/users/{id},network.protocol.version=1.1,url.scheme=http}"
        ]
    );
    assert!(told(&red, "http.client.request.duration").is_empty());
}

#[test]
fn a_client_request_names_the_server() {
    let mut red = Red::new(RedLimits::default());
    let mut failed = exchange(Role::Client);
    failed.host = Some("api.example.org".into());
    failed.status = Some(404);
    observe(&mut red, &failed);
    assert_eq!(
        told(&red, "http.client.request.duration"),
        [
            "n=1 s=0.003 {service.name=shop,error.type=404,http.request.method=GET,\
             http.response.status_code=404,http.route=/users/{id},network.protocol.version=1.1,\
             server.address=api.example.org,server.port=80,url.scheme=http}"
        ]
    );
}

#[test]
fn what_is_not_known_has_no_attribute_and_no_size() {
    let mut red = Red::new(RedLimits::default());
    let mut cut = exchange(Role::Server);
    cut.method = Method::Connect;
    cut.path = "".into();
    cut.status = None;
    cut.failure = Some(Failure::ConnectionReset);
    cut.request_body = None;
    cut.response_body = None;
    observe(&mut red, &cut);
    assert_eq!(
        told(&red, "http.server.request.duration"),
        [
            "n=1 s=0.003 {service.name=shop,error.type=connection_reset,\
             http.request.method=CONNECT,network.protocol.version=1.1,url.scheme=http}"
        ]
    );
    assert!(told(&red, "http.server.request.body.size").is_empty());
    assert!(told(&red, "http.server.response.body.size").is_empty());
}

#[test]
fn body_sizes_are_one_series_over_what_they_do_not_tell_apart() {
    let mut red = Red::new(RedLimits::default());
    observe(&mut red, &exchange(Role::Server));
    let mut old = exchange(Role::Server);
    old.version = "1.0";
    observe(&mut red, &old);
    assert_eq!(told(&red, "http.server.request.duration").len(), 2);
    assert_eq!(
        told(&red, "http.server.response.body.size"),
        ["n=2 s=1024 {service.name=shop,http.request.method=GET,\
             http.response.status_code=200,http.route=/users/{id}}"]
    );
}

#[test]
fn fault_02_an_unknown_method_is_other_in_metrics() {
    let mut red = Red::new(RedLimits::default());
    let mut odd = exchange(Role::Server);
    odd.method = Method::Other;
    odd.method_original = Some("get\u{1}".into());
    observe(&mut red, &odd);
    let [line] = told(&red, "http.server.request.duration")
        .try_into()
        .unwrap();
    assert!(line.contains("http.request.method=_OTHER"), "{line}");
    assert!(!line.contains("get"), "{line}");
}

#[test]
fn exemplars_are_the_latest_of_each_bucket() {
    let mut red = Red::new(RedLimits::default());
    let context = |number| SpanContext {
        trace_id: [number; 16],
        span_id: [number; 8],
        flags: 1,
    };
    let mut slow = exchange(Role::Server);
    slow.end = slow.start + 2_000_000_000;
    for (number, exchange) in [(1, &slow), (2, &exchange(Role::Server)), (3, &slow)] {
        red.observe(exchange, &resource("shop"), Some(context(number)), &clock());
    }
    let snapshot = snapshot(|collector| red.collect(collector));
    let point = &family(&snapshot, "http.server.request.duration").points[0];
    let exemplars: Vec<_> = point
        .exemplars
        .iter()
        .map(|exemplar| (exemplar.value.to_string(), exemplar.trace_id[0]))
        .collect();
    assert_eq!(exemplars, [("0.003".to_owned(), 2), ("2".to_owned(), 3)]);
    assert_eq!(
        point.exemplars[1].time,
        UNIX_EPOCH + Duration::from_secs(1_800_000_003)
    );
    assert!(point.start <= point.exemplars[0].time);
}

#[test]
fn fault_14_active_requests_go_back_to_zero() {
    let mut red = Red::new(RedLimits::default());
    let active = |count| Active {
        resource: resource("shop"),
        method: Method::Get,
        scheme: "http",
        count,
    };
    // Two connections of one service count together.
    red.set_active(UNIX_EPOCH, [active(2), active(1)]);
    let labels = "{service.name=shop,http.request.method=GET,url.scheme=http}";
    assert_eq!(
        told(&red, "http.server.active_requests"),
        [format!("3 {labels}")]
    );
    red.set_active(UNIX_EPOCH, []);
    assert_eq!(
        told(&red, "http.server.active_requests"),
        [format!("0 {labels}")]
    );
}

#[test]
fn fault_22_distinct_urls_stay_under_the_caps_and_keep_the_total() {
    let mut red = Red::new(RedLimits {
        series: Limits {
            per_service: 20,
            total: 30,
        },
        ..RedLimits::default()
    });
    let mut request = exchange(Role::Server);
    for number in 0..10_000_u32 {
        let word: String = number
            .to_string()
            .bytes()
            .map(|digit| char::from(digit - b'0' + b'a'))
            .collect();
        request.path = format!("/{word}").into();
        observe(&mut red, &request);
    }
    let snapshot = snapshot(|collector| red.collect(collector));
    let points = &family(&snapshot, "http.server.request.duration").points;
    assert_eq!(points.len(), 21);
    let total: u64 = points
        .iter()
        .map(|point| match &point.value {
            Value::Histogram(histogram) => histogram.count(),
            Value::Integer(_) | Value::Float(_) => 0,
        })
        .sum();
    assert_eq!(total, 10_000);
    assert_eq!(points[20].attributes, overflow_attributes());
    let [server, .., routes] = red.usage();
    assert_eq!(server.overflowed, 10_000 - 20);
    // The names before they were a value, and the value.
    assert_eq!((routes.series, routes.overflowed), (51, 0));
}

#[test]
fn names_that_have_become_a_value_are_told_as_one_from_then_on() {
    let routes = RouteLimits {
        names: 2,
        ..RouteLimits::default()
    };
    let mut red = Red::new(RedLimits {
        routes,
        ..RedLimits::default()
    });
    let mut request = exchange(Role::Server);
    let paths: [Arc<str>; 3] = ["ann", "bob", "cid"].map(|name| format!("/users/{name}").into());
    for _ in 0..3 {
        for path in &paths {
            request.path = Arc::clone(path);
            observe(&mut red, &request);
        }
    }
    let counts: Vec<_> = told(&red, "http.server.request.duration");
    let of = |route: &str| {
        let label = format!("http.route={route},");
        let line = counts.iter().find(|line| line.contains(&label));
        line.and_then(|line| line.split(' ').next())
            .map(str::to_owned)
    };
    let counts = ["/users/ann", "/users/bob", "/users/cid", "/users/{name}"].map(of);
    assert_eq!(
        counts.map(Option::unwrap_or_default),
        ["n=1", "n=1", "", "n=7"]
    );
}

#[test]
fn fault_23_no_duration_is_negative() {
    let mut red = Red::new(RedLimits::default());
    let mut backwards = exchange(Role::Server);
    backwards.end = backwards.start - 1;
    observe(&mut red, &backwards);
    let [line] = told(&red, "http.server.request.duration")
        .try_into()
        .unwrap();
    assert!(line.starts_with("n=1 s=0 "), "{line}");
}

#[test]
fn a_service_that_comes_back_counts_from_its_return() {
    let mut red = Red::new(RedLimits::default());
    observe(&mut red, &exchange(Role::Server));
    red.retain(|_| false);
    assert!(told(&red, "http.server.request.duration").is_empty());
    let mut later = exchange(Role::Server);
    later.start += 60_000_000_000;
    later.end += 60_000_000_000;
    observe(&mut red, &later);
    let snapshot = snapshot(|collector| red.collect(collector));
    let point = &family(&snapshot, "http.server.request.duration").points[0];
    assert_eq!(point.start, UNIX_EPOCH + Duration::from_secs(1_800_000_061));
}

proptest! {
    /// Whatever is observed under whatever caps: counts by role add up, and no two points of a
    /// metric are the same series.
    #[test]
    fn every_exchange_is_counted_once(
        requests in proptest::collection::vec(
            (0..4_u8, any::<bool>(), 0..4_u16, 0..6_u8, any::<bool>()), 0..200
        )
    ) {
        let mut red = Red::new(RedLimits {
            series: Limits { per_service: 5, total: 9 },
            routes: RouteLimits { per_service: 4, names: 2, remembered: 3, ..RouteLimits::default() },
            servers_per_service: 2,
        });
        let mut expected = [0_u64; 2];
        for (service, is_server, status, path, truncated) in requests {
            let role = if is_server { Role::Server } else { Role::Client };
            let mut request = exchange(role);
            request.status = Some(200 + status * 100);
            request.path = format!("/{}", char::from(b'a' + path)).into();
            request.host = truncated.then(|| format!("h{path}").into());
            red.observe(&request, &resource(&format!("s{service}")), None, &clock());
            expected[usize::from(is_server)] += 1;
        }
        let snapshot = snapshot(|collector| red.collect(collector));
        let counted = |name: &str| -> u64 {
            snapshot.families.iter()
                .filter(|family| family.descriptor.name == name)
                .flat_map(|family| &family.points)
                .map(|point| match &point.value {
                    Value::Histogram(histogram) => histogram.count(),
                    Value::Integer(_) | Value::Float(_) => 0,
                })
                .sum()
        };
        prop_assert_eq!(counted("http.server.request.duration"), expected[1]);
        prop_assert_eq!(counted("http.client.request.duration"), expected[0]);
        prop_assert_eq!(counted("http.server.request.body.size"), expected[1]);
        prop_assert_eq!(counted("http.client.response.body.size"), expected[0]);
        for family in &snapshot.families {
            let distinct: std::collections::HashSet<_> = family.points.iter()
                .map(|point| (&point.resource, &point.attributes))
                .collect();
            prop_assert_eq!(distinct.len(), family.points.len());
        }
    }
}

#[test]
fn what_belongs_to_nobody_belongs_to_the_host() {
    let mut red = Red::new(RedLimits {
        series: Limits {
            per_service: 1,
            total: 1,
        },
        ..RedLimits::default()
    });
    for service in ["a", "b"] {
        red.observe(&exchange(Role::Server), &resource(service), None, &clock());
    }
    let snapshot = snapshot(|collector| red.collect(collector));
    let points = &family(&snapshot, "http.server.request.duration").points;
    assert_eq!(points[1].resource, fixture::host());
    assert_eq!(points[1].start, UNIX_EPOCH);
}
