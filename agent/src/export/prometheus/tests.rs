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

mod parse;
mod reference;
mod sample;

use parse::parse;
use sample::{ACTIVE, DURATION, IO, THREADS, UTILIZATION};

const FORMATS: [Format; 2] = [Format::Text, Format::OpenMetrics];

/// Compares with the golden file, or writes it when `SONDE_BLESS` is set.
fn golden(file: &str, format: Format) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/golden");
    let exposition = encode(&sample::golden(), format);
    assert_eq!(exposition.rejected, 0);
    parse(&exposition.body, format);
    if std::env::var_os("SONDE_BLESS").is_some() {
        std::fs::write(folder.join(file), &exposition.body).unwrap();
    }
    let expected = std::fs::read(folder.join(file)).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert_eq!(text(exposition.body), text(expected));
}

#[test]
fn golden_text() {
    golden("metrics.txt", Format::Text);
}

#[test]
fn golden_open_metrics() {
    golden("metrics.om", Format::OpenMetrics);
}

/// Runs promtool, with `input` on its standard input; `None` where the machine has none.
fn promtool(arguments: &[&str], input: &[u8]) -> Option<(bool, String)> {
    let spawned = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("LEFT OUT: promtool is missing (Debian package prometheus)");
            return None;
        }
        Err(error) => panic!("promtool: {error}"),
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

#[test]
fn promtool_finds_nothing_in_the_text_format() {
    let mut collector = sample::collector();
    WebStats::default().collect(&mut collector);
    for snapshot in [sample::golden(), collector.finish(sample::time())] {
        let body = encode(&snapshot, Format::Text).body;
        if let Some((passed, said)) = promtool(&["check", "metrics"], &body) {
            assert!(passed && said.is_empty(), "{said}");
        }
    }
}

/// `promtool tsdb create-blocks-from openmetrics` has Prometheus' own parser, which here needs a
/// timestamp in each sample.
#[test]
fn prometheus_reads_the_open_metrics_format() {
    let body = encode(&sample::golden(), Format::OpenMetrics).body;
    let families = parse(&body, Format::OpenMetrics);
    let mut dated = Vec::new();
    for (name, family) in &families {
        writeln!(dated, "# TYPE {name} {}", family.kind).unwrap();
        for sample in &family.samples {
            writeln!(dated, "{} 1700000000.5{}", sample.head, sample.tail).unwrap();
        }
    }
    dated.extend_from_slice(b"# EOF\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics.om");
    std::fs::write(&file, dated).unwrap();
    let blocks = folder.path().join("blocks");
    let arguments = ["tsdb", "create-blocks-from", "openmetrics"];
    let paths = [file.to_str().unwrap(), blocks.to_str().unwrap()];
    if let Some((passed, said)) = promtool(&[&arguments[..], &paths[..]].concat(), b"") {
        assert!(passed, "{said}");
    }
}

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

/// The value of the only series of `descriptor` that two points with equal labels come to.
fn merged(descriptor: &'static Descriptor, values: [Value; 2]) -> Vec<f64> {
    let mut collector = sample::collector();
    for (value, instance) in values.into_iter().zip(["a", "b"]) {
        let resource = sample::service("cart", instance);
        collector.push_for(descriptor, resource, Attributes::none(), value);
    }
    let exposition = encode(&collector.finish(sample::time()), Format::Text);
    let families = parse(&exposition.body, Format::Text);
    let name = Name::new(descriptor);
    families[name.sample()]
        .samples
        .iter()
        .map(|sample| sample.value)
        .collect()
}

#[test]
fn series_of_two_instances_of_a_service_are_added() {
    let integers = [Value::Integer(3), Value::Integer(4)];
    let mixed = [Value::Integer(3), Value::Float(0.5)];
    assert_eq!(merged(&IO, integers.clone()), [7.0]);
    assert_eq!(merged(&ACTIVE, mixed), [3.5]);
    assert_eq!(
        merged(&UTILIZATION, integers),
        [4.0],
        "of gauges the last stands"
    );
}

