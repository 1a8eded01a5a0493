//! What tests on real sockets share.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

<<<<<<< HEAD
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest,
    metrics::v1::ExportMetricsServiceRequest,
    trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse},
};
use prost::Message as _;
=======
>>>>>>> h-otlp
use tokio::runtime::Handle;

use super::{
    fixture::{log, resource, snapshot, span_signal},
    receiver::Receiver,
};
use crate::{
    export::otlp::{Otlp, OtlpConfig},
    signal::Signal,
};

/// Settings as a user would give them, spans leaving at once.
pub(super) fn config(receiver: &Receiver, variables: &[(&str, &str)]) -> OtlpConfig {
    let get = |name: &str| match variables.iter().find(|(variable, _)| *variable == name) {
        Some((_, value)) => Some((*value).to_owned()),
        None if name == "OTEL_EXPORTER_OTLP_ENDPOINT" => {
            Some(format!("http://{}", receiver.address))
        }
        None if name.ends_with("SCHEDULE_DELAY") => Some("10".to_owned()),
        None => None,
    };
    OtlpConfig::from_env(&get).expect("good settings")
}

pub(super) fn start(config: &OtlpConfig) -> Otlp {
    Otlp::start(config, &Handle::current()).expect("starts")
}

pub(super) async fn stop(otlp: Otlp) {
    otlp.shutdown(Instant::now() + Duration::from_secs(10))
        .await;
}

pub(super) fn push_all(otlp: &Otlp) {
    otlp.signal(span_signal("GET /"));
    otlp.signal(Signal::Log(log(&resource("shop"))));
    otlp.metrics(Arc::new(snapshot(1, 1)));
}
<<<<<<< HEAD

fn assert_all_exported(otlp: &Otlp, stats: &crate::export::otlp::OtlpStats) {
    assert!(SignalKind::ALL.iter().all(|signal| otlp.is_on(*signal)));
    assert_conserved(stats);
}

#[tokio::test]
async fn grpc_carries_the_three_signals() {
    for compression in ["none", "gzip"] {
        let mut receiver = receiver::grpc(vec![], None).await;
        let config = config(
            &receiver,
            &[
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
                (
                    "OTEL_EXPORTER_OTLP_HEADERS",
                    "authorization=Bearer%20abc,x-tenant=t",
                ),
            ],
        );
        let otlp = start(&config);
        push_all(&otlp);
        let (mut traces, mut metrics, mut logs) = (None, None, None);
        for _ in 0..3 {
            let received = receiver.next().await;
            assert_eq!(received.headers["authorization"], "Bearer abc");
            assert_eq!(received.headers["x-tenant"], "t");
            traces = traces.or(received.traces);
            metrics = metrics.or(received.metrics);
            logs = logs.or(received.logs);
        }
        let spans = &traces.expect("traces").resource_spans[0].scope_spans[0].spans;
        assert_eq!(spans[0].name, "GET /");
        assert_eq!(metrics.expect("metrics").resource_metrics.len(), 2);
        let records = &logs.expect("logs").resource_logs[0].scope_logs[0].log_records;
        assert_eq!(records[0].event_name, "process.crash");
        let stats = Arc::clone(otlp.stats());
        assert_all_exported(&otlp, &stats);
        stop(otlp).await;
        assert_eq!(stats.signal(SignalKind::Traces).exported(), 1);
        assert_eq!(
            stats.signal(SignalKind::Metrics).exported(),
            SNAPSHOT_POINTS
        );
        assert_eq!(stats.signal(SignalKind::Logs).exported(), 1);
        assert_conserved(&stats);
    }
}

