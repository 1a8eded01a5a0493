//! Input that isn't as one hopes, through a real server: what nginx answers is what is counted.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use anyhow::Result;
use sonde_tests::{agent::Agent, exposition::Counts, lab::Lab};

use crate::support::{
    CLIENT, METHOD, Nginx, PORT, ROUTE, SERVER, STATUS, assert_counts, counts, nginx,
};

/// Sends bytes, with the server's address for the host `h`, and reads all that comes until nginx
/// closes.
fn exchange(nginx: &Nginx, pieces: &[&[u8]]) -> Result<String> {
    let mut stream = TcpStream::connect(nginx.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    for piece in pieces {
        stream.write_all(&to(nginx, piece))?;
    }
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A client's series are told apart by the host that it asks for.
fn to(nginx: &Nginx, request: &[u8]) -> Vec<u8> {
    match str::from_utf8(request) {
        Ok(text) => text
            .replace("Host: h\r\n", &format!("Host: {}\r\n", nginx.address))
            .into_bytes(),
        Err(_) => request.to_vec(),
    }
}

fn assert_both(agent: &Agent, nginx: &Nginx, expected: &Counts) -> Result<()> {
    let port = nginx.address.port().to_string();
    for (metric, labels) in [(SERVER, nginx.served()), (CLIENT, [(PORT, &*port)])] {
        assert_counts(agent, metric, &labels, &[METHOD, STATUS, ROUTE], expected)?;
    }
    Ok(())
}

#[test]
fn fault_01_what_is_not_http_makes_no_series() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(&lab, "")?;
    let noise: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    exchange(&nginx, &[&noise])?;
    let hello = [0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    exchange(&nginx, &[&hello, &noise[..194]])?;
    // A request that ends in its middle.
    TcpStream::connect(nginx.address)?.write_all(b"GET /half HTTP/1.1\r\nHost: h")?;
    // And one that is whole, so that there is something to wait for.
    exchange(
        &nginx,
        &[b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"],
    )?;
    assert_both(&agent, &nginx, &counts(&[(["GET", "200", "/"], 1)]))?;
    let ignored = agent.metrics()?.by("sonde_ignored_total", &[], &["reason"]);
    for reason in ["not_http", "tls"] {
        let count = ignored.get(&vec![reason.to_owned()]).copied();
        assert!(count.unwrap_or_default() > 0, "{reason}: {ignored:?}");
    }
    Ok(())
}

#[test]
fn fault_02_unknown_methods_share_a_name() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(&lab, "")?;
    let answer = exchange(
        &nginx,
        &[b"PURGE / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"],
    )?;
    let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
    assert_both(&agent, &nginx, &counts(&[(["_OTHER", &status, "/"], 1)]))
}

#[test]
fn fault_05_one_byte_at_a_time() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(&lab, "")?;
    let mut stream = TcpStream::connect(nginx.address)?;
    stream.set_nodelay(true)?;
    let request = b"POST /made HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody\
        GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    for byte in to(&nginx, request) {
        stream.write_all(&[byte])?;
        thread::sleep(Duration::from_millis(2));
    }
    let mut answer = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 {
        answer.push(byte[0]);
    }
    assert!(answer.ends_with(b"hello"));
    let expected = counts(&[(["POST", "201", "/made"], 1), (["GET", "200", "/"], 1)]);
    assert_both(&agent, &nginx, &expected)
}

#[test]
fn fault_06_pipelined_requests_are_matched_in_order() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(&lab, "")?;
    let answer = exchange(
        &nginx,
        &[b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /missing HTTP/1.1\r\nHost: h\r\n\r\n\
            HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET /made HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"],
    )?;
    assert!(answer.ends_with("made"), "{answer}");
    let expected = counts(&[
        (["GET", "200", "/"], 1),
        (["GET", "404", "/missing"], 1),
        (["HEAD", "200", "/"], 1),
        (["GET", "201", "/made"], 1),
    ]);
    assert_both(&agent, &nginx, &expected)
}

/// A body is never taken for a message.
#[test]
fn fault_08_chunked_bodies_hide_no_messages() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(&lab, "")?;
    let trap = "GET /trap HTTP/1.1\r\nHost: trap\r\n\r\n";
    let request = format!(
        "POST /made HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x};name=\"va;lue\"\r\n{trap}\r\n0\r\nTrailer: x\r\n\r\n\
         GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        trap.len()
    );
    let answer = exchange(&nginx, &[request.as_bytes()])?;
    assert!(answer.ends_with("hello"), "{answer}");
    let expected = counts(&[(["POST", "201", "/made"], 1), (["GET", "200", "/"], 1)]);
    assert_both(&agent, &nginx, &expected)
}

#[test]
fn fault_15_half_closed_connections_are_answered() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(&lab, "")?;
    for _ in 0..10 {
        let mut stream = TcpStream::connect(nginx.address)?;
        stream.write_all(&to(
            &nginx,
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        ))?;
        stream.shutdown(Shutdown::Write)?;
        // The answer and the server's FIN are there before the first read.
        thread::sleep(Duration::from_millis(50));
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        assert!(answer.ends_with("hello"), "{answer}");
    }
    assert_both(&agent, &nginx, &counts(&[(["GET", "200", "/"], 10)]))
}

#[test]
fn fault_11_a_long_head_is_still_counted() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(&lab, "large_client_header_buffers 8 128k;")?;
    let long = "x".repeat(60_000);
    let request =
        format!("GET /made HTTP/1.1\r\nHost: h\r\nX-Long: {long}\r\nConnection: close\r\n\r\n");
    let answer = exchange(&nginx, &[request.as_bytes()])?;
    assert!(answer.ends_with("made"), "{answer}");
    assert_both(&agent, &nginx, &counts(&[(["GET", "201", "/made"], 1)]))
}
