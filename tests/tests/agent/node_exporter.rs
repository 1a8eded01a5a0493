//! Debian's `prometheus-node-exporter` beside sonde, under CPU, memory, disk and network load.
//!
//! `SONDE_NODE_EXPORTER_SECONDS=60 SONDE_BLESS=1` makes a longer run and writes its figures into
//! `docs/node_exporter.md`.

use std::{env, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use sonde_tests::{
    agent::INTERVAL,
    lab::Lab,
    node_exporter::{Moment, NodeExporter, compare::Comparison, document, load},
};

/// What the load moves for certain: without these the comparison would be of nothing.
const MOVED: &[&str] = &[
    "node_context_switches_total",
    "node_cpu_seconds_total",
    "node_disk_flush_requests_total",
    "node_disk_io_time_seconds_total",
    "node_disk_read_bytes_total",
    "node_disk_written_bytes_total",
    "node_forks_total",
    "node_intr_total",
    "node_netstat_IpExt_InOctets",
    "node_netstat_Tcp_InSegs",
    "node_netstat_Tcp_OutSegs",
    "node_netstat_Udp_InDatagrams",
    "node_network_receive_bytes_total",
    "node_network_transmit_packets_total",
    "node_pressure_cpu_waiting_seconds_total",
    "node_pressure_io_waiting_seconds_total",
    "node_softnet_processed_total",
    "node_vmstat_pgfault",
];

#[test]
fn every_counter_that_both_have_agrees_under_load() -> Result<()> {
    let time = env::var("SONDE_NODE_EXPORTER_SECONDS").unwrap_or_else(|_| "20".to_owned());
    let time = Duration::from_secs(time.parse().context("SONDE_NODE_EXPORTER_SECONDS")?);
    let lab = Lab::open()?;
    // What comes in between would have no growth.
    let link = load::Link::new()?;
    let exporter = NodeExporter::start(&lab)?;
    let agent = lab.agent(&["--snapshot.interval=100ms"])?;
    // The first of theirs is the dearest, and what was measured at the start shows in no rate.
    exporter.metrics()?;
    thread::sleep(INTERVAL);

    let begin = Moment::read(&exporter, &agent)?;
    let halfway = load::run(&lab, &link, time, || Moment::read(&exporter, &agent))?;
    thread::sleep(INTERVAL);
    let moments = [begin, halfway, Moment::read(&exporter, &agent)?];
    for moment in &moments {
        println!("read within {:.3} s", moment.width());
    }

    let comparison = Comparison::of(&moments);
    println!("{}", document::figures(&comparison));
    ensure!(
        comparison.faults.is_empty(),
        "{}",
        comparison.faults.join("\n")
    );
    for node in MOVED {
        let growth = comparison.growth.get(node);
        let growth = growth.with_context(|| format!("{node} is missing"))?;
        ensure!(growth.theirs > 0.0, "{node} hasn't grown");
    }
    if env::var_os("SONDE_BLESS").is_some() {
        document::write_figures(&comparison)?;
    }
    Ok(())
}
