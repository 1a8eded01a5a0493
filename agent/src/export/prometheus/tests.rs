//! Tests of whole expositions.
#![expect(clippy::float_cmp, reason = "the numbers are small and whole")]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use proptest::prelude::*;

use super::*;
use crate::{
    export::web::WebStats,
    metric::{AttributeValue, Value},
};

mod golden;
mod merge;
mod parse;
mod reference;
mod sample;

use parse::parse;
use sample::{ACTIVE, DURATION, IO, THREADS, UTILIZATION};

const FORMATS: [Format; 2] = [Format::Text, Format::OpenMetrics];

#[test]
fn both_formats_hold_the_same_numbers() {
    let snapshot = sample::golden();
    let read = |format| -> Vec<_> {
        let families = parse(&encode(&snapshot, format).body, format).into_values();
        let samples = families.flat_map(|family| family.samples);
        let mut heads: Vec<_> = samples.map(|sample| sample.head).collect();
        heads.sort();
        heads
    };
    assert_eq!(read(Format::Text), read(Format::OpenMetrics));
}

#[test]
fn exemplars_stand_at_their_buckets_in_open_metrics_only() {
    let snapshot = sample::golden();
    let families = parse(
        &encode(&snapshot, Format::OpenMetrics).body,
        Format::OpenMetrics,
    );
    let samples = &families["http_server_request_duration_seconds"].samples;
    let found: Vec<_> = samples
        .iter()
        .filter_map(|sample| Some((sample.labels.get("le")?.as_str(), sample.exemplar.clone()?)))
        .map(|(le, (labels, value, time))| (le, labels["trace_id"].clone(), value, time))
        .collect();
    let trace = |id: &str| id.repeat(16);
    assert_eq!(
        found,
        [
            ("0.001", trace("01"), 0.0007, Some(1_700_000_001.123)),
            ("+Inf", trace("02"), 11.5, Some(1_700_000_002.123)),
        ]
    );
}

#[test]
fn target_info_holds_each_resource_once_and_only_what_is_no_label() {
    let mut collector = sample::collector();
    for instance in ["a", "b", "a"] {
        let resource = sample::service("cart", instance);
        collector.push_for(&IO, resource, Attributes::none(), Value::Integer(1));
    }
    let identity: Attributes = [("service.name", "plain".into())].into();
    let plain = Arc::new(Resource {
        attributes: identity.clone(),
        identity,
    });
    collector.push_for(&IO, plain, Attributes::none(), Value::Integer(1));
    let exposition = encode(&collector.finish(sample::time()), Format::Text);
    let families = parse(&exposition.body, Format::Text);
    let targets = &families["target_info"].samples;
    let instance = |sample: &parse::Sample| sample.labels.get("service_instance_id").cloned();
    let instances: Vec<_> = targets.iter().map(instance).collect();
    assert_eq!(
        instances,
        [None, Some("a".to_owned()), Some("b".to_owned())]
    );
    assert_eq!(targets[0].labels["host_name"], "h1");
    assert_eq!(targets[1].labels["service_name"], "cart");
}

#[test]
fn what_the_format_cannot_hold_is_counted() {
    static CLASH: Descriptor = Descriptor {
        name: "tcp_io",
        help: "A gauge with a counter's name",
        unit: Unit::Bytes,
        kind: Kind::Gauge,
    };
    static SAMPLES: Descriptor = Descriptor {
        name: "tcp.io_bytes.total",
        help: "A gauge with the name of a counter's samples",
        unit: Unit::None,
        kind: Kind::Gauge,
    };
    let mut collector = sample::collector();
    collector.push(&IO, Attributes::none(), Value::Integer(1));
    collector.push(&CLASH, Attributes::none(), Value::Integer(1));
    collector.push(&SAMPLES, Attributes::none(), Value::Integer(1));
    collector.push(&DURATION, Attributes::none(), Value::Integer(1));
    collector.push(
        &DURATION,
        Attributes::none(),
        sample::histogram(&[1.0], &[1], 1.0),
    );
    let snapshot = collector.finish(sample::time());
    for format in FORMATS {
        let exposition = encode(&snapshot, format);
        assert_eq!((exposition.series, exposition.rejected), (2, 4));
        parse(&exposition.body, format);
    }
}

/// Names that attributes of a made-up point have, some of which come to the same label.
const KEYS: [&str; 6] = ["a", "a.b", "a_b", "http.route", "service.name", "zone"];

fn attribute() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        any::<String>().prop_map(AttributeValue::from),
        "[\\\\\"\n\0\r,={} #]{0,8}".prop_map(AttributeValue::from),
        any::<i64>().prop_map(AttributeValue::from),
        any::<bool>().prop_map(AttributeValue::from),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let pairs = (prop::sample::select(KEYS.as_slice()), attribute());
    prop::collection::vec(pairs, 0..5).prop_map(|pairs| pairs.into_iter().collect())
}

proptest! {
    #[test]
    fn fault_04_every_string_reads_back(text in any::<String>(), help in any::<String>()) {
        let descriptor: &'static Descriptor = Box::leak(Box::new(Descriptor {
            name: "x",
            help: Box::leak(help.clone().into_boxed_str()),
            unit: Unit::None,
            kind: Kind::Gauge,
        }));
        let mut collector = sample::collector();
        let attributes = [("http.route", text.clone().into())];
        collector.push(descriptor, attributes.into(), Value::Integer(1));
        let snapshot = collector.finish(sample::time());
        for format in FORMATS {
            let families = parse(&encode(&snapshot, format).body, format);
            prop_assert_eq!(&families["x"].help, &help);
            let label = families["x"].samples[0].labels.get("http_route");
            prop_assert_eq!(label.cloned().unwrap_or_default(), text.as_str());
        }
    }

    /// Nothing is counted twice or lost, however points share their labels.
    #[test]
    fn conservation(points in prop::collection::vec((attributes(), attributes(), 0..1000_u64), 0..40)) {
        let mut collector = sample::collector();
        let mut total = 0;
        let pushed = points.len() as u64;
        for (identity, attributes, value) in points {
            let resource = Resource { attributes: identity.clone(), identity };
            let value = [value, value + 1];
            total += value[0];
            collector.push_for(&IO, Arc::new(resource), attributes.clone(), Value::Integer(value[0]));
            let histogram = sample::histogram(&[1.0], &value, 1.0);
            collector.push(&DURATION, attributes, histogram);
        }
        let snapshot = collector.finish(sample::time());
        for format in FORMATS {
            let exposition = encode(&snapshot, format);
            prop_assert_eq!(exposition.rejected, 0);
            let families = parse(&exposition.body, format);
            let samples = || families.values().flat_map(|family| &family.samples);
            let sum = |name: &str| -> f64 {
                samples().filter(|sample| sample.name == name).map(|sample| sample.value).sum()
            };
            prop_assert_eq!(sum("tcp_io_bytes_total"), total as f64);
            let count = sum("http_server_request_duration_seconds_count");
            prop_assert_eq!(count, (2 * total + pushed) as f64);
        }
    }
}
