use opentelemetry_proto::tonic::{
    metrics::v1::{AggregationTemporality, Metric, metric::Data, number_data_point},
    trace::v1::{span::SpanKind, status::StatusCode},
};

use super::{metric::MetricBuilder, *};
use crate::{
    export::otlp::{
        config::{HistogramAggregation, TemporalityPreference},
        tests::fixture::{self, LOAD, at, resource, snapshot},
    },
    metric::{Collector, Histogram, Value},
};

fn text(group: &ProtoResource, key: &str) -> Option<any_value::Value> {
    let pair = group.attributes.iter().find(|pair| pair.key == key)?;
    pair.value.clone()?.value
}

fn builder(temporality: TemporalityPreference) -> MetricBuilder {
    MetricBuilder::new(temporality, HistogramAggregation::ExplicitBucketHistogram)
}

/// A service's metric in the second group (the first is the host's).
fn service_metric<'a>(groups: &'a [Group<Metric>], name: &str) -> &'a Data {
    let metric = groups[1].records.iter().find(|metric| metric.name == name);
    metric
        .and_then(|metric| metric.data.as_ref())
        .expect("the metric")
}

#[test]
fn spans_are_grouped_by_what_their_resource_says() {
    let (shop, cart) = (resource("shop"), resource("cart"));
    let same_as_shop = resource("shop");
    let all = [
        fixture::span(&shop, "a"),
        fixture::span(&cart, "b"),
        fixture::span(&same_as_shop, "c"),
        fixture::span(&shop, "d"),
    ];
    let groups = spans(&all);
    let names = |group: &Group<_>| -> Vec<String> {
        let spans: &Vec<opentelemetry_proto::tonic::trace::v1::Span> = &group.records;
        spans.iter().map(|span| span.name.clone()).collect()
    };
    assert_eq!(
        groups.iter().map(names).collect::<Vec<_>>(),
        [vec!["a", "c", "d"], vec!["b"]]
    );
    let cart = any_value::Value::StringValue("cart".to_owned());
    assert_eq!(text(&groups[1].resource, "service.name"), Some(cart));
}

#[test]
fn a_span_keeps_its_ids_times_and_status() {
    let groups = spans(&[fixture::span(&resource("shop"), "GET /")]);
    let span = &groups[0].records[0];
    assert_eq!(
        (span.trace_id.as_slice(), span.span_id.as_slice()),
        (&[7; 16][..], &[8; 8][..])
    );
    assert_eq!(span.parent_span_id, [9; 8]);
    assert_eq!(span.flags, 0x301, "sampled, remote parent");
    assert_eq!(span.kind(), SpanKind::Server);
    assert_eq!(
        span.end_time_unix_nano - span.start_time_unix_nano,
        1_000_000_000
    );
    let status = span.status.as_ref().expect("a status");
    assert_eq!(status.code(), StatusCode::Error);
    assert_eq!(span.attributes.len(), 2);
}

#[test]
fn a_log_record_names_its_event_and_span() {
    let groups = logs(&[fixture::log(&resource("shop"))]);
    let record = &groups[0].records[0];
    assert_eq!(record.event_name, "process.crash");
    assert_eq!(
        (record.severity_number, record.severity_text.as_str()),
        (17, "ERROR")
    );
    assert_eq!(
        (record.trace_id.as_slice(), record.span_id.as_slice()),
        (&[1; 16][..], &[2; 8][..])
    );
    assert_eq!(record.time_unix_nano, 1_700_000_003_000_000_000);
}

#[test]
fn each_kind_of_metric_has_its_shape() {
    let built = builder(TemporalityPreference::Cumulative).build(&Arc::new(snapshot(60, 10)));
    assert_eq!((built.groups.len(), built.invalid), (2, 0));
    let Data::Sum(counter) = service_metric(&built.groups, "test.requests") else {
        panic!("a counter is a sum");
    };
    assert!(counter.is_monotonic);
    let point = &counter.data_points[0];
    assert_eq!(point.value, Some(number_data_point::Value::AsInt(10)));
    assert_eq!(
        point.time_unix_nano - point.start_time_unix_nano,
        60_000_000_000
    );
    let Data::Sum(open) = service_metric(&built.groups, "test.open") else {
        panic!("an up-down counter is a sum");
    };
    assert!(!open.is_monotonic);
    let Data::Gauge(load) = service_metric(&built.groups, "test.load") else {
        panic!("a gauge");
    };
    assert_eq!(load.data_points[0].start_time_unix_nano, 0);
    let Data::Histogram(duration) = service_metric(&built.groups, "test.duration") else {
        panic!("a histogram");
    };
    let point = &duration.data_points[0];
    assert_eq!((point.count, point.sum), (13, Some(12.5)));
    assert_eq!(point.explicit_bounds, [0.1, 1.0]);
    assert_eq!(point.bucket_counts, [10, 1, 2]);
    assert_eq!(point.exemplars[0].trace_id, [3; 16]);
    let units: Vec<_> = built.groups[1]
        .records
        .iter()
        .map(|metric| metric.unit.as_str())
        .collect();
    assert_eq!(units, ["{request}", "", "1", "s"]);
}

