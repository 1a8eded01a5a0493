//! `docs/node_exporter.md`: the table, and the figures of a run.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    compare::{Comparison, Growth},
    row::{Ours, Pair, Row},
    table,
};

const TABLE: &str = "<!-- table -->\n";
const FIGURES: &str = "<!-- figures -->\n";

/// The document.
#[must_use]
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/node_exporter.md")
}

/// The document with its table as the code has it, beside what it is at present.
pub fn with_table() -> Result<(String, String)> {
    let present = read()?;
    Ok((replaced(&present, TABLE, &table())?, present))
}

/// Writes the figures of a run into the document.
pub fn write_figures(comparison: &Comparison) -> Result<()> {
    let page = replaced(&read()?, FIGURES, &figures(comparison))?;
    fs::write(path(), page).context("docs/node_exporter.md")
}

fn read() -> Result<String> {
    fs::read_to_string(path()).context("docs/node_exporter.md")
}

/// What stands between the two marks that are alike becomes `text`.
fn replaced(page: &str, mark: &str, text: &str) -> Result<String> {
    let parts: Vec<_> = page.split(mark).collect();
    let [before, _, after] = parts[..] else {
        anyhow::bail!("not two lines {mark}");
    };
    Ok(format!("{before}{mark}\n{text}\n{mark}{after}"))
}

/// A section for each of their collectors.
#[must_use]
pub fn table() -> String {
    let mut text = String::new();
    for collector in table::collectors() {
        let _ = writeln!(text, "### {}\n", collector.name);
        text.push_str("| node_exporter | sonde | difference |\n| --- | --- | --- |\n");
        for row in collector.rows {
            let difference = match row.ours {
                Ours::No => format!("no: {}", row.difference),
                _ => row.difference.to_owned(),
            };
            let (node, ours) = (row.node, told(row));
            let _ = writeln!(text, "| `{node}` | {ours} | {difference} |");
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

/// What sonde tells of it: names, with the labels that pick the series where they are the same for
/// all of them.
fn told(row: &Row) -> String {
    let names: BTreeSet<String> = match row.ours {
        Ours::Counter([pair]) | Ours::Stable([pair]) | Ours::Moving([pair]) => [named(pair)].into(),
        Ours::Counter(pairs) | Ours::Stable(pairs) | Ours::Moving(pairs) => {
            pairs.iter().map(|pair| pair.sonde.to_owned()).collect()
        }
        Ours::Other(names) => names.iter().map(ToString::to_string).collect(),
        Ours::No => BTreeSet::new(),
    };
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn named(pair: &Pair) -> String {
    let labels = pair.ours.iter();
    let labels: Vec<_> = labels
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if labels.is_empty() {
        pair.sonde.to_owned()
    } else {
        format!("{}{{{}}}", pair.sonde, labels.join(","))
    }
}

/// The counters that have grown, and how many haven't.
#[must_use]
pub fn figures(comparison: &Comparison) -> String {
    let mut text = String::from(
        "| node_exporter | series | grown by | sonde | difference | between the readings |\n\
         | --- | --: | --: | --: | --: | --: |\n",
    );
    let (moved, resting): (Vec<_>, Vec<_>) = comparison
        .growth
        .iter()
        .partition(|(_, growth)| growth.theirs > 0.0 || growth.ours > 0.0);
    for (node, growth) in &moved {
        text.push_str(&line(node, growth));
    }
    let series: usize = comparison.growth.values().map(|growth| growth.series).sum();
    let _ = write!(
        text,
        "\n{series} series of {} counters were compared, of which {} counters stood still at both; \
         {} gauges that don't move were equal.\n",
        comparison.growth.len(),
        resting.len(),
        comparison.stable,
    );
    text
}

fn line(node: &str, growth: &Growth) -> String {
    let percent = |part: f64| format!("{:.3} %", part * 100.0);
    let difference = growth.difference().map(percent).unwrap_or_default();
    let skew = (growth.theirs > 0.0).then(|| percent(growth.skew / growth.theirs));
    format!(
        "| `{node}` | {} | {} | {} | {difference} | {} |\n",
        growth.series,
        short(growth.theirs),
        short(growth.ours),
        skew.unwrap_or_default()
    )
}

/// Whole numbers without, others with three places.
fn short(number: f64) -> String {
    if number.fract() == 0.0 || number >= 1e6 {
        format!("{number:.0}")
    } else {
        format!("{number:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    #[test]
    fn the_documents_table_is_the_codes() -> Result<()> {
        let (page, present) = with_table()?;
        if std::env::var_os("SONDE_BLESS").is_some() {
            fs::write(path(), &page)?;
            return Ok(());
        }
        for (present, code) in present.lines().zip(page.lines()) {
            assert_eq!(
                present, code,
                "SONDE_BLESS=1 writes docs/node_exporter.md anew"
            );
        }
        assert_eq!(present.len(), page.len());
        Ok(())
    }

    #[test]
    fn every_name_of_ours_is_in_the_reference_and_counters_are_counters() -> Result<()> {
        let kinds = reference::kinds()?;
        for row in table::rows() {
            let is_counter = matches!(row.ours, Ours::Counter(_));
            for pair in row.ours.pairs() {
                let kind = kinds.get(pair.sonde);
                assert_eq!(
                    kind.map(|kind| kind == "counter"),
                    Some(is_counter),
                    "{} for {}",
                    pair.sonde,
                    row.node
                );
            }
            if let Ours::Other(names) = row.ours {
                for name in names {
                    assert!(kinds.contains_key(*name), "{name} for {}", row.node);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn every_metric_of_theirs_has_one_line() {
        let names: Vec<_> = table::rows().map(|row| row.node).collect();
        let unique: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), unique.len());
    }
}
