//! Frames whose headers are cut, and the first ones: behind a preface that is cut, or an upgrade.

use anyhow::{Result, ensure};
use sonde::l7::exchange::Role;
use sonde_common::fault::Fault;
use sonde_tests::frame::{
    self, END_HEADERS, END_STREAM, HEADERS, PREFACE, WINDOW_UPDATE, settings,
};

use super::{answer, begin, check, odd, pass, request};
use crate::{
    child::Workload,
    harness::Test,
    http::{both, by_role, framing::in_two},
    observed::Observed,
    tcp::pair,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::parts::frames_that_are_cut_anywhere",
        run: frames_that_are_cut_anywhere,
    },
    Test {
        name: "http::parts::frames_behind_a_preface_that_is_cut_anywhere",
        run: frames_behind_a_preface_that_is_cut_anywhere,
    },
    Test {
        name: "http::parts::frames_behind_an_upgrade",
        run: frames_behind_an_upgrade,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "http2-cut",
        run: cut,
    },
    Workload {
        name: "http2-preface",
        run: preface,
    },
    Workload {
        name: "http2-upgrade",
        run: upgrade,
    },
];

/// A request whose path is the newest entry of the table.
fn request_again(stream: u32) -> Vec<u8> {
    frame::of(
        HEADERS,
        END_HEADERS | END_STREAM,
        stream,
        &[0x82, 0x86, 0xbe],
    )
}

/// A request and its answer cut in two at every offset, and byte by byte.
fn cut(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    begin(&mut client, &mut server)?;
    for stream in odd(60) {
        let offset = usize::try_from(stream)? / 2;
        let asked = request(stream, &format!("/cut/{stream}"));
        let answered = answer(stream, 30, 10);
        in_two(&mut client, &mut server, &asked, offset % asked.len())?;
        in_two(&mut server, &mut client, &answered, offset % answered.len())?;
    }
    let stream = 121;
    for byte in request(stream, &format!("/cut/{stream}")) {
        in_two(&mut client, &mut server, &[byte], 0)?;
    }
    for byte in answer(stream, 30, 10) {
        in_two(&mut server, &mut client, &[byte], 0)?;
    }
    Ok(())
}

fn frames_that_are_cut_anywhere(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http2-cut", &[])?;
    check(&exchanges, "/cut/", &odd(61), 30)
}

/// Where the preface ends must be known: what follows it is read as a frame's header.
fn preface(_: &[&str]) -> Result<()> {
    for at in 1..PREFACE.len() {
        let (mut client, mut server) = pair()?;
        in_two(
            &mut client,
            &mut server,
            &[PREFACE, &settings()].concat(),
            at,
        )?;
        pass(&mut server, &mut client, &settings())?;
        let asked = request(1, &format!("/preface/{at}"));
        pass(&mut client, &mut server, &asked)?;
        // Of HTTP/1.x not all of it would be told.
        pass(&mut server, &mut client, &answer(1, 9_000, 3_000))?;
    }
    Ok(())
}

fn frames_behind_a_preface_that_is_cut_anywhere(observed: &mut Observed) -> Result<()> {
    let exchanges = both(observed, "http2-preface", &[])?;
    for role in [Role::Server, Role::Client] {
        let mut told: Vec<_> = by_role(&exchanges, role)
            .iter()
            .map(|exchange| (exchange.path.to_string(), exchange.status))
            .collect();
        let mut expected: Vec<_> = (1..PREFACE.len())
            .map(|at| (format!("/preface/{at}"), Some(201)))
            .collect();
        told.sort();
        expected.sort();
        ensure!(told == expected, "{role:?}: {told:?}");
    }
    Ok(())
}

/// The first request in HTTP/1.1; then a preface with more behind it than is told of a body.
fn upgrade(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = pair()?;
    let asked = b"GET /up/1 HTTP/1.1\r\nHost: up\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                  Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    pass(&mut client, &mut server, asked)?;
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let first = [&switch[..], &settings(), &answer(1, 3000, 1000)].concat();
    pass(&mut server, &mut client, &first)?;
    let mut bytes = [PREFACE, &settings()].concat();
    bytes.extend(frame::of(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]).repeat(8));
    bytes.extend(request(3, "/up/3"));
    pass(&mut client, &mut server, &bytes)?;
    pass(&mut server, &mut client, &answer(3, 3000, 1000))?;
    pass(&mut client, &mut server, &request_again(5))?;
    pass(&mut server, &mut client, &answer(5, 3000, 1000))
}

fn frames_behind_an_upgrade(observed: &mut Observed) -> Result<()> {
    let lost = observed.faults(Fault::PayloadUnreadable)?;
    let exchanges = both(observed, "http2-upgrade", &[])?;
    for role in [Role::Server, Role::Client] {
        let found = by_role(&exchanges, role);
        let told: Vec<_> = found
            .iter()
            .map(|exchange| (&*exchange.path, exchange.status, exchange.response_body))
            .collect();
        let expected = [
            ("/up/1", Some(201), Some(3000)),
            ("/up/3", Some(203), Some(3000)),
            ("/up/3", Some(205), Some(3000)),
        ];
        ensure!(told == expected, "{role:?}: {told:?}");
    }
    let lost = observed.faults(Fault::PayloadUnreadable)? - lost;
    ensure!(
        lost == 0,
        "{lost} reads and writes that couldn't be looked at"
    );
    Ok(())
}
