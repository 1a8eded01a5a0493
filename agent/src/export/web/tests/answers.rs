//! What is answered to whom.

use super::*;

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let running = start(Limits::default()).await;
    let (head, body) = request(running.address, "GET /metrics", "").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(!head.contains("content-encoding"));
    assert!(body.starts_with(b"# HELP big "));
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let (head, body) = request(running.address, "GET /metrics", accept).await;
    let expected = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(head.contains(expected), "{head}");
    assert!(body.ends_with(b"# EOF\n"));
    assert_eq!(
        counted(&running.stats, &["requests_total", "success", "prometheus"]),
        2
    );
    assert_eq!(counted(&running.stats, &["duration_seconds_count"]), 2);
}

#[tokio::test]
async fn gzip_holds_the_same_text() {
    let running = start(Limits::default()).await;
    let (_, plain) = request(running.address, "GET /metrics", "").await;
    let (head, packed) =
        request(running.address, "GET /metrics", "Accept-Encoding: gzip\r\n").await;
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    let mut text = Vec::new();
    GzDecoder::new(packed.as_slice())
        .read_to_end(&mut text)
        .unwrap();
    assert_eq!(text, plain);
    let sent = (plain.len() + text.len()) as u64;
    assert_eq!(
        counted(&running.stats, &["sonde_export_io_bytes_total{"]),
        sent
    );
}

#[tokio::test]
async fn pages_and_methods() {
    let running = start(Limits::default()).await;
    for (line, status) in [
        ("GET /", "200"),
        ("GET /-/healthy", "200"),
        ("HEAD /metrics", "200"),
        ("POST /metrics", "405"),
        ("DELETE /-/ready", "405"),
        ("GET /other", "404"),
    ] {
        let (head, body) = request(running.address, line, "").await;
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")),
            "{line}: {head}"
        );
        assert!(!line.starts_with("HEAD") || body.is_empty());
    }
    let (_, body) = request(running.address, "GET /", "").await;
    assert!(
        String::from_utf8(body)
            .unwrap()
            .contains("href=\"/metrics\"")
    );
}

#[tokio::test]
async fn readiness_says_why_not() {
    let running = start(Limits::default()).await;
    let (head, body) = request(running.address, "GET /-/ready", "").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(body, b"not ready: no probe is attached\n");
    running.readiness.send_replace(Readiness::Ready);
    let (head, body) = request(running.address, "GET /-/ready", "").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, b"ready\n");
}

#[tokio::test]
async fn no_metrics_rather_than_empty_ones_before_the_first_snapshot() {
    let running = start(Limits::default()).await;
    running.snapshot.send_replace(None);
    let (head, _) = request(running.address, "GET /metrics", "").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(counted(&running.stats, &["requests_total", "not_ready"]), 1);
}
