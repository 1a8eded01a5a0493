//! Streams of an HTTP/2 connection, of which some wait while another is answered.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread::sleep,
    time::Duration,
};

use anyhow::{Result, bail, ensure};
use sonde::l7::exchange::Role;
use sonde_tests::frame::{self, END_HEADERS, END_STREAM, HEADERS, PREFACE, settings};

use super::{super::by_role, LONG, check};
use crate::{child::Workload, harness::Test, observed::Observed, tcp::pair};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "http::streams_of_one_connection_wait_each_for_itself",
    run: streams_of_one_connection_wait_each_for_itself,
}];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "http-streams",
    run: streams,
}];

const WHOLE: u8 = END_HEADERS | END_STREAM;

/// `GET path`, of static entries and literals that aren't remembered (RFC 7541).
fn request(stream: u32, path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x04];
    block.push(u8::try_from(path.len()).expect("a short path"));
    block.extend(path.as_bytes());
    frame::of(HEADERS, WHOLE, stream, &block)
}

/// `200`
fn answer(stream: u32) -> Vec<u8> {
    frame::of(HEADERS, WHOLE, stream, &[0x88])
}

/// One stream at once; while its request is under way two others wait in one piece, then one at once
/// again.
fn streams(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    let mut opening = PREFACE.to_vec();
    opening.extend(settings());
    opening.extend(request(1, "/at-once"));
    client.write_all(&opening)?;
    read(&mut server)?;
    server.write_all(&settings())?;
    read(&mut client)?;
    let both = [request(3, "/waits"), request(5, "/waits-too")].concat();
    client.write_all(&both)?;
    sleep(LONG);
    server.write_all(&answer(1))?;
    read(&mut client)?;
    read(&mut server)?;
    client.write_all(&request(7, "/later"))?;
    read(&mut server)?;
    for stream in [5, 3, 7] {
        server.write_all(&answer(stream))?;
        read(&mut client)?;
    }
    Ok(())
}

fn read(stream: &mut TcpStream) -> Result<()> {
    match stream.read(&mut [0; 4096])? {
        0 => bail!("the end"),
        _ => Ok(()),
    }
}

fn streams_of_one_connection_wait_each_for_itself(observed: &mut Observed) -> Result<()> {
    observed.forget();
    let pid = observed.run("http-streams", &[])?;
    let mut found = observed.exchanges(pid);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    check(
        &found,
        &[
            ("/at-once", false),
            ("/later", false),
            ("/waits", true),
            ("/waits-too", true),
        ],
    )?;
    for server in by_role(&found, Role::Server) {
        let duration = Duration::from_nanos(server.end - server.start);
        let busy = &*server.path == "/at-once";
        ensure!(
            busy == (duration >= LONG) && duration < LONG * 2,
            "{}: {duration:?}",
            server.path
        );
    }
    Ok(())
}
