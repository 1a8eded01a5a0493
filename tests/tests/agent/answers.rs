//! Answers and targets that no server of good standing would send, between two sockets of the
//! test's own: both of its ends are what is told.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use anyhow::Result;
use sonde_tests::lab::Lab;

use crate::support::{
    CLIENT, METHOD, ROUTE, SERVER, SERVICE, STATUS, assert_counts, counts, own_service,
};

/// One request and one answer on a connection of their own.
fn exchange(request: &[u8], answer: &[u8]) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(request)?;
    server.read_exact(&mut vec![0; request.len()])?;
    server.write_all(answer)?;
    drop(server);
    client.read_to_end(&mut Vec::new())?;
    Ok(())
}

#[test]
fn fault_03_a_bad_status_line_is_an_invalid_response() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let answers = [
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
    ];
    for answer in answers {
        exchange(
            b"GET /bad-status HTTP/1.1\r\nHost: bad\r\n\r\n",
            answer.as_bytes(),
        )?;
    }
    let service = own_service()?;
    let labels = [(SERVICE, &*service), (ROUTE, "/bad-status")];
    let by = [METHOD, STATUS, "error_type"];
    let expected = counts(&[(["GET", "", "invalid_response"], answers.len() as u64)]);
    for metric in [SERVER, CLIENT] {
        assert_counts(&agent, metric, &labels, &by, &expected)?;
    }
    Ok(())
}

#[test]
fn fault_04_odd_bytes_leave_the_exposition_readable() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let request = b"GET /odd\x01\"\\\t\xff\xfe{}=, HTTP/1.1\r\nHost: o\"d\\d\xff\r\n\r\n";
    exchange(request, b"HTTP/1.1 418 Odd\r\nContent-Length: 0\r\n\r\n")?;
    let service = own_service()?;
    let labels = [(SERVICE, &*service), (STATUS, "418")];
    for metric in [SERVER, CLIENT] {
        assert_counts(&agent, metric, &labels, &[METHOD], &counts(&[(["GET"], 1)]))?;
    }
    // Every line reads as a sample, and no control byte has come through.
    for sample in agent.metrics()?.of(SERVER, &labels) {
        for (label, value) in &sample.labels {
            assert!(!value.chars().any(char::is_control), "{label}: {value:?}");
        }
    }
    Ok(())
}
