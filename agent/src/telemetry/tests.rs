use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{AnyValue, any_value::Value},
};
use prost::Message;
use tracing::{error, info, subscriber::with_default, warn};

use super::*;
use crate::export::otlp::tests::receiver::{self, Receiver, response};

/// Logs a line of the agent and one of a crate that exports, over OTLP.
async fn log_two_lines(receiver: &Receiver, protocol: &str, deadline: Duration) {
    let endpoint = format!("http://{}", receiver.address);
    let get = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
        "OTEL_EXPORTER_OTLP_COMPRESSION" => Some("gzip".to_owned()),
        "OTEL_EXPORTER_OTLP_HEADERS" => Some("x-tenant=t".to_owned()),
        _ => None,
    };
    let config = OtlpConfig::from_env(&get).expect("settings");
    let target = config.target(SignalKind::Logs).expect("good").expect("on");
    let provider = provider(&target, &Handle::current()).expect("an exporter");
    let layer = otlp_layer(&provider);
    with_default(tracing_subscriber::registry().with(layer), || {
        warn!(family = "tcp", "probe skipped");
        error!(target: "h2::codec", "frame sent");
    });
    flush(provider, Instant::now() + deadline).await;
}

fn assert_one_line(request: &ExportLogsServiceRequest) {
    let [logs] = request.resource_logs.as_slice() else {
        panic!("{request:?}");
    };
    let text = |text: &str| {
        Some(AnyValue {
            value: Some(Value::StringValue(text.to_owned())),
        })
    };
    let resource = logs.resource.as_ref().expect("a resource");
    let names = resource
        .attributes
        .iter()
        .find(|pair| pair.key == "service.name");
    assert_eq!(names.expect("a name").value, text("sonde"));
    let [record] = logs.scope_logs[0].log_records.as_slice() else {
        panic!("one record: {logs:?}");
    };
    assert_eq!(record.body, text("probe skipped"));
    assert_eq!(record.severity_number, 13);
    assert_eq!(record.attributes[0].value, text("tcp"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_logs_leave_over_grpc_without_those_of_the_exporter() {
    let mut receiver = receiver::grpc(vec![], None);
    log_two_lines(&receiver, "grpc", Duration::from_secs(5)).await;
    let request = receiver.next().await;
    assert_eq!(request.headers["x-tenant"], "t");
    assert_one_line(&request.logs.expect("logs"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_logs_leave_over_http() {
    let mut receiver = receiver::http(|| Some(response(200, None, vec![])));
    log_two_lines(&receiver, "http/protobuf", Duration::from_secs(5)).await;
    let request = receiver.next().await;
    assert_eq!(request.path, "/v1/logs");
    assert_eq!(request.headers.get_all("x-tenant").iter().count(), 1);
    assert_eq!(request.headers["content-encoding"], "gzip");
    let mut decoder = flate2::read::GzDecoder::new(&request.body[..]);
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut decoder, &mut plain).expect("gzip");
    assert_one_line(&ExportLogsServiceRequest::decode(&plain[..]).expect("logs"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_24_a_hanging_receiver_of_own_logs_does_not_hold_up_the_stop() {
    let receiver = receiver::http(|| None);
    let began = Instant::now();
    log_two_lines(&receiver, "http/protobuf", Duration::from_millis(300)).await;
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[derive(Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_bridge_to_otlp_is_made_without_a_word() {
    let lines = Lines::default();
    let writer = lines.clone();
    let layer = format_layer(LogFormat::Text, move || writer.clone(), false);
    with_default(tracing_subscriber::registry().with(layer), || {
        let provider = SdkLoggerProvider::builder().build();
        drop(otlp_layer::<Registry>(&provider));
        info!("told");
    });
    let text = String::from_utf8(lines.0.lock().expect("not poisoned").clone()).expect("text");
    assert!(text.contains("told"), "{text}");
    assert!(!text.contains("Logger name is empty"), "{text}");
}

#[test]
fn json_lines_are_json() {
    let lines = Lines::default();
    let writer = lines.clone();
    let layer = format_layer(LogFormat::Json, move || writer.clone(), false);
    with_default(tracing_subscriber::registry().with(layer), || {
        info!(path = "a\"b\n", "hello");
    });
    let bytes = lines.0.lock().expect("not poisoned").clone();
    let line: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(
        (line["message"].as_str(), line["path"].as_str()),
        (Some("hello"), Some("a\"b\n"))
    );
}

#[test]
fn objects_that_cannot_be_read_are_not_written_down() {
    let written = tempfile::NamedTempFile::new().unwrap();
    let writer = written.reopen().unwrap();
    let layer = format_layer(LogFormat::Text, std::sync::Arc::new(writer), false);
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(without_objects());
    with_default(subscriber, || {
        warn!(target: "kube_client::client", "{{\"password\":\"hunter2\"}}");
        warn!("the Kubernetes API doesn't answer");
    });
    let text = std::fs::read_to_string(written.path()).unwrap();
    assert!(
        text.contains("doesn't answer") && !text.contains("hunter2"),
        "{text}"
    );
}
