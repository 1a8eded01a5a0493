//! HTTP written by hand on both sides: HTTP/1.0, and connections that break off.

use std::net::SocketAddr;

use anyhow::Result;
use sonde_tests::{
    agent::Agent,
    exposition::Counts,
    lab::{Lab, finish, free_address},
    process::Process,
};

use crate::support::{CLIENT, METHOD, PORT, ROUTE, SERVER, SERVICE, STATUS, assert_counts, counts};

const VERSION: &str = "network_protocol_version";
const ERROR: &str = "error_type";
const DIRECTION: &str = "network_connection_direction";
const TIMES: u64 = 5;

/// `programs/wire.py`, which both serves and asks; its `service.name` is `wire`.
struct Wire {
    lab: Lab,
    agent: Agent,
    _server: Process,
    address: SocketAddr,
}

impl Wire {
    fn start() -> Result<Self> {
        let lab = Lab::open()?;
        let agent = lab.agent(&[])?;
        let script = lab.write("wire.py", include_str!("programs/wire.py"))?;
        let address = free_address()?;
        let mut server = lab.command("python3");
        server.arg(script).arg("serve");
        server.arg(address.port().to_string());
        Ok(Self {
            _server: lab.serve(&mut server, address)?,
            lab,
            agent,
            address,
        })
    }

    /// Asks for each path so many times.
    fn ask(&self, paths: &[&str]) -> Result<()> {
        let mut client = self.lab.command("python3");
        client.arg(self.lab.path().join("wire.py")).arg("ask");
        client.args([self.address.port().to_string(), TIMES.to_string()]);
        finish(client.args(paths)).map(drop)
    }

    /// Requires the same of both sides.
    fn assert_both(&self, by: &[&str], expected: &Counts) -> Result<()> {
        let port = self.address.port().to_string();
        let served = [("service_namespace", self.lab.namespace())];
        let asked = [(PORT, &*port), (SERVICE, "wire")];
        assert_counts(&self.agent, SERVER, &served, by, expected)?;
        assert_counts(&self.agent, CLIENT, &asked, by, expected)?;
        assert_eq!(self.agent.dropped()?, Counts::new());
        Ok(())
    }
}

#[test]
fn fault_10_http_1_0_ends_with_the_connection_or_is_kept_alive() -> Result<()> {
    let wire = Wire::start()?;
    wire.ask(&["/until-close", "/kept"])?;
    let expected = counts(&[
        (["1.0", "/until-close", "200", ""], TIMES),
        (["1.0", "/kept", "200", ""], TIMES),
    ]);
    wire.assert_both(&[VERSION, ROUTE, STATUS, ERROR], &expected)
}

/// By the server: before the answer, in it and after it; by the client: before the answer.
#[test]
fn fault_15_a_reset_counts_once_on_both_sides() -> Result<()> {
    let wire = Wire::start()?;
    wire.ask(&["/unanswered", "/half", "/whole", "/abandoned"])?;
    let expected = counts(&[
        (["GET", "/unanswered", "", "connection_reset"], TIMES),
        (["GET", "/half", "200", "connection_reset"], TIMES),
        (["GET", "/whole", "200", ""], TIMES),
        (["GET", "/abandoned", "", "connection_reset"], TIMES),
    ]);
    wire.assert_both(&[METHOD, ROUTE, STATUS, ERROR], &expected)?;
    let resets = wire.agent.metrics()?.by(
        "tcp_resets_total",
        &[(SERVICE, "wire")],
        &[DIRECTION, "direction"],
    );
    let expected = counts(&[
        (["inbound", "sent"], 3 * TIMES),
        (["inbound", "received"], TIMES),
        (["outbound", "sent"], TIMES),
        (["outbound", "received"], 3 * TIMES),
    ]);
    assert_eq!(resets, expected);
    Ok(())
}
