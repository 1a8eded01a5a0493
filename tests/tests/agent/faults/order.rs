//! Many requests on one connection: pipelines, and descriptors and connections that come and go.

use std::{io::Write as _, os::fd::AsRawFd as _};

use anyhow::{Result, ensure};
use sonde_tests::span::Side;

use super::scene::{Scene, answer, get, pair, pass, receive, request};

const PIPELINED: usize = 50;

fn pipeline(prefix: &str) -> Vec<u8> {
    (0..PIPELINED)
        .flat_map(|n| request(&format!("GET /{prefix}/{n:02} HTTP/1.1"), ""))
        .collect()
}

/// The answer to the n-th request of a pipeline: its status tells whose it is.
fn nth(n: usize) -> Vec<u8> {
    answer(200 + u16::try_from(n).unwrap_or_default(), "")
}

/// All requests at once; the answers one by one, in one write, and cut at odd places.
#[test]
fn fault_06_fifty_pipelined_requests_are_answered_in_order() -> Result<()> {
    let scene = Scene::open()?;
    let mut expected = Vec::new();
    for (prefix, piece) in [("each", 0), ("thousand", 1_000), ("odd", 37)] {
        let (client, server) = pair()?;
        pass(&client, &server, &pipeline(prefix))?;
        let answers: Vec<_> = (0..PIPELINED).map(nth).collect();
        if piece == 0 {
            for answer in answers {
                pass(&server, &client, &answer)?;
            }
        } else {
            for part in answers.concat().chunks(piece) {
                pass(&server, &client, part)?;
            }
        }
        expected.extend((0..PIPELINED).map(|n| {
            get(&format!("/{prefix}/{n:02}")).status(200 + u16::try_from(n).unwrap_or_default())
        }));
    }
    scene.assert_both("/", &expected)
}

/// One read brings many answers with bodies: all of them are told, and none is another's.
#[test]
fn fault_06_answers_with_bodies_that_one_read_brings_are_told_apart() -> Result<()> {
    let scene = Scene::open()?;
    let (client, mut server) = pair()?;
    pass(&client, &server, &pipeline("far"))?;
    let body = "x".repeat(300);
    // None of these is without a body, as 204 is.
    let answers: Vec<u8> = (400..)
        .take(PIPELINED)
        .flat_map(|status| answer(status, &body))
        .collect();
    server.write_all(&answers)?;
    receive(&client, answers.len())?;
    let spans = scene.spans("/far/", 2 * PIPELINED)?;
    assert_eq!(spans.len(), 2 * PIPELINED);
    for span in &spans {
        let number: u16 = span.path.trim_start_matches("/far/").parse()?;
        ensure!(span.status == Some(400 + number), "{span:?}");
    }
    let dropped = scene.agent.dropped()?;
    assert!(dropped.is_empty(), "{dropped:?}");
    Ok(())
}

#[test]
fn fault_06_past_the_cap_the_connection_is_given_up_and_counted() -> Result<()> {
    let scene = Scene::open()?;
    let (client, server) = pair()?;
    for n in 0..200 {
        let asked = request(&format!("GET /deep/{n} HTTP/1.1"), "");
        pass(&client, &server, &asked)?;
    }
    for _ in 0..200 {
        pass(&server, &client, &answer(200, ""))?;
    }
    let spans = scene.spans("/deep/", 0)?;
    assert!(spans.is_empty(), "{spans:?}");
    let dropped = scene.agent.dropped()?;
    let count = |reason: &str| {
        let key = vec!["http".to_owned(), reason.to_owned()];
        dropped.get(&key).copied().unwrap_or_default()
    };
    // At both ends: those up to the cap and one more, and those after it.
    assert_eq!(count("pipeline_full"), 2 * 129, "{dropped:?}");
    assert_eq!(count("unsynchronised"), 2 * (200 - 129), "{dropped:?}");
    Ok(())
}

#[test]
fn fault_12_ten_thousand_requests_leave_no_state() -> Result<()> {
    const MANY: usize = 10_000;
    let scene = Scene::open()?;
    let (client, server) = pair()?;
    for n in 0..MANY {
        let asked = request(&format!("GET /many/{n:05} HTTP/1.1"), "");
        pass(&client, &server, &asked)?;
        pass(&server, &client, &answer(200, "hello"))?;
    }
    let expected: Vec<_> = (0..MANY)
        .map(|n| get(&format!("/many/{n:05}")).answer(5))
        .collect();
    scene.assert_both("/many/", &expected)?;
    let metrics = scene.agent.metrics()?;
    let in_flight = [("table", "http_in_flight")];
    assert_eq!(metrics.sum("sonde_table_entries", &in_flight), Some(0.0));
    Ok(())
}

/// Connections one after the other on the same two descriptors; every other one is no HTTP.
#[test]
fn fault_16_descriptors_used_again_at_once_mix_nothing() -> Result<()> {
    let scene = Scene::open()?;
    let (mut expected, mut numbers) = (Vec::new(), None);
    for n in 0..100 {
        let (client, server) = pair()?;
        let here = (client.as_raw_fd(), server.as_raw_fd());
        assert_eq!(*numbers.get_or_insert(here), here, "other descriptors");
        if n % 2 == 1 {
            pass(&client, &server, &[0xff; 64])?;
            continue;
        }
        let path = format!("/again/{n:02}");
        // The next connection's state must not know of this body.
        let asked = request(&format!("POST {path} HTTP/1.1"), "Content-Length: 3\r\n");
        pass(&client, &server, &asked)?;
        pass(&client, &server, b"abc")?;
        let status = 200 + n;
        pass(&server, &client, &answer(status, ""))?;
        expected.push(get(&path).method("POST").status(status).request(3));
    }
    scene.assert_both("/again/", &expected)?;
    let spans = scene.spans("/again/", expected.len())?;
    let servers = spans.iter().filter(|span| span.side == Side::Server);
    assert_eq!(servers.count(), 50);
    Ok(())
}
