//! The figures as a table for people, and as JSON for programs.

use std::{fs, io, path::PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{
    Plan,
    figure::{Figure, Goal, Kind, Spread},
};
use crate::workspace;

/// What the figures were measured on.
#[derive(Serialize)]
struct Machine {
    kernel: String,
    cpu: String,
    cpus: usize,
}

#[derive(Serialize)]
struct Report<'a> {
    machine: Machine,
    rounds: u32,
    load_seconds: u64,
    figures: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    figure: &'a Figure,
    spread: Option<Spread>,
    met: Option<bool>,
}

/// Where the report and the logs are written.
pub(super) fn directory() -> Result<PathBuf> {
    let directory = workspace::target()?.join("bench");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Prints the table and writes the JSON.
pub(super) fn write(plan: &Plan, figures: &[Figure]) -> Result<()> {
    let machine = Machine::here().context("what this machine is")?;
    println!(
        "{}, Linux {}, {} CPUs; {} rounds of {} s; median (min to max)\n",
        machine.cpu,
        machine.kernel,
        machine.cpus,
        plan.rounds,
        plan.load.as_secs(),
    );
    print_table(figures);
    let row = |figure| Row {
        figure,
        spread: figure.spread(),
        met: figure.met(),
    };
    let report = Report {
        machine,
        rounds: plan.rounds,
        load_seconds: plan.load.as_secs(),
        figures: figures.iter().map(row).collect(),
    };
    let path = directory()?.join("report.json");
    fs::write(&path, serde_json::to_vec_pretty(&report)?).context("writing the report")?;
    println!("\n{}", path.display());
    Ok(())
}

impl Machine {
    fn here() -> io::Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let cpu = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Self {
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            cpu: cpu.map_or("unknown CPU", |(_, name)| name).to_owned(),
            cpus: std::thread::available_parallelism()?.get(),
        })
    }
}

fn print_table(figures: &[Figure]) {
    let head = ["figure", "without", "with", "result", "goal", ""].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head)
        .chain(figures.iter().map(cells))
        .collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in &rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

fn cells(figure: &Figure) -> [String; 6] {
    let (unit, sign) = match figure.kind {
        Kind::Ratio => ("x", ""),
        Kind::Difference => (figure.unit, "+"),
        Kind::Value => (figure.unit, ""),
    };
    let side = |values| {
        let median = Spread::of(values).map(|spread| spread.median);
        median.map_or_else(
            || "-".to_owned(),
            |median| format!("{} {}", number(median), figure.unit),
        )
    };
    let result = figure.spread().map_or_else(
        || "-".to_owned(),
        |Spread { median, min, max }| {
            let sign = if median < 0.0 { "" } else { sign };
            format!(
                "{sign}{} {unit} ({} to {})",
                number(median),
                number(min),
                number(max)
            )
        },
    );
    let goal = match figure.goal {
        None => String::new(),
        Some(Goal::AtLeast(limit)) => format!(">= {limit} {unit}"),
        Some(Goal::AtMost(limit)) => format!("<= {limit} {unit}"),
    };
    let verdict = match figure.met() {
        None => "",
        Some(true) => "met",
        Some(false) => "MISSED",
    };
    let with = if figure.kind == Kind::Value {
        "-".to_owned()
    } else {
        side(&figure.with)
    };
    [
        figure.name.clone(),
        side(&figure.base),
        with,
        result,
        goal,
        verdict.to_owned(),
    ]
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
