//! OTLP/gRPC against a receiver on real sockets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{
    fixture::{SNAPSHOT_POINTS, assert_conserved, span_signal},
    receiver::{self, response},
    wire::{config, push_all, start, stop},
};
use crate::export::otlp::{OtlpConfig, OtlpStats, Reason, SignalKind, SignalStats};

#[tokio::test]
async fn grpc_carries_the_three_signals() {
    for compression in ["none", "gzip"] {
        let mut receiver = receiver::grpc(vec![], None);
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
            let request = receiver.next().await;
            assert_eq!(request.headers["authorization"], "Bearer abc");
            assert_eq!(request.headers["x-tenant"], "t");
            traces = traces.or(request.traces);
            metrics = metrics.or(request.metrics);
            logs = logs.or(request.logs);
        }
        let spans = &traces.expect("traces").resource_spans[0].scope_spans[0].spans;
        assert_eq!(spans[0].name, "GET /");
        assert_eq!(metrics.expect("metrics").resource_metrics.len(), 2);
        let records = &logs.expect("logs").resource_logs[0].scope_logs[0].log_records;
        assert_eq!(records[0].event_name, "process.crash");
        let stats = Arc::clone(otlp.stats());
        assert!(SignalKind::ALL.iter().all(|signal| otlp.is_on(*signal)));
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

/// Sends spans of these names over gRPC to a receiver that fails with `failure` first.
async fn over_grpc(failure: Option<Status>, names: &[&str]) -> Arc<OtlpStats> {
    let mut receiver = receiver::grpc(failure.into_iter().collect(), None);
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

    let too_large = Status::resource_exhausted("grpc: request message larger than max (9 vs. 4)");
    let stats = over_grpc(Some(too_large), &["a", "b"]).await;
    let traces = stats.signal(SignalKind::Traces);
    assert_eq!((traces.exported(), traces.batches()), (2, 2));
}

#[tokio::test]
async fn fault_24_a_receiver_that_starts_late_gets_everything() {
    for protocol in ["grpc", "http/protobuf"] {
        // A port that nobody listens on any more.
        let address = receiver::http(|| None).address;
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
            "grpc" => receiver::grpc_at(address, vec![], None),
            _ => receiver::http_at(address, || Some(response(200, None, vec![]))),
        };
        stop(otlp).await;
        assert_eq!(stats.signal(SignalKind::Traces).exported(), 1, "{protocol}");
        assert_conserved(&stats);
    }
}

#[tokio::test]
async fn fault_24_a_batch_over_four_mebibytes_arrives_in_pieces() {
    let receiver = receiver::grpc(vec![], None);
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

/// Waits until `stats` says so.
async fn until(stats: &SignalStats, is_so: impl Fn(&SignalStats) -> bool) {
    let began = Instant::now();
    while !is_so(stats) {
        assert!(began.elapsed() < Duration::from_secs(10), "{stats:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn fault_24_a_grpc_receiver_that_goes_and_comes_gets_everything() {
    let receiver = receiver::grpc(vec![], None);
    let address = receiver.address;
    let otlp = start(&config(
        &receiver,
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
    ));
    let stats = Arc::clone(otlp.stats());
    let traces = stats.signal(SignalKind::Traces);
    otlp.signal(span_signal("before"));
    until(traces, |traces| traces.exported() == 1).await;
    drop(receiver);
    tokio::time::sleep(Duration::from_millis(50)).await;
    otlp.signal(span_signal("while it is away"));
    until(traces, |traces| traces.failures() > 0).await;
    let _receiver = receiver::grpc_at(address, vec![], None);
    stop(otlp).await;
    assert_eq!(traces.exported(), 2);
    assert_conserved(&stats);
}

#[tokio::test]
async fn fault_24_a_grpc_receiver_that_hangs_is_left_for_a_new_connection() {
    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = deaf.local_addr().expect("bound");
    let endpoint = format!("http://{address}");
    let get = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("grpc".to_owned()),
        "OTEL_EXPORTER_OTLP_TIMEOUT" => Some("200".to_owned()),
        "OTEL_BSP_SCHEDULE_DELAY" => Some("1".to_owned()),
        _ => None,
    };
    let otlp = start(&OtlpConfig::from_env(&get).expect("settings"));
    let stats = Arc::clone(otlp.stats());
    let traces = stats.signal(SignalKind::Traces);
    otlp.signal(span_signal("a"));
    let (silent, _) = deaf.accept().await.expect("a connection");
    until(traces, |traces| traces.failures() > 0).await;
    // The old connection stays open and silent; only the listener changes.
    drop(deaf);
    let _receiver = receiver::grpc_at(address, vec![], None);
    stop(otlp).await;
    assert_eq!(traces.exported(), 1);
    assert_conserved(&stats);
    drop(silent);
}
