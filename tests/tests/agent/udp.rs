//! Bytes of UDP per service, against what iperf3 says of them.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use sonde_tests::lab::{Lab, free_address};

use crate::support::SERVICE;

const IO: &str = "udp_io_bytes_total";
const TCP_IO: &str = "tcp_io_bytes_total";
const ALL: &str = "process_network_io_bytes_total";
const DIRECTION: &str = "network_io_direction";
/// Bytes of the greetings before and after the load.
const GREETINGS: f64 = 64.0;

/// Bytes that a service has sent or received.
fn bytes(
    metrics: &sonde_tests::exposition::Metrics,
    service: &str,
    direction: &str,
) -> Option<f64> {
    metrics.sum(IO, &[(SERVICE, service), (DIRECTION, direction)])
}

#[test]
fn services_are_told_apart_by_what_they_send_and_receive() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (program, client) = lab.copy("iperf3")?;
    let server = format!("receiver-{}", lab.namespace());
    let server_program = lab.path().join(&server);
    fs::copy(&program, &server_program)?;
    let address = free_address()?;
    let port = address.port().to_string();
    let mut serving = lab.command(&server_program);
    serving.args(["--server", "--bind", "127.0.0.1", "--port", &port]);
    let _server = lab.serve(&mut serving, address)?;
    let said = load(&lab, &program, &port)?;
    let sent = agent.eventually("what was sent", |metrics| {
        bytes(metrics, &client, "transmit").filter(|sent| *sent >= said)
    })?;
    ensure!(sent - said <= GREETINGS, "{sent} sent, {said} said");
    agent.two_snapshots()?;
    let metrics = agent.metrics()?;
    let received = bytes(&metrics, &server, "receive").context("nothing received")?;
    ensure!(
        (received - sent).abs() < 1.0,
        "{received} received of {sent}"
    );
    // TCP, which iperf3 uses for its own purposes, isn't among them.
    let answered = bytes(&metrics, &server, "transmit").context("no greeting")?;
    ensure!(answered <= GREETINGS, "{answered} answered");
    for service in [&*client, &*server] {
        for direction in ["receive", "transmit"] {
            let of = [(SERVICE, service), (DIRECTION, direction)];
            let [all, tcp, udp] = [ALL, TCP_IO, IO].map(|name| metrics.sum(name, &of));
            let parts = tcp.context("no TCP")? + udp.context("no UDP")?;
            ensure!(
                all == Some(parts),
                "{service}: {all:?}, not {tcp:?} and {udp:?}"
            );
        }
    }
    Ok(())
}

/// Sends datagrams, slowly enough that none is lost; how many bytes iperf3 says it sent.
fn load(lab: &Lab, program: &Path, port: &str) -> Result<f64> {
    let program = program.to_str().context("a name")?;
    let how = ["--udp", "--client", "127.0.0.1", "--port", port, "--json"];
    let rate = ["--bitrate", "40M", "--time", "2", "--length", "1000"];
    let said = lab.run(program, how.iter().chain(&rate))?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    let sent = &said["end"]["streams"][0]["udp"]["bytes"];
    sent.as_f64().with_context(|| format!("no bytes in {said}"))
}