#[test]
fn distributions_are_added_on_the_bounds_that_they_share() {
    let same = [
        sample::histogram(&[1.0, 2.0], &[1, 2, 3], 10.0),
        sample::histogram(&[1.0, 2.0], &[4, 5, 6], 20.0),
    ];
    assert_eq!(merged(&DURATION, same), [5.0, 12.0, 21.0, 30.0, 21.0]);
    let different = [
        sample::histogram(&[1.0, 2.0, 4.0], &[1, 2, 3, 4], 10.0),
        sample::histogram(&[2.0, 3.0], &[10, 20, 30], 20.0),
    ];
    assert_eq!(merged(&DURATION, different), [13.0, 70.0, 30.0, 70.0]);
}

#[test]
fn labels_are_the_same_series_wherever_they_come_from() {
    let mut collector = sample::collector();
    let pairs = [("service.name", "cart".into()), ("a.first", "x".into())];
    let split = Resource {
        attributes: Attributes::none(),
        identity: [pairs[0].clone()].into(),
    };
    collector.push_for(
        &IO,
        split.into(),
        [pairs[1].clone()].into(),
        Value::Integer(1),
    );
    collector.push(&IO, pairs.into(), Value::Integer(2));
    let exposition = encode(&collector.finish(sample::time()), Format::Text);
    let families = parse(&exposition.body, Format::Text);
    assert_eq!(families["tcp_io_bytes_total"].samples.len(), 1);
    assert_eq!(families["tcp_io_bytes_total"].samples[0].value, 3.0);
}

#[test]
fn attributes_that_come_to_one_label_are_joined() {
    let mut collector = sample::collector();
    let attributes = [
        ("a.b", "1".into()),
        ("a.c", "2".into()),
        ("a_b", "3".into()),
    ];
    collector.push(&IO, attributes.into(), Value::Integer(1));
    let exposition = encode(&collector.finish(sample::time()), Format::Text);
    let families = parse(&exposition.body, Format::Text);
    let labels = &families["tcp_io_bytes_total"].samples[0].labels;
    assert_eq!(labels["a_b"], "1;3");
    assert_eq!(labels["a_c"], "2");
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

#[test]
fn families_of_one_name_are_one_family() {
    static TWIN: Descriptor = Descriptor {
        name: "tcp_io",
        help: "The same metric, described twice",
        unit: Unit::Bytes,
        kind: Kind::Counter,
    };
    let mut collector = sample::collector();
    for (descriptor, way) in [(&IO, "in"), (&THREADS, "in"), (&TWIN, "out"), (&TWIN, "in")] {
        collector.push(descriptor, [("way", way.into())].into(), Value::Integer(1));
    }
    let exposition = encode(&collector.finish(sample::time()), Format::Text);
    let families = parse(&exposition.body, Format::Text);
    let values: Vec<_> = families["tcp_io_bytes_total"]
        .samples
        .iter()
        .map(|sample| sample.value)
        .collect();
    assert_eq!(values, [2.0, 1.0]);
}

#[test]
fn a_label_without_text_is_no_label() {
    let mut collector = sample::collector();
    for attributes in [
        vec![("a", ""), ("b", "1")],
        vec![("b", "1")],
        vec![("b", "1"), ("c", "")],
    ] {
        let pairs = attributes
            .into_iter()
            .map(|(key, value)| (key, value.into()));
        collector.push(&IO, pairs.collect(), Value::Integer(1));
    }
    let exposition = encode(&collector.finish(sample::time()), Format::Text);
    let families = parse(&exposition.body, Format::Text);
    let [only] = families["tcp_io_bytes_total"].samples.as_slice() else {
        panic!("one series: {families:?}");
    };
    assert_eq!((only.value, only.labels.len()), (3.0, 1));
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
