//! The dashboard: its expressions are valid, and name metrics that there are.

use std::{collections::HashSet, fs};

use serde_json::Value;
use sonde_tests::promql::{named, selectors};

use crate::{contract::Contract, deploy, read, text, tool};

fn dashboard() -> Value {
    serde_json::from_str(&read(&deploy("grafana/sonde.json"))).expect("JSON")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name]
        .as_array()
        .unwrap_or_else(|| panic!("no list {name} in {value}"))
}

fn string<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text {name} in {value}"))
}

/// The expression with the dashboard's variables filled in, as Grafana does.
fn fill_in(expression: &str) -> String {
    let filled = expression
        .replace("$__rate_interval", "5m")
        .replace("$instance", ".*")
        .replace("$service", ".*");
    assert!(!filled.contains('$'), "unknown variable: {expression}");
    filled
}

fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = list(dashboard, "panels").iter();
    let graphs = panels.filter(|panel| panel["type"] != "row");
    let targets = graphs.flat_map(|panel| list(panel, "targets"));
    targets
        .map(|target| fill_in(string(target, "expr")))
        .collect()
}

/// Each expression as a recording rule, which promtool parses.
#[test]
fn expressions_are_valid() {
    let expressions = expressions(&dashboard());
    let record =
        |(number, expr)| serde_json::json!({"record": format!("dashboard:{number}"), "expr": expr});
    let rules: Vec<_> = expressions.iter().enumerate().map(record).collect();
    let groups = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("rules.yml");
    // JSON is YAML.
    fs::write(&file, groups.to_string()).expect("written");
    let checked = tool("promtool", "prometheus", &["check", "rules", text(&file)]);
    assert!(checked.passed, "{}", checked.said);
    let found = format!("{} rules found", expressions.len());
    assert!(checked.said.contains(&found), "{}", checked.said);
}

#[test]
fn expressions_name_metrics_that_there_are() {
    let contract = Contract::read();
    for expression in expressions(&dashboard()) {
        contract.check(&expression);
    }
}

/// What an aggregation leaves out can't stand in a legend.
#[test]
fn legends_name_labels_that_are_kept() {
    let dashboard = dashboard();
    let targets = list(&dashboard, "panels")
        .iter()
        .filter(|panel| panel["type"] != "row")
        .flat_map(|panel| list(panel, "targets"));
    for target in targets {
        let expression = string(target, "expr");
        if !expression.contains(" by (") {
            continue;
        }
        let selectors = selectors(expression);
        for label in named(string(target, "legendFormat")) {
            let mut kept = selectors.iter().flat_map(|selector| &selector.labels);
            assert!(kept.any(|name| *name == label), "no {label}: {expression}");
        }
    }
}

#[test]
fn variables_choose_data_source_host_and_service() {
    let dashboard = dashboard();
    let variables = list(&dashboard["templating"], "list");
    let names: Vec<_> = variables
        .iter()
        .map(|variable| string(variable, "name"))
        .collect();
    assert_eq!(names, ["datasource", "instance", "service"]);
    assert_eq!(variables[0]["type"], "datasource");
    let contract = Contract::read();
    for variable in &variables[1..] {
        let query = string(&variable["query"], "query");
        let arguments = query.strip_prefix("label_values(").expect("label_values");
        let (selector, _label) = arguments.rsplit_once(", ").expect("selector and label");
        contract.check(&fill_in(selector));
    }
}

#[test]
fn red_stands_over_use() {
    let dashboard = dashboard();
    let rows = list(&dashboard, "panels")
        .iter()
        .filter(|panel| panel["type"] == "row");
    let titles: Vec<_> = rows.map(|row| string(row, "title")).collect();
    let at = |part: &str| titles.iter().position(|title| title.contains(part));
    assert!(at("rate, errors, duration").is_some());
    assert!(at("rate, errors, duration") < at("utilization, saturation, errors"));
}

#[test]
fn panels_have_a_data_source_and_a_place_of_their_own() {
    let dashboard = dashboard();
    let panels = list(&dashboard, "panels");
    let mut ids = HashSet::new();
    let mut taken = HashSet::new();
    for panel in panels {
        let title = string(panel, "title");
        assert!(ids.insert(panel["id"].as_u64()), "{title}: id given twice");
        let place = |side: &str| panel["gridPos"][side].as_u64().expect("gridPos");
        assert!(
            place("x") + place("w") <= 24,
            "{title}: the grid has 24 columns"
        );
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} covers another panel");
            }
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            assert!(!string(&panel["fieldConfig"]["defaults"], "unit").is_empty());
        }
    }
}
