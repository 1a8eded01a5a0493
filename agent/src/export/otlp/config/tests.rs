use proptest::prelude::*;

use super::*;

fn from(variables: &[(&str, &str)]) -> Result<OtlpConfig, ConfigError> {
    OtlpConfig::from_env(&|name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn target(signal: SignalKind, variables: &[(&str, &str)]) -> Target {
    let config = from(variables).expect("good settings");
    config
        .target(signal)
        .expect("good settings")
        .expect("an endpoint")
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

#[test]
fn without_an_endpoint_everything_is_off() {
    let config = from(&[(PROTOCOL, "grpc"), (ENDPOINT, "  ")]).expect("good settings");
    for signal in SignalKind::ALL {
        assert_eq!(config.target(signal).expect("good"), None);
    }
}

#[test]
fn the_general_http_endpoint_gets_the_signals_path() {
    for (endpoint, expected) in [
        ("http://c:4318", "http://c:4318/v1/traces"),
        ("http://c:4318/", "http://c:4318/v1/traces"),
        ("https://c/otlp", "https://c/otlp/v1/traces"),
        ("https://c/otlp/?k=v", "https://c/otlp/v1/traces?k=v"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
    ] {
        let target = target(SignalKind::Traces, &[(ENDPOINT, endpoint)]);
        assert_eq!(target.endpoint.to_string(), expected);
        assert_eq!(target.protocol, Protocol::HttpProtobuf);
    }
    let metrics = target(SignalKind::Metrics, &[(ENDPOINT, "http://c:4318")]);
    assert_eq!(metrics.endpoint.path(), "/v1/metrics");
}

#[test]
fn a_signals_own_http_endpoint_is_used_as_it_is() {
    let variables = [
        (ENDPOINT, "http://c:4318"),
        (TRACES_ENDPOINT, "http://t:9/custom"),
    ];
    let traces = target(SignalKind::Traces, &variables);
    assert_eq!(traces.endpoint.to_string(), "http://t:9/custom");
    let logs = target(SignalKind::Logs, &variables);
    assert_eq!(logs.endpoint.to_string(), "http://c:4318/v1/logs");
    let bare = target(SignalKind::Traces, &[(TRACES_ENDPOINT, "http://t:9")]);
    assert_eq!(bare.endpoint.to_string(), "http://t:9/");
}

#[test]
fn grpc_takes_the_scheme_or_insecure() {
    let endpoint = |endpoint, insecure| {
        let variables = [
            (ENDPOINT, endpoint),
            (PROTOCOL, "grpc"),
            ("OTEL_EXPORTER_OTLP_INSECURE", insecure),
        ];
        target(SignalKind::Traces, &variables).endpoint.to_string()
    };
    assert_eq!(endpoint("http://c:4317/ignored", ""), "http://c:4317/");
    assert_eq!(endpoint("https://c:4317", "true"), "https://c:4317/");
    assert_eq!(endpoint("c:4317", "True"), "http://c:4317/");
    assert_eq!(endpoint("c:4317", ""), "https://c:4317/");
}

#[test]
fn own_settings_go_before_general_ones() {
    let variables = [
        (ENDPOINT, "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "700"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    let traces = target(SignalKind::Traces, &variables);
    assert_eq!(traces.timeout, Duration::from_millis(700));
    assert_eq!(traces.compression, Compression::Gzip);
    let logs = target(SignalKind::Logs, &variables);
    assert_eq!(logs.timeout, Duration::from_millis(500));
    assert_eq!(logs.compression, Compression::None);
    let config = from(&variables).expect("good settings");
    assert_eq!(config.target(SignalKind::Metrics).expect("good"), None);
}

#[test]
fn defaults_are_the_specifications() {
    let target = target(SignalKind::Traces, &[(ENDPOINT, "http://c:4317")]);
    assert_eq!(target.timeout, Duration::from_secs(10));
    assert_eq!(target.compression, Compression::None);
    assert!(target.looks_like_grpc());
    let config = OtlpConfig::default();
    assert_eq!(config.metrics_interval(), Duration::from_mins(1));
    assert_eq!(
        config.gathering(SignalKind::Traces).0,
        Duration::from_secs(5)
    );
    assert_eq!(config.gathering(SignalKind::Logs).0, Duration::from_secs(1));
}

#[test]
fn a_bad_value_is_named_with_what_was_expected() {
    for (variable, value, expected) in [
        (ENDPOINT, "collector", "a URL"),
        (ENDPOINT, "ftp://c", "a URL"),
        (PROTOCOL, "http/json", "grpc or http/protobuf"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "10s", "milliseconds"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
            "zstd",
            "gzip or none",
        ),
        ("OTEL_EXPORTER_OTLP_INSECURE", "yes", "true or false"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            "deltas",
            "cumulative or delta or lowmemory",
        ),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-1", "milliseconds"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "above 0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0", "above 0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1.5", "milliseconds"),
    ] {
        let error = from(&[(variable, value)]).expect_err("bad").to_string();
        for part in [variable, value, expected] {
            assert!(error.contains(part), "{error}: no {part:?}");
        }
    }
}

#[test]
fn http_needs_a_whole_url_and_an_identity_both_files() {
    let error = |variables: &[(&str, &str)]| {
        let config = from(variables).expect("each value is good");
        config
            .target(SignalKind::Traces)
            .expect_err("bad together")
            .to_string()
    };
    assert!(error(&[(ENDPOINT, "c:4317")]).contains("http://c:4317"));
    let key = ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem");
    assert!(error(&[(ENDPOINT, "http://c"), key]).contains("together"));
}

#[test]
fn secrets_stay_out_of_errors_and_debug() {
    let headers = "OTEL_EXPORTER_OTLP_HEADERS";
    for bad in [
        "s3cret",
        "a=%zzs3cret",
        "a=s3cret\u{1}b",
        "a=s3cret,b",
        "host=s3cret",
        "x-bin=s3cret",
    ] {
        let error = from(&[(headers, bad)]).expect_err("bad");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{bad}");
    }
    let error = from(&[(ENDPOINT, "http://user:s3cret@c")]).expect_err("bad");
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    let good = from(&[(headers, "api-key=s3cret")]).expect("good");
    let shown = format!("{good:?}");
    assert!(
        shown.contains("api-key") && !shown.contains("s3cret"),
        "{shown}"
    );
}

#[test]
fn headers_are_percent_decoded() {
    let headers: Headers = "Authorization=Basic%20YTpi%3D%3D , x=a=b,,y="
        .parse()
        .expect("pairs");
    assert_eq!(headers.as_map()["authorization"], "Basic YTpi==");
    assert_eq!(headers.as_map()["x"], "a=b");
    assert_eq!(headers.as_map()["y"], "");
    assert!(headers.as_map()["x"].is_sensitive());
}

proptest! {
    #[test]
    fn no_text_panics(text in ".*") {
        let _ = text.parse::<Headers>();
        if let Ok(endpoint) = text.parse::<Endpoint>() {
            let _ = (endpoint.for_grpc(true), endpoint.for_http(Some("v1/traces")));
        }
    }

    #[test]
    fn no_endpoint_panics(path in "[!-~]{0,20}", port in 0_u32..100_000) {
        if let Ok(endpoint) = format!("http://h:{port}/{path}").parse::<Endpoint>() {
            let _ = (endpoint.for_grpc(true), endpoint.for_http(Some("v1/traces")));
        }
    }

    #[test]
    fn encoded_headers_come_back(value in "[ -~]{0,40}") {
        let encoded = value.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
        let headers: Headers = format!("k={encoded}").parse().expect("printable");
        prop_assert_eq!(headers.as_map()["k"].as_bytes(), value.as_bytes());
    }
}
