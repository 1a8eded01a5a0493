//! Series of TCP connections: whose they are, and which end is the server.

use std::{io::Write as _, net::TcpStream};

use anyhow::Result;
use sonde_tests::lab::Lab;

use crate::support::{PORT, SERVICE, assert_counts, counts, curl, nginx};

const ENDED: &str = "tcp_connection_lifetime_seconds_count";
const DIRECTION: &str = "network_connection_direction";
const ADDRESS: &str = "server_address";

/// Nothing told of its opening; that nginx listens on its port tells that it was accepted.
#[test]
fn a_connection_from_before_the_agent_counts_once_it_is_used() -> Result<()> {
    let lab = Lab::open()?;
    let nginx = nginx(&lab, "")?;
    let mut used = TcpStream::connect(nginx.address)?;
    let _idle = TcpStream::connect(nginx.address)?;
    let agent = lab.agent(&[])?;
    used.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")?;
    let port = nginx.address.port().to_string();
    let by = ["state", DIRECTION, ADDRESS, PORT];
    let expected = counts(&[(["established", "inbound", "127.0.0.1", &port], 1)]);
    assert_counts(&agent, "tcp_connections", &nginx.served(), &by, &expected)
}

/// The server's port, at both ends: never the one that the client happened to get.
#[test]
fn both_ends_name_the_listeners_port() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(&lab, "")?;
    for _ in 0..5 {
        curl(&lab, &[&nginx.url("/")])?;
    }
    let port = nginx.address.port().to_string();
    let by = [DIRECTION, ADDRESS, PORT];
    let asked = [(PORT, &*port), (SERVICE, "curl")];
    let expected = counts(&[(["outbound", "127.0.0.1", &port], 5)]);
    assert_counts(&agent, ENDED, &asked, &by, &expected)?;
    // The test itself connects, too, to see that nginx listens.
    let metrics = agent.metrics()?;
    for metric in [
        ENDED,
        "tcp_io_bytes_total",
        "tcp_rtt_seconds_count",
        "tcp_retransmits_total",
        "tcp_resets_total",
    ] {
        let series = metrics.by(metric, &nginx.served(), &by);
        let keys: Vec<_> = series.keys().collect();
        assert_eq!(keys, [&["inbound", "127.0.0.1", &port]], "{metric}");
    }
    let ended = metrics.sum(ENDED, &nginx.served());
    assert!(ended.is_some_and(|ended| ended >= 6.0), "{ended:?}");
    Ok(())
}
