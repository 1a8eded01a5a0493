//! OTLP/HTTP against a receiver on real sockets.

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest,
    metrics::v1::ExportMetricsServiceRequest,
    trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse},
};
use prost::Message as _;

use super::{
    fixture::{SNAPSHOT_POINTS, assert_conserved, span_signal},
    receiver::{self, response},
    wire::{config, push_all, start, stop},
};
use crate::export::otlp::{OtlpStats, Reason, SignalKind};

#[tokio::test]
async fn http_carries_the_three_signals() {
    for compression in ["none", "gzip"] {
        let mut receiver = receiver::http(|| Some(response(200, None, vec![])));
        let config = config(
            &receiver,
            &[
                ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
                ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc"),
            ],
        );
        let otlp = start(&config);
        push_all(&otlp);
        let mut paths = Vec::new();
        for _ in 0..3 {
            let request = receiver.next().await;
            assert_eq!(request.headers["authorization"], "Bearer abc");
            assert_eq!(request.headers["content-type"], "application/x-protobuf");
            assert!(
                request.headers["user-agent"]
                    .to_str()
                    .expect("text")
                    .contains("sonde")
            );
            let body = if compression == "gzip" {
                assert_eq!(request.headers["content-encoding"], "gzip");
                let mut plain = Vec::new();
                let mut decoder = flate2::read::GzDecoder::new(&request.body[..]);
                decoder.read_to_end(&mut plain).expect("gzip");
                plain
            } else {
                request.body
            };
            match request.path.as_str() {
                "/v1/traces" => {
                    let traces = ExportTraceServiceRequest::decode(&body[..]).expect("traces");
                    assert_eq!(traces.resource_spans.len(), 1);
                }
                "/v1/metrics" => {
                    let metrics = ExportMetricsServiceRequest::decode(&body[..]).expect("metrics");
                    assert_eq!(metrics.resource_metrics.len(), 2);
                }
                "/v1/logs" => {
                    let request = ExportLogsServiceRequest::decode(&body[..]).expect("logs");
                    assert_eq!(request.resource_logs.len(), 1);
                }
                other => panic!("{other}"),
            }
            paths.push(request.path);
        }
        paths.sort();
        assert_eq!(paths, ["/v1/logs", "/v1/metrics", "/v1/traces"]);
        let stats = Arc::clone(otlp.stats());
        stop(otlp).await;
        assert_eq!(
            stats.signal(SignalKind::Metrics).exported(),
            SNAPSHOT_POINTS
        );
        assert_conserved(&stats);
    }
}

/// Sends two spans over HTTP to a receiver that answers `first`, then 200; returns what became
/// of them and the time from the first request to the second.
async fn over_http(
    first: impl Fn() -> Option<axum::response::Response> + Send + Sync + 'static,
    variables: &[(&str, &str)],
) -> (Arc<OtlpStats>, Option<Duration>) {
    let count = AtomicUsize::new(0);
    let mut receiver = receiver::http(move || {
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            first()
        } else {
            Some(response(200, None, vec![]))
        }
    });
    let otlp = start(&config(&receiver, variables));
    let stats = Arc::clone(otlp.stats());
    otlp.signal(span_signal("one"));
    otlp.signal(span_signal("two"));
    let first = receiver.next().await;
    let traces = stats.signal(SignalKind::Traces);
    let began = Instant::now();
    while traces.waiting() > 0 && began.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let gap = receiver.try_next().map(|second| second.time - first.time);
    stop(otlp).await;
    assert_conserved(&stats);
    (stats, gap)
}

#[tokio::test]
async fn fault_24_http_503_is_sent_again_after_retry_after() {
    let (one, (date, garbage)) = tokio::join!(
        over_http(|| Some(response(503, Some("2"), vec![])), &[]),
        async {
            tokio::join!(
                over_http(
                    || Some(response(429, Some("Sun, 06 Nov 1994 08:49:37 GMT"), vec![])),
                    &[]
                ),
                over_http(|| Some(response(429, Some("later"), vec![])), &[]),
            )
        }
    );
    // Longer than any backoff of its own. How much longer is up to how busy the machine is; the
    // times themselves are tested where time stands still.
    let gap = one.1.expect("sent again");
    assert!(gap >= Duration::from_millis(1_900), "{gap:?}");
    for (stats, gap) in [date, garbage] {
        let gap = gap.expect("sent again");
        assert!(gap >= Duration::from_millis(400), "own backoff: {gap:?}");
        assert_eq!(stats.signal(SignalKind::Traces).exported(), 2);
    }
}

#[tokio::test]
async fn fault_24_http_400_and_500_are_not_sent_again() {
    for status in [400, 500] {
        let (stats, gap) = over_http(move || Some(response(status, None, vec![])), &[]).await;
        assert_eq!(gap, None);
        assert_eq!(stats.signal(SignalKind::Traces).dropped(Reason::Refused), 2);
    }
}

#[tokio::test]
async fn fault_24_http_413_is_sent_again_in_halves() {
    let (stats, gap) = over_http(|| Some(response(413, None, vec![])), &[]).await;
    assert!(gap.is_some());
    assert_eq!(stats.signal(SignalKind::Traces).exported(), 2);
    assert_eq!(stats.signal(SignalKind::Traces).batches(), 2);
}

#[tokio::test]
async fn fault_24_http_that_hangs_is_left_after_the_timeout_and_tried_again() {
    let timeout = [("OTEL_EXPORTER_OTLP_TIMEOUT", "200")];
    let (stats, gap) = over_http(|| None, &timeout).await;
    assert!(gap.expect("sent again") >= Duration::from_millis(600));
    assert_eq!(stats.signal(SignalKind::Traces).exported(), 2);
}

#[tokio::test]
async fn fault_24_http_partial_success_is_counted() {
    let answer = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 1,
            error_message: "too old".to_owned(),
        }),
    };
    let body = answer.encode_to_vec();
    let (stats, gap) = over_http(move || Some(response(200, None, body.clone())), &[]).await;
    assert_eq!(gap, None);
    let traces = stats.signal(SignalKind::Traces);
    assert_eq!(
        (traces.exported(), traces.dropped(Reason::Rejected)),
        (1, 1)
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (stats, gap) = over_http(
        || {
            let mut redirect = response(307, None, vec![]);
            let location = "/elsewhere".parse().expect("a header");
            redirect.headers_mut().insert("Location", location);
            Some(redirect)
        },
        &[],
    )
    .await;
    assert_eq!(gap, None);
    assert_eq!(stats.signal(SignalKind::Traces).dropped(Reason::Refused), 2);
}
