//! The reference of metrics, `docs/metrics.md`, which a test of the agent compares with its code.

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context as _, Result};

/// Kind (`counter`, `up-down counter`, ...) of every metric, by its name in Prometheus.
pub fn kinds() -> Result<HashMap<String, String>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    Ok(page.lines().filter_map(row).collect())
}

/// Name and kind of a line of the tables of metrics, which have five columns.
fn row(line: &str) -> Option<(String, String)> {
    let cells: Vec<_> = line.split('|').map(str::trim).collect();
    let [_, name, _, kind, _, _, _] = cells[..] else {
        return None;
    };
    let name = name.strip_prefix('`')?.strip_suffix('`')?;
    Some((name.to_owned(), kind.to_owned()))
}
