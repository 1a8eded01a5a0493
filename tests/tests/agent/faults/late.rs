//! Late and early: connections that were open before the agent, and requests that nobody answers.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use anyhow::Result;
use sonde_tests::{exposition::Metrics, lab::Lab};

use super::scene::{Scene, answer, get, pair, receive, request};
use crate::support::{
    CLIENT, METHOD, PORT, ROUTE, SERVER, SERVICE, STATUS, assert_counts, counts, nginx, own_service,
};

/// Reads an answer with `length` bytes of body.
fn read_answer(stream: &mut TcpStream, length: usize) -> Result<String> {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(String::from_utf8(answer)?)
}

#[test]
fn fault_13_late_attach_waits_for_the_first_clean_request() -> Result<()> {
    let lab = Lab::open()?;
    let nginx = nginx(&lab, "")?;
    let mut idle = TcpStream::connect(nginx.address)?;
    let get = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", nginx.address);
    idle.write_all(get.as_bytes())?;
    read_answer(&mut idle, 5)?;
    // This one is in the middle of a body that looks like a request.
    let mut busy = TcpStream::connect(nginx.address)?;
    let trap = b"x\r\n\r\nGET /trap HTTP/1.1\r\nHost: late\r\n\r\n".repeat(4);
    let (before, after) = trap.split_at(17);
    let length = trap.len();
    write!(
        busy,
        "POST /made HTTP/1.1\r\nHost: late\r\nContent-Length: {length}\r\n\r\n"
    )?;
    busy.write_all(before)?;

    let agent = lab.agent(&[])?;
    busy.write_all(after)?;
    read_answer(&mut busy, 4)?;
    for stream in [&mut idle, &mut busy] {
        for _ in 0..5 {
            stream.write_all(get.as_bytes())?;
            read_answer(stream, 5)?;
        }
    }
    let expected = counts(&[(["GET", "200", "/"], 10)]);
    let port = nginx.address.port().to_string();
    for (metric, labels) in [(SERVER, nginx.served()), (CLIENT, [(PORT, &*port)])] {
        assert_counts(&agent, metric, &labels, &[METHOD, STATUS, ROUTE], &expected)?;
    }
    Ok(())
}

#[test]
fn fault_14_unanswered_requests_age_and_the_gauge_returns() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&["--http.request-timeout=3s"])?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(b"GET /never HTTP/1.1\r\nHost: silent\r\n\r\n")?;
    let mut head = [0; 64];
    assert!(server.read(&mut head)? > 0);
    let service = own_service()?;
    let labels = [(SERVICE, &*service)];
    let active = |metrics: &Metrics| metrics.sum("http_server_active_requests", &labels);
    agent.eventually("one active", |metrics| {
        (active(metrics) == Some(1.0)).then_some(())
    })?;
    agent.eventually("none active", |metrics| {
        (active(metrics).unwrap_or_default() == 0.0).then_some(())
    })?;
    let aged = [("reason", "aged")];
    agent.eventually("aged", |metrics| {
        (metrics.sum("sonde_ignored_total", &aged)? >= 2.0).then_some(())
    })?;
    for metric in [SERVER, CLIENT] {
        let expected = counts(&[(["GET", "", "timeout"], 1)]);
        let labels = [(SERVICE, &*service), (ROUTE, "/never")];
        let by = [METHOD, STATUS, "error_type"];
        assert_counts(&agent, metric, &labels, &by, &expected)?;
    }
    Ok(())
}

/// Mid-body in either direction, and before an answer: only what begins after the agent is told.
#[test]
fn fault_13_open_connections_are_followed_from_their_next_request() -> Result<()> {
    let lab = Lab::open()?;
    let before = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
    // At the start of a write nothing would tell it from a request.
    let trap = [b"x", &*request("GET /trap HTTP/1.1", "")].concat();
    let mut connections = Vec::new();
    for _ in 0..3 {
        let (mut client, server) = pair()?;
        client.write_all(&request("GET /before HTTP/1.1", ""))?;
        receive(&server, request("GET /before HTTP/1.1", "").len())?;
        connections.push((client, server));
    }
    // The first one's answer has begun, and so has the body of the second one's next request.
    let (client, server) = &mut connections[0];
    server.write_all(before.as_bytes())?;
    receive(client, before.len())?;
    let (client, server) = &mut connections[1];
    server.write_all(&answer(200, "done"))?;
    receive(client, answer(200, "done").len())?;
    let length = trap.len();
    let upload = format!("POST /before HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
    client.write_all(upload.as_bytes())?;
    receive(server, upload.len())?;

    let scene = Scene::in_lab(lab, &[])?;
    let (client, server) = &mut connections[0];
    server.write_all(&[b'x'; 100])?;
    receive(client, 100)?;
    let (client, server) = &mut connections[1];
    // A body that looks like a request.
    client.write_all(&trap)?;
    receive(server, length)?;
    for (client, server) in &mut connections[1..] {
        server.write_all(&answer(201, "late"))?;
        receive(client, answer(201, "late").len())?;
    }
    let mut expected = Vec::new();
    for (index, (client, server)) in connections.iter_mut().enumerate() {
        for turn in 0..3 {
            let path = format!("/late/{index}/{turn}");
            let asked = request(&format!("GET {path} HTTP/1.1"), "");
            client.write_all(&asked)?;
            receive(server, asked.len())?;
            server.write_all(&answer(202, "clean"))?;
            receive(client, answer(202, "clean").len())?;
            expected.push(get(&path).status(202).answer(5));
        }
    }
    // What isn't told is counted, where it looked like a request.
    scene.assert_told(&own_service()?, "/", &expected)
}
