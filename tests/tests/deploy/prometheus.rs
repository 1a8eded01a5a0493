//! Scrape configurations and alert rules, read by promtool.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;
use serde_yaml_ng::Value;

use crate::{contract::Contract, deploy, read, text, tool};

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

fn rules() -> Vec<Rule> {
    let text = read(&deploy("prometheus/alerts.yml"));
    let rules: Rules = serde_yaml_ng::from_str(&text).expect("rules");
    rules
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}

fn promtool(arguments: &[&str]) -> String {
    let outcome = tool("promtool", "prometheus", arguments);
    assert!(outcome.passed, "{}", outcome.said);
    outcome.said
}

#[test]
fn prometheus_takes_the_configuration() {
    promtool(&[
        "check",
        "config",
        text(&deploy("prometheus/prometheus.yml")),
    ]);
}

/// The fields of `kubernetes_sd_configs` that the configuration uses (Prometheus' documentation,
/// "Configuration"); any other is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Discovery {
    role: String,
    namespaces: Namespaces,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Namespaces {
    names: Vec<String>,
}

/// Debian's promtool is built without the discovery of Kubernetes, so that part is checked here and
/// the rest by promtool.
#[test]
fn prometheus_takes_the_configuration_for_kubernetes() {
    let file = deploy("prometheus/kubernetes.yml");
    let mut config: Value = serde_yaml_ng::from_str(&read(&file)).expect("YAML");
    let jobs = config["scrape_configs"].as_sequence_mut().expect("jobs");
    for job in jobs {
        let job = job.as_mapping_mut().expect("a job");
        let discovery = job.remove("kubernetes_sd_configs").expect("discovery");
        let discovery: Vec<Discovery> = serde_yaml_ng::from_value(discovery).expect("its fields");
        for one in discovery {
            assert_eq!(one.role, "pod");
            assert_eq!(one.namespaces.names, ["sonde"]);
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("prometheus.yml");
    fs::write(&copy, serde_yaml_ng::to_string(&config).expect("YAML")).expect("written");
    fs::copy(
        deploy("prometheus/alerts.yml"),
        folder.path().join("alerts.yml"),
    )
    .expect("copied");
    promtool(&["check", "config", text(&copy)]);
}

#[test]
fn prometheus_takes_the_rules() {
    let said = promtool(&["check", "rules", text(&deploy("prometheus/alerts.yml"))]);
    assert!(
        said.contains(&format!("{} rules found", rules().len())),
        "{said}"
    );
}

#[test]
fn alerts_fire_when_they_should() {
    promtool(&["test", "rules", text(&deploy("prometheus/alerts_test.yml"))]);
}

#[test]
fn each_alert_has_an_example_that_fires_and_one_that_does_not() {
    let tests = read(&deploy("prometheus/alerts_test.yml"));
    let tests: Value = serde_yaml_ng::from_str(&tests).expect("YAML");
    let cases = tests["tests"].as_sequence().expect("tests").iter();
    let checks: Vec<(&Value, bool)> = cases
        .flat_map(|case| case["alert_rule_test"].as_sequence().expect("checks"))
        .map(|check| {
            let expected = check["exp_alerts"].as_sequence();
            (
                &check["alertname"],
                expected.is_some_and(|some| !some.is_empty()),
            )
        })
        .collect();
    for rule in rules() {
        for fires in [true, false] {
            let example = (&Value::from(rule.alert.as_str()), fires);
            assert!(
                checks.contains(&example),
                "{} has no example with firing: {fires}",
                rule.alert
            );
        }
    }
}

/// Nothing fires for want of a series: `absent` does, and what is compared with something put in its
/// place (`or vector(0)`).
#[test]
fn alerts_need_a_series() {
    for rule in rules() {
        for word in ["absent", "vector(", "scalar("] {
            assert!(!rule.expr.contains(word), "{}: {word}", rule.alert);
        }
    }
}

#[test]
fn alerts_name_metrics_that_there_are() {
    let contract = Contract::read();
    for rule in rules() {
        contract.check(&rule.expr);
    }
}

#[test]
fn alerts_say_how_bad_and_what() {
    for Rule {
        alert,
        labels,
        annotations,
        ..
    } in rules()
    {
        let severity = labels.get("severity").map(String::as_str);
        assert!(
            matches!(severity, Some("critical" | "warning" | "info")),
            "{alert}"
        );
        for annotation in ["summary", "description"] {
            assert!(
                annotations.contains_key(annotation),
                "{alert} has no {annotation}"
            );
        }
    }
}
