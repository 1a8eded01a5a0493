use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsPartialSuccess,
    metrics::v1::{Gauge, Metric, NumberDataPoint, metric::Data},
    trace::v1::Span,
};
use proptest::prelude::*;

use super::*;

fn span(size: usize) -> Span {
    Span {
        name: "x".repeat(size),
        ..Span::default()
    }
}

fn group<R>(records: Vec<R>) -> Group<R> {
    Group {
        resource: Resource::default(),
        records,
    }
}

fn gauge(points: usize) -> Metric {
    let data_points = (0..points as u64).map(|time_unix_nano| NumberDataPoint {
        time_unix_nano,
        ..NumberDataPoint::default()
    });
    Metric {
        name: "m".to_owned(),
        data: Some(Data::Gauge(Gauge {
            data_points: data_points.collect(),
        })),
        ..Metric::default()
    }
}

/// Sizes of the spans in the messages, in order.
fn sizes(messages: &[Message]) -> Vec<usize> {
    let requests = messages
        .iter()
        .map(|message| ExportTraceServiceRequest::decode(message.bytes.clone()).expect("our own"));
    let groups = requests.flat_map(Request::into_groups);
    groups
        .flat_map(|group| group.records)
        .map(|span: Span| span.name.len())
        .collect()
}

#[test]
fn nothing_makes_no_message() {
    let assembled = assemble::<ExportTraceServiceRequest>(vec![group(vec![])], 1000);
    assert!(assembled.messages.is_empty());
}

#[test]
fn fault_24_one_metric_with_too_many_points_is_split_in_order() {
    let assembled = assemble::<ExportMetricsServiceRequest>(vec![group(vec![gauge(10_000)])], 8192);
    assert!(assembled.messages.len() > 10);
    let mut times = Vec::new();
    for message in &assembled.messages {
        assert!(message.bytes.len() <= 8192);
        let request = ExportMetricsServiceRequest::decode(message.bytes.clone()).expect("our own");
        for metric in request
            .into_groups()
            .into_iter()
            .flat_map(|group| group.records)
        {
            let Some(Data::Gauge(gauge)) = metric.data else {
                panic!("a gauge");
            };
            times.extend(gauge.data_points.iter().map(|point| point.time_unix_nano));
        }
    }
    assert!(
        times.iter().copied().eq(0..10_000),
        "each point once, in order"
    );
}

#[test]
fn halves_share_everything() {
    let groups = vec![
        group(vec![span(1), span(2)]),
        group(vec![span(3), span(4), span(5)]),
    ];
    let whole = assemble::<ExportTraceServiceRequest>(groups, 10_000)
        .messages
        .remove(0);
    let halves = whole.halve().expect("five spans");
    assert_eq!(halves.each_ref().map(|half| half.items), [3, 2]);
    assert_eq!(sizes(&halves), [1, 2, 3, 4, 5]);
    let [_, second] = halves;
    let [_, last] = second.halve().expect("two spans");
    assert_eq!(last.halve(), None);
}

#[test]
fn halves_of_a_single_metric_share_its_points() {
    let groups = vec![group(vec![gauge(5)])];
    let whole = assemble::<ExportMetricsServiceRequest>(groups, 10_000)
        .messages
        .remove(0);
    let halves = whole.halve().expect("five points");
    assert_eq!(halves.each_ref().map(|half| half.items), [2, 3]);
}

#[test]
fn negative_rejections_and_garbage_answers_mean_nothing() {
    let answer = ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess::default()),
    };
    let decoded = PartialSuccess::decode(SignalKind::Logs, answer.encode_to_vec().into());
    assert_eq!(decoded, Ok(PartialSuccess::default()));
    assert!(PartialSuccess::decode(SignalKind::Logs, Bytes::from_static(b"<html>")).is_err());
}

proptest! {
    #[test]
    fn fault_24_every_span_is_in_one_message_under_the_limit_or_counted(
        groups in prop::collection::vec(prop::collection::vec(0_usize..1500, 0..12), 0..6),
        limit in 400_usize..2000,
    ) {
        let spans: Vec<usize> = groups.iter().flatten().copied().collect();
        let fits = |size: &usize| GROUP_OVERHEAD + RECORD_OVERHEAD + span(*size).encoded_len() <= limit;
        let expected: Vec<usize> = spans.iter().copied().filter(fits).collect();
        let oversized = (spans.len() - expected.len()) as u64;
        let groups = groups.iter().map(|sizes| group(sizes.iter().copied().map(span).collect()));
        let assembled = assemble::<ExportTraceServiceRequest>(groups.collect(), limit);
        prop_assert_eq!(assembled.oversized, oversized);
        prop_assert!(assembled.messages.iter().all(|message| message.bytes.len() <= limit));
        let items: u64 = assembled.messages.iter().map(|message| message.items).sum();
        prop_assert_eq!(items, expected.len() as u64);
        prop_assert_eq!(sizes(&assembled.messages), expected);
    }
}
