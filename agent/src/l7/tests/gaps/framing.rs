//! The framing of a body stood in what was not captured.

use sonde_common::event::http::Direction::Receive;

use super::*;
use crate::l7::{
    counters::{Dropped, GivenUp},
    script::STEP,
};

#[test]
fn a_chunk_size_that_was_not_captured_leaves_status_and_end_right() {
    let chunk = format!("200\r\n{}\r\n", filler(512));
    let body = format!("{chunk}{chunk}0\r\n\r\n");
    let (exchanges, table) = run(&Script::new(1)
        .capture(64, 16)
        .receive(get("/1"))
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .send(&body[..600])
        .send(&body[600..])
        .wait(seconds(5))
        .receive(get("/2"))
        .send(answer(202, "")));
    assert_eq!(paths(&exchanges), [("/1", Some(200)), ("/2", Some(202))]);
    assert_eq!(exchanges[0].end, exchanges[0].start + 3 * STEP);
    assert_eq!(exchanges[0].response_body, None);
    assert_eq!(table.counters().framing_lost, 1);
}

#[test]
fn an_uncaptured_chunked_upload_keeps_its_answer() {
    let chunk = format!("200\r\n{}\r\n", filler(512));
    let (exchanges, _) = run(&Script::new(1)
        .capture(64, 16)
        .receive("PUT /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .receive(chunk.repeat(3))
        .receive(format!("{chunk}0\r\n\r\n"))
        .send(answer(201, ""))
        .receive(get("/2"))
        .send(answer(202, "")));
    assert_eq!(paths(&exchanges), [("/1", Some(201)), ("/2", Some(202))]);
    assert_eq!(exchanges[0].request_body, None);
}

/// A chunked answer of which only so many bytes of each write's end are captured, between
/// pipelines; the one before is of two requests.
fn answer_between_pipelines(tail: usize, after: usize) -> Vec<Exchange> {
    let chunk = format!("200\r\n{}\r\n", filler(512));
    let batch: Vec<String> = (4..4 + after).map(|n| get(&format!("/{n}"))).collect();
    let mut script = Script::new(1)
        .capture(200, tail)
        .receive([get("/1"), get("/2")].concat())
        .send(answer(201, ""))
        .send(answer(202, ""))
        .receive(get("/3"))
        .send("HTTP/1.1 203 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .send(chunk.repeat(3))
        .send(format!("{chunk}0\r\n\r\n"))
        .receive(batch.concat());
    for status in 204..204 + u16::try_from(after).unwrap() {
        script = script.send(answer(status, ""));
    }
    let script = script.receive(get("/9")).send(answer(209, ""));
    run(&script).0
}

#[test]
fn a_last_chunk_ends_an_uncaptured_answer_whatever_follows() {
    for after in [1, 2, 3] {
        let found = answer_between_pipelines(16, after);
        assert_eq!(found.len(), 3 + after + 1, "{after}");
        for exchange in &found {
            let number = exchange.status.unwrap() - 200;
            assert_eq!(*exchange.path, *format!("/{number}"));
        }
        assert_eq!(found[2].end, found[2].start + 3 * STEP);
    }
}

#[test]
fn after_an_answer_whose_end_was_not_seen_one_request_at_a_time_is_followed() {
    let paths = |found: Vec<Exchange>| -> Vec<String> {
        found
            .iter()
            .map(|exchange| exchange.path.to_string())
            .collect()
    };
    let expected = ["/1", "/2", "/3", "/4", "/9"];
    assert_eq!(paths(answer_between_pipelines(0, 1)), expected);
    // Two at once may be answered by bytes that weren't seen.
    assert_eq!(paths(answer_between_pipelines(0, 2)), expected[..3]);
}

/// A chunked upload of which the middle isn't captured, on a connection that has pipelined.
fn upload_after_a_pipeline(last: &str, answered: &str) -> Script {
    let chunk = format!("200\r\n{}\r\n", filler(512));
    Script::new(1)
        .capture(64, 16)
        .receive([get("/1"), get("/2")].concat())
        .send(answer(201, ""))
        .send(answer(202, ""))
        .receive("POST /3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .receive(chunk.repeat(3))
        .receive(format!("{chunk}{last}"))
        .send(answered)
}

#[test]
fn a_last_chunk_ends_an_uncaptured_upload_on_a_pipelining_connection() {
    let body = format!("200\r\n{}\r\n0\r\n\r\n", filler(512));
    let chunked = format!("HTTP/1.1 203 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    for answered in [answer(203, ""), chunked] {
        let (exchanges, table) = run(&upload_after_a_pipeline("0\r\n\r\n", &answered)
            .receive("G")
            .receive(["ET /4 HTTP/1.1\r\n\r\n", &get("/5")].concat())
            .send(answer(204, ""))
            .send(answer(205, "")));
        let expected = [1, 2, 3, 4, 5].map(|n| (format!("/{n}"), Some(200 + n)));
        let expected = expected.each_ref().map(|(path, status)| (&**path, *status));
        assert_eq!(paths(&exchanges), expected);
        assert_eq!(exchanges[2].request_body, None);
        assert_eq!(table.counters().given_up(GivenUp::PipelineLost), 0);
    }
}

#[test]
fn without_a_last_chunk_a_pipelining_connection_is_given_up() {
    let trailer = "0\r\nTrailer: x\r\n\r\n";
    let hidden = format!("0\r\n\r\n{}", get("/hidden"));
    for last in [trailer, &hidden] {
        let (exchanges, table) = run(&upload_after_a_pipeline(last, &answer(203, ""))
            .receive(get("/4"))
            .send(answer(204, "")));
        let expected = [("/1", Some(201)), ("/2", Some(202)), ("/3", Some(203))];
        assert_eq!(paths(&exchanges), expected);
        assert_eq!(table.counters().given_up(GivenUp::PipelineLost), 1);
        assert_eq!(table.in_flight(), 0);
    }
}

#[test]
fn an_answer_without_framing_ends_with_the_connection_at_its_last_byte() {
    let chunk = format!("200\r\n{}\r\n", filler(512));
    let script = Script::new(1)
        .capture(64, 16)
        .receive(get("/1"))
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .send(chunk.repeat(2))
        .wait(seconds(9))
        .close();
    let exchange = only(&script);
    assert_eq!(exchange.end, exchange.start + 2 * STEP);
    assert_eq!((exchange.status, exchange.failure), (Some(200), None));
}

#[test]
fn an_answer_without_framing_is_given_out_when_it_ages() {
    let chunk = format!("200\r\n{}\r\n", filler(512));
    let script = Script::new(1)
        .capture(64, 16)
        .receive(get("/1"))
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .send(chunk.repeat(2));
    let (_, mut table) = run(&script);
    let mut aged = Vec::new();
    table.expire(script.now() + seconds(301), &mut |e| aged.push(e.clone()));
    assert_eq!(paths(&aged), [("/1", Some(200))]);
    assert_eq!(
        (aged[0].failure, aged[0].end),
        (None, aged[0].start + 2 * STEP)
    );
}

#[test]
fn an_answer_without_framing_is_not_prolonged_by_that_of_a_lost_request() {
    let chunk = format!("200\r\n{}\r\n", filler(512));
    let (exchanges, table) = run(&Script::new(1)
        .capture(64, 16)
        .receive(get("/1"))
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .send(chunk.repeat(2))
        .lost(Receive, 50)
        .send(answer(202, ""))
        .receive(get("/3"))
        .send(answer(203, "")));
    assert_eq!(paths(&exchanges), [("/3", Some(203))]);
    assert_eq!(table.counters().dropped(Dropped::Uncertain), 1);
}
