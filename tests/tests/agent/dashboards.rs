//! Dashboards and alert rules against the agent's own words: their labels are there.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sonde_tests::{
    exposition::Metrics,
    lab::{Lab, free_address, output},
    promql::{Selector, named, selectors},
    reference::fixture_labels,
};

use crate::support::{CLIENT, SERVICE, STATUS, curl, nginx};

/// Labels that Prometheus adds, and those that a service has on Kubernetes only.
const FROM_ELSEWHERE: [&str; 3] = ["instance", "job", "service_namespace"];

/// Series that no test can ask for: Prometheus' own, and hooks that this kernel hasn't.
const MAY_BE_ABSENT: [&str; 2] = ["up", "sonde_probe_skipped"];

fn deployed(path: &str) -> Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(path);
    fs::read_to_string(&file).with_context(|| file.display().to_string())
}

/// Labels that neither the test's load nor the golden files have: those of GPUs, of what happens to
/// a service with a disk, and of drops where the first process' namespaces may not be looked at.
const WITHOUT_FIXTURE: [(&str, &[&str]); 6] = [
    (
        "hw_gpu_utilization_ratio",
        &["hw_gpu_task", "hw_id", "hw_name"],
    ),
    ("hw_gpu_memory_utilization_ratio", &["hw_id", "hw_name"]),
    (
        "hw_gpu_throttled_time_seconds_total",
        &["hw_gpu_throttle_reason", "hw_id"],
    ),
    ("system_network_drops_total", &["network_interface_name"]),
    ("use_errors_by_service_total", &["device"]),
    ("use_saturation_by_service", &["device"]),
];

/// An expression, and what is said of its results: a legend, or annotations.
struct Query {
    expression: String,
    said: String,
}

/// Every expression of the document.
fn queries(document: &Value, found: &mut Vec<Query>) {
    match document {
        Value::Object(fields) => {
            if let Some(Value::String(expression)) = fields.get("expr") {
                let annotations = fields.get("annotations").and_then(Value::as_object);
                let annotations = annotations.into_iter().flat_map(|all| all.values());
                let said = annotations.chain(fields.get("legendFormat"));
                found.push(Query {
                    expression: expression.clone(),
                    said: said.filter_map(Value::as_str).collect(),
                });
            }
            fields.values().for_each(|field| queries(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

fn all_queries() -> Result<Vec<Query>> {
    let mut found = Vec::new();
    queries(
        &serde_json::from_str(&deployed("grafana/sonde.json")?)?,
        &mut found,
    );
    queries(
        &serde_yaml_ng::from_str(&deployed("prometheus/alerts.yml")?)?,
        &mut found,
    );
    ensure!(found.len() > 30, "{} expressions", found.len());
    Ok(found)
}

/// Labels that some series of this name has, on this host or on those of the fixtures.
fn labels(metrics: &Metrics, series: &str) -> Result<BTreeSet<String>> {
    let mut labels = fixture_labels(series)?;
    for sample in metrics.of(series, &[]) {
        labels.extend(sample.labels.keys().cloned());
    }
    for (name, others) in WITHOUT_FIXTURE {
        if name == series {
            labels.extend(others.iter().map(|label| (*label).to_owned()));
        }
    }
    Ok(labels)
}

#[test]
fn dashboards_and_alerts_use_labels_that_there_are() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&["--collector.syscall.durations=all"])?;
    let file = lab.path().join("root/static.bin");
    let more = format!(
        "location /broken {{ return 503; }}
         location /slow {{ limit_rate 50k; limit_rate_after 1; alias {}; }}",
        file.display()
    );
    let nginx = nginx(&lab, &more)?;
    let slow = nginx.url("/slow");
    let _in_progress = lab.start(
        lab.command("curl").args(["-s", "-o", "/dev/null", &slow]),
        false,
    )?;
    for path in ["/", "/broken"] {
        curl(&lab, &[&nginx.url(path)])?;
    }
    // Nobody listens there, so connecting fails.
    let refused = format!("http://{}/", free_address()?);
    output(lab.command("curl").args(["-s", &refused]))?;
    let (perl, name) = lab.copy("perl")?;
    lab.run(perl, ["-e", "getppid() for 1..100"])?;
    // The program that the shell starts can't open its libraries.
    output(
        lab.command("sh")
            .args(["-c", "ulimit -n 3; cat /dev/null; true"]),
    )?;
    let written = format!("of={}", lab.path().join("written").display());
    lab.run(
        "dd",
        ["if=/dev/zero", &written, "bs=4k", "count=16", "conv=fsync"],
    )?;
    agent.eventually("the failed request", |metrics| {
        metrics.sum(CLIENT, &[(STATUS, "503")])
    })?;
    agent.eventually("the exit", |metrics| {
        metrics.sum("process_exits_total", &[(SERVICE, &name)])
    })?;
    agent.eventually("the request in progress", |metrics| {
        metrics.sum("http_server_active_requests", &nginx.served())
    })?;
    agent.eventually("the refused descriptor", |metrics| {
        metrics.sum("use_errors_by_service_total", &[("signal", "emfile")])
    })?;
    agent.eventually("the failed connect", |metrics| {
        metrics.sum("tcp_connect_failures_total", &[])
    })?;
    agent.two_snapshots()?;
    let metrics = agent.metrics()?;
    let mut wrong = Vec::new();
    for Query { expression, said } in all_queries()? {
        let mut unknown = named(&said);
        for Selector {
            series,
            labels: asked,
            ..
        } in selectors(&expression)
        {
            let there = labels(&metrics, &series)?;
            unknown.retain(|label| {
                !there.contains(label) && !FROM_ELSEWHERE.contains(&label.as_str())
            });
            if there.is_empty() && metrics.sum(&series, &[]).is_none() {
                if MAY_BE_ABSENT.contains(&series.as_str()) {
                    unknown.clear();
                } else {
                    wrong.push(format!("no {series}"));
                }
                continue;
            }
            let missing = asked.iter().filter(|label| {
                !there.contains(*label) && !FROM_ELSEWHERE.contains(&label.as_str())
            });
            wrong.extend(missing.map(|label| format!("{series} has no {label}: {there:?}")));
        }
        wrong.extend(
            unknown
                .iter()
                .map(|label| format!("{said}: no {label} in {expression}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}
