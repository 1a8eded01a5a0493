//! What the agent serves is what its readers expect.

use std::{
    collections::HashSet,
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use sonde::probe::FAMILIES;
use sonde_tests::{exposition::Metrics, lab::Lab, reference};

use crate::support::{curl, nginx};

#[test]
fn promtool_finds_nothing() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(&lab, "")?;
    assert_eq!(curl(&lab, &[&nginx.url("/odd\"\\path")])?, "200\n");
    agent.two_snapshots()?;
    let text = agent.get("/metrics", "")?;
    assert_eq!(
        text.field("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("promtool is missing: install the Debian package prometheus")?;
    let mut input = promtool.stdin.take().context("piped")?;
    input.write_all(text.body.as_bytes())?;
    drop(input);
    let output = promtool.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());
    println!("{} lines", text.body.lines().count());
    Ok(())
}

/// What `# TYPE` says of a kind of the reference. A gauge that is named like a histogram's count
/// goes without a type.
fn type_of(name: &str, kind: &str) -> &'static str {
    match kind {
        "counter" => "counter",
        "histogram" => "histogram",
        _ if name.ends_with("_count") => "untyped",
        "gauge" | "up-down counter" => "gauge",
        other => panic!("{name} is a {other}"),
    }
}

#[test]
fn every_family_is_in_the_reference_with_its_type() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(&lab, "")?;
    curl(&lab, &["-d", "a=b", &nginx.url("/made")])?;
    agent.eventually("the request", |metrics| {
        metrics.sum("http_server_request_body_size_bytes_count", &nginx.served())
    })?;
    let mut reference = reference::kinds()?;
    // What tells of the resources: OpenTelemetry's rules for Prometheus name it.
    reference.insert("target_info".to_owned(), "gauge".to_owned());
    let text = agent.get("/metrics", "")?.body;
    let mut families = HashSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, told) = line.split_once(' ').context("a type")?;
        let kind = reference.get(name);
        let kind = kind.with_context(|| format!("{name} isn't in docs/metrics.md"))?;
        assert_eq!(told, type_of(name, kind), "{name}");
        assert!(families.insert(name), "{name} comes twice");
    }
    // And nothing stands outside of a family.
    for sample in Metrics::parse(&text)?.samples() {
        let name = sample.name.as_str();
        let in_histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .any(|family| families.contains(family));
        assert!(in_histogram || families.contains(name), "{name}");
    }
    assert!(families.len() > 60, "{families:?}");
    println!("{} families", families.len());
    Ok(())
}

#[test]
fn openmetrics_is_served_to_who_asks() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let accept = "Accept: application/openmetrics-text; version=1.0.0\r\n";
    let answer = agent.get("/metrics", accept)?;
    assert_eq!(
        answer.field("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(answer.body.ends_with("\n# EOF\n"), "{}", answer.body);
    assert!(
        answer
            .body
            .contains("\n# UNIT use_utilization_ratio ratio\n")
    );
    Ok(())
}

#[test]
fn health_and_readiness_are_told() -> Result<()> {
    let lab = Lab::open()?;
    let mut agent = lab.agent(&[])?;
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(agent.get(path, "")?.status, 200, "{path}");
    }
    let (status, took) = agent.stop()?;
    assert!(status.success(), "{status}");
    println!("stopped after {took:?}");
    // With nothing to observe, the agent says that it isn't doing its job.
    let off: Vec<String> = FAMILIES
        .iter()
        .map(|family| format!("--no-collector.{}", family.name))
        .collect();
    let flags: Vec<&str> = off.iter().map(String::as_str).collect();
    let mut agent =
        sonde_tests::agent::Agent::start(&lab, &flags, &std::collections::HashMap::new())?;
    agent.wait_for("/-/healthy", 200)?;
    agent.wait_for("/metrics", 200)?;
    agent.eventually("a snapshot", |metrics| {
        metrics.sum("use_utilization_ratio", &[])
    })?;
    assert_eq!(agent.get("/-/ready", "")?.status, 503);
    Ok(())
}