#[tokio::test]
async fn http_carries_the_three_signals() {
    for compression in ["none", "gzip"] {
        let mut receiver = receiver::http(|| Some(response(200, None, vec![]))).await;
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
            let received = receiver.next().await;
            assert_eq!(received.headers["authorization"], "Bearer abc");
            assert_eq!(received.headers["content-type"], "application/x-protobuf");
            assert!(
                received.headers["user-agent"]
                    .to_str()
                    .expect("text")
                    .contains("sonde")
            );
            let body = if compression == "gzip" {
                assert_eq!(received.headers["content-encoding"], "gzip");
                let mut plain = Vec::new();
                let mut decoder = flate2::read::GzDecoder::new(&received.body[..]);
                decoder.read_to_end(&mut plain).expect("gzip");
                plain
            } else {
                received.body
            };
            match received.path.as_str() {
                "/v1/traces" => {
                    let request = ExportTraceServiceRequest::decode(&body[..]).expect("traces");
                    assert_eq!(request.resource_spans.len(), 1);
                }
                "/v1/metrics" => {
                    let request = ExportMetricsServiceRequest::decode(&body[..]).expect("metrics");
                    assert_eq!(request.resource_metrics.len(), 2);
                }
                "/v1/logs" => {
                    let request = ExportLogsServiceRequest::decode(&body[..]).expect("logs");
                    assert_eq!(request.resource_logs.len(), 1);
                }
                other => panic!("{other}"),
            }
            paths.push(received.path);
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
) -> (Arc<crate::export::otlp::OtlpStats>, Option<Duration>) {
    let count = AtomicUsize::new(0);
    let mut receiver = receiver::http(move || {
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            first()
        } else {
            Some(response(200, None, vec![]))
        }
    })
    .await;
    let otlp = start(&config(&receiver, variables));
    let stats = Arc::clone(otlp.stats());
    otlp.signal(span_signal("one"));
    otlp.signal(span_signal("two"));
    receiver.next().await;
    let began = Instant::now();
    let again = tokio::time::timeout(Duration::from_secs(3), receiver.next()).await;
    let gap = again.is_ok().then(|| began.elapsed());
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
    let gap = one.1.expect("sent again");
    assert!((1.9..2.9).contains(&gap.as_secs_f64()), "{gap:?}");
    for (stats, gap) in [date, garbage] {
        let gap = gap.expect("sent again").as_secs_f64();
        assert!((0.4..1.9).contains(&gap), "own backoff: {gap}");
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

/// Sends spans of these names over gRPC to a receiver that fails with `failure` first.
async fn over_grpc(failure: Option<Status>, names: &[&str]) -> Arc<crate::export::otlp::OtlpStats> {
    let mut receiver = receiver::grpc(failure.into_iter().collect(), None).await;
    let otlp = start(&config(
        &receiver,
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
    ));
    let stats = Arc::clone(otlp.stats());
    for name in names {
        otlp.signal(span_signal(name));
    }
    receiver.next().await;
    stop(otlp).await;
    assert_conserved(&stats);
    stats
}

#[tokio::test]
async fn fault_24_grpc_resource_exhausted_with_and_without_retry_info() {
    let exhausted = Code::ResourceExhausted;
    let delay = ErrorDetails::with_retry_info(Some(Duration::from_millis(1500)));
    let began = Instant::now();
    let failure = Status::with_error_details(exhausted, "slow down", delay);
    let stats = over_grpc(Some(failure), &["a"]).await;
    assert!(began.elapsed() >= Duration::from_millis(1500));
    assert_eq!(stats.signal(SignalKind::Traces).exported(), 1);

    let stats = over_grpc(Some(Status::new(exhausted, "quota")), &["a"]).await;
    let traces = stats.signal(SignalKind::Traces);
    assert_eq!((traces.dropped(Reason::Refused), traces.retries()), (1, 0));
}

#[tokio::test]
async fn fault_24_grpc_unavailable_partial_success_and_too_large() {
    let stats = over_grpc(Some(Status::unavailable("away")), &["a"]).await;
    let traces = stats.signal(SignalKind::Traces);
    assert_eq!((traces.exported(), traces.retries()), (1, 1));

    let stats = over_grpc(None, &["a", "reject", "b"]).await;
    let traces = stats.signal(SignalKind::Traces);
    assert_eq!(
        (traces.exported(), traces.dropped(Reason::Rejected)),
        (2, 1)
    );

    let too_large = Status::resource_exhausted("grpc: received message larger than max (9 vs. 4)");
    let stats = over_grpc(Some(too_large), &["a", "b"]).await;
    let traces = stats.signal(SignalKind::Traces);
    assert_eq!((traces.exported(), traces.batches()), (2, 2));
}

#[tokio::test]
async fn fault_24_a_receiver_that_starts_late_gets_everything() {
    for protocol in ["grpc", "http/protobuf"] {
        // A port that nobody listens on any more.
        let address = receiver::http(|| None).await.address;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let endpoint = format!("http://{address}");
        let get = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
            "OTEL_BSP_SCHEDULE_DELAY" => Some("1".to_owned()),
            _ => None,
        };
        let otlp = start(&OtlpConfig::from_env(&get).expect("settings"));
        let stats = Arc::clone(otlp.stats());
        otlp.signal(span_signal("a"));
        while stats.signal(SignalKind::Traces).failures() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _receiver = match protocol {
            "grpc" => receiver::grpc_at(address, vec![], None).await,
            _ => receiver::http_at(address, || Some(response(200, None, vec![]))).await,
        };
        stop(otlp).await;
        assert_eq!(stats.signal(SignalKind::Traces).exported(), 1, "{protocol}");
        assert_conserved(&stats);
    }
}

#[tokio::test]
async fn fault_24_a_batch_over_four_mebibytes_arrives_in_pieces() {
    let receiver = receiver::grpc(vec![], None).await;
    let otlp = start(&config(
        &receiver,
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
    ));
    let stats = Arc::clone(otlp.stats());
    let name = "x".repeat(100 << 10);
    for _ in 0..100 {
        otlp.signal(span_signal(&name));
    }
    stop(otlp).await;
    let traces = stats.signal(SignalKind::Traces);
    // The receiver's limit is gRPC's 4 MiB; it would have refused a larger one.
    assert_eq!((traces.exported(), traces.failures()), (100, 0));
    assert!(traces.batches() >= 3);
    assert_conserved(&stats);
}
=======
>>>>>>> h-otlp
