//! What comes to one series, label or family.

use super::*;

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
