//! Dashboards and alert rules against the agent's own words: their labels are there.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sonde_tests::{
    exposition::Metrics,
    lab::{Lab, free_address, output},
    promql::{Selector, selectors},
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

/// Every text under a key of this name, anywhere in the document.
fn texts(document: &Value, key: &str, found: &mut Vec<String>) {
    match document {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get(key) {
                found.push(text.clone());
            }
            fields.values().for_each(|field| texts(field, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        _ => {}
    }
}

fn expressions() -> Result<Vec<String>> {
    let mut found = Vec::new();
    texts(
        &serde_json::from_str(&deployed("grafana/sonde.json")?)?,
        "expr",
        &mut found,
    );
    texts(
        &serde_yaml_ng::from_str(&deployed("prometheus/alerts.yml")?)?,
        "expr",
        &mut found,
    );
    ensure!(found.len() > 30, "{} expressions", found.len());
    Ok(found)
}

/// Labels that some series of this name has.
fn labels(metrics: &Metrics, series: &str) -> BTreeSet<String> {
    metrics
        .of(series, &[])
        .flat_map(|sample| sample.labels.keys().cloned())
        .collect()
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
    agent.eventually("the failed request", |metrics| {
        metrics.sum(CLIENT, &[(STATUS, "503")])
    })?;
    agent.eventually("the exit", |metrics| {
        metrics.sum("process_exits_total", &[(SERVICE, &name)])
    })?;
    agent.eventually("the request in progress", |metrics| {
        metrics.sum("http_server_active_requests", &nginx.served())
    })?;
    agent.eventually("the failed connect", |metrics| {
        metrics.sum("tcp_connect_failures_total", &[])
    })?;
    agent.two_snapshots()?;
    let metrics = agent.metrics()?;
    let mut wrong = Vec::new();
    for expression in expressions()? {
        for Selector {
            series,
            labels: asked,
        } in selectors(&expression)
        {
            if metrics.sum(&series, &[]).is_none() {
                if !MAY_BE_ABSENT.contains(&series.as_str()) {
                    wrong.push(format!("no {series}"));
                }
                continue;
            }
            let there = labels(&metrics, &series);
            let missing = asked.iter().filter(|label| {
                !there.contains(*label) && !FROM_ELSEWHERE.contains(&label.as_str())
            });
            wrong.extend(missing.map(|label| format!("{series} has no {label}: {there:?}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}
