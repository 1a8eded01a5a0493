//! The reference of metrics, `docs/metrics.md`, which a test of the agent compares with its code; and
//! labels of those that a host has only with the hardware for them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};

fn page() -> Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    fs::read_to_string(&file).with_context(|| file.display().to_string())
}

/// Kind (`counter`, `up-down counter`, ...) of every metric, by its name in Prometheus.
pub fn kinds() -> Result<HashMap<String, String>> {
    let page = page()?;
    let rows = page.lines().filter_map(row);
    Ok(rows.map(|row| (row.name, row.kind)).collect())
}

/// Metric, resource and signal of all signals, as Prometheus has them.
pub fn signals() -> Result<HashSet<[String; 3]>> {
    let mut signals = HashSet::new();
    let mut metric = None;
    for line in page()?.lines() {
        if line.starts_with('#') {
            metric = line
                .strip_prefix("## Signals of `")
                .and_then(|rest| rest.strip_suffix('`'));
        }
        let cells: Vec<_> = line.split('|').map(code).collect();
        if let (Some(metric), [_, Some(resource), Some(signal), ..]) = (metric, &cells[..]) {
            signals.insert([metric, resource, signal].map(str::to_owned));
        }
    }
    Ok(signals)
}

/// Labels that a metric has in the golden files of the agent's fixtures, where there are hosts with
/// arrays, bonds, sensors and limited cgroups.
pub fn fixture_labels(name: &str) -> Result<BTreeSet<String>> {
    let page = page()?;
    let Some(row) = page.lines().filter_map(row).find(|row| row.name == name) else {
        return Ok(BTreeSet::new());
    };
    let start = format!("{}{{", row.otlp);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden");
    let mut labels = BTreeSet::new();
    for file in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let text = fs::read_to_string(file?.path())?;
        for series in text.lines().filter_map(|line| line.strip_prefix(&start)) {
            // Every other part is a text.
            let parts = series.split('"').step_by(2);
            let names = parts.filter_map(|part| part.trim_start_matches(',').strip_suffix('='));
            labels.extend(names.map(|name| name.replace('.', "_")));
        }
    }
    Ok(labels)
}

struct Row {
    name: String,
    otlp: String,
    kind: String,
}

/// A line of the tables of metrics, which have five columns.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<_> = line.split('|').map(str::trim).collect();
    let [_, name, otlp, kind, _, _, _] = cells[..] else {
        return None;
    };
    Some(Row {
        name: code(name)?.to_owned(),
        otlp: code(otlp)?.to_owned(),
        kind: kind.to_owned(),
    })
}

/// What stands in a cell as code.
fn code(cell: &str) -> Option<&str> {
    cell.trim().strip_prefix('`')?.strip_suffix('`')
}