#[test]
fn deltas_are_marked_and_begin_where_the_last_one_ended() {
    let mut builder = builder(TemporalityPreference::Delta);
    builder.build(&Arc::new(snapshot(60, 10)));
    let built = builder.build(&Arc::new(snapshot(120, 25)));
    let Data::Sum(counter) = service_metric(&built.groups, "test.requests") else {
        panic!("a sum");
    };
    assert_eq!(
        counter.aggregation_temporality(),
        AggregationTemporality::Delta
    );
    let point = &counter.data_points[0];
    assert_eq!(point.value, Some(number_data_point::Value::AsInt(15)));
    assert_eq!(point.start_time_unix_nano, nanoseconds(at(60)));
    let Data::Sum(open) = service_metric(&built.groups, "test.open") else {
        panic!("a sum");
    };
    assert_eq!(
        open.aggregation_temporality(),
        AggregationTemporality::Cumulative
    );
    let Data::Histogram(duration) = service_metric(&built.groups, "test.duration") else {
        panic!("a histogram");
    };
    assert_eq!(duration.data_points[0].bucket_counts, [15, 0, 0]);
}

#[test]
fn exponential_histograms_keep_count_sum_and_exemplars() {
    let mut builder = MetricBuilder::new(
        TemporalityPreference::Cumulative,
        HistogramAggregation::Base2ExponentialBucketHistogram,
    );
    let built = builder.build(&Arc::new(snapshot(60, 10)));
    let Data::ExponentialHistogram(duration) = service_metric(&built.groups, "test.duration")
    else {
        panic!("an exponential histogram");
    };
    let point = &duration.data_points[0];
    assert_eq!(
        (point.count, point.sum, point.exemplars.len()),
        (13, Some(12.5), 1)
    );
    let positive = point.positive.as_ref().expect("buckets");
    assert_eq!(
        positive.bucket_counts.iter().sum::<u64>() + point.zero_count,
        13
    );
}

#[test]
fn values_that_do_not_fit_their_kind_are_counted() {
    let mut collector = Collector::new(resource("host"), at(0));
    let histogram = Histogram {
        bounds: [1.0].into(),
        counts: vec![1, 2],
        sum: 3.0,
    };
    collector.push(
        &LOAD,
        Attributes::none(),
        Value::Histogram(histogram.clone()),
    );
    collector.push(&fixture::DURATION, Attributes::none(), Value::Integer(1));
    let lopsided = Histogram {
        counts: vec![1],
        ..histogram
    };
    collector.push(
        &fixture::DURATION,
        Attributes::none(),
        Value::Histogram(lopsided),
    );
    let built =
        builder(TemporalityPreference::Cumulative).build(&Arc::new(collector.finish(at(1))));
    assert_eq!(built.invalid, 3);
}

#[test]
fn a_clock_that_went_back_makes_no_negative_interval() {
    let mut collector = Collector::new(resource("host"), at(100));
    collector.push(&fixture::REQUESTS, Attributes::none(), Value::Integer(1));
    let built =
        builder(TemporalityPreference::Cumulative).build(&Arc::new(collector.finish(at(50))));
    let Some(Data::Sum(sum)) = &built.groups[0].records[0].data else {
        panic!("a sum");
    };
    let point = &sum.data_points[0];
    assert!(point.start_time_unix_nano <= point.time_unix_nano);
}

#[test]
fn counters_beyond_a_signed_integer_become_doubles() {
    let mut collector = Collector::new(resource("host"), at(0));
    collector.push(
        &fixture::REQUESTS,
        Attributes::none(),
        Value::Integer(u64::MAX),
    );
    let built =
        builder(TemporalityPreference::Cumulative).build(&Arc::new(collector.finish(at(1))));
    let Some(Data::Sum(sum)) = &built.groups[0].records[0].data else {
        panic!("a sum");
    };
    let expected = number_data_point::Value::AsDouble(u64::MAX as f64);
    assert_eq!(sum.data_points[0].value, Some(expected));
}
