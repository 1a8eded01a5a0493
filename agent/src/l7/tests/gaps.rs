//! Bytes that were not seen: see the rules of the connection module.

use sonde_common::event::http::Direction::{Receive, Send};

use super::{
    super::{
        counters::{Dropped, GivenUp},
        script::STEP,
    },
    *,
};

fn paths(exchanges: &[Exchange]) -> Vec<(&str, Option<u16>)> {
    exchanges.iter().map(|e| (&*e.path, e.status)).collect()
}

/// Any bytes without a line end.
fn filler(length: usize) -> String {
    "x".repeat(length)
}

#[test]
fn lost_records_within_a_body_of_known_length_do_no_harm() {
    let (exchanges, table) = run(&Script::new(1)
        .receive("PUT /1 HTTP/1.1\r\nContent-Length: 500\r\n\r\n")
        .lost(Receive, 400)
        .receive(filler(100))
        .send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        .lost(Send, 400)
        .send(filler(100))
        .receive(get("/2"))
        .send(answer(202, "")));
    assert_eq!(paths(&exchanges), [("/1", Some(200)), ("/2", Some(202))]);
    assert_eq!(exchanges[0].request_body, Some(500));
    assert_eq!(exchanges[0].response_body, Some(500));
    assert_eq!(
        (table.counters().gaps, table.counters().gap_bytes),
        (2, 800)
    );
}

#[test]
fn a_lost_answer_drops_its_request_and_no_other() {
    let (exchanges, table) = run(&Script::new(1)
        .receive(get("/1"))
        .lost(Send, 50)
        .receive(get("/2"))
        .send(answer(202, ""))
        .receive(get("/3"))
        .send(answer(203, "")));
    assert_eq!(paths(&exchanges), [("/3", Some(203))]);
    assert_eq!(table.counters().dropped(Dropped::Uncertain), 2);
    assert_eq!(table.counters().orphan_responses, 1);
}

/// Go reads the first byte of what comes next in a thread of its own, and the client has an answer
/// before its write is told.
#[test]
fn a_head_that_begins_before_the_last_answer_is_told_is_found_behind_a_lost_body() {
    let lost = Script::new(1)
        .receive("POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .capture(0, 0)
        .receive(filler(3_000))
        .capture(usize::MAX, 0);
    for at in 1..4 {
        let script = lost
            .clone()
            .receive(&get("/2")[..at])
            .send(answer(201, ""))
            .receive(&get("/2")[at..])
            .send(answer(202, ""))
            .receive(get("/3"))
            .send(answer(203, ""));
        let (exchanges, table) = run(&script);
        let expected = [("/1", Some(201)), ("/2", Some(202)), ("/3", Some(203))];
        assert_eq!(paths(&exchanges), expected, "split at {at}");
        assert_eq!(table.counters().dropped_in_all(), 0);
    }
}

#[test]
fn so_is_one_on_a_connection_that_pipelines_behind_a_last_chunk() {
    let lost = Script::new(1)
        .receive([get("/8"), get("/9")].concat())
        .send([answer(208, ""), answer(209, "")].concat())
        .receive("POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .capture(0, 7)
        .receive(format!("{}\r\n0\r\n\r\n", filler(3_000)))
        .capture(usize::MAX, 0);
    for at in 1..4 {
        let next = get("/2");
        let (first, second) = next.split_at(at);
        let in_two = lost.clone().receive(first).send(answer(201, ""));
        let in_three = lost.clone().receive(&first[..1]).send(answer(201, ""));
        for script in [
            in_two.receive(second),
            in_three.receive(&first[1..]).receive(second),
        ] {
            let (exchanges, table) = run(&script
                .send(answer(202, ""))
                .receive(get("/3"))
                .send(answer(203, "")));
            let expected = [("/1", Some(201)), ("/2", Some(202)), ("/3", Some(203))];
            assert_eq!(paths(&exchanges)[2..], expected, "split at {at}");
            assert_eq!(table.counters().dropped_in_all(), 0);
        }
    }
    // What began like a method was none.
    let (exchanges, table) = run(&lost.receive("D").send(answer(201, "")).receive(get("/2")));
    assert_eq!(paths(&exchanges)[2..], [("/1", Some(201))]);
    assert_eq!(table.counters().dropped_in_all(), 1);
}

/// A body of a single byte behind a head whose end was lost, and another such head after it.
#[test]
fn a_body_that_looks_like_a_methods_begin_hides_no_request() {
    let head = |number: u32, filler: usize, length: usize| {
        let filler = "f".repeat(filler);
        format!("POST /{number} HTTP/1.1\r\nX-Filler: {filler}\r\nContent-Length: {length}\r\n\r\n")
    };
    let (first, second) = (head(0, 2246, 1), head(1, 2315, 88) + &"b".repeat(88));
    let (_, table) = run(&Script::new(1)
        .captured_as_by_the_kernel()
        .receive(&first[..1256])
        .receive(&first[1256..])
        .receive("G")
        .send("HTTP/1.1 400 X\r\nX-Filler: ")
        .send("\r\nContent-Length: 0\r\n\r\n")
        .receive(&second[..1343])
        .receive(&second[1343..])
        .send("HTTP/1.1 401 X\r\nX-Filler: ")
        .send("\r\nContent-Length: 0\r\n\r\n")
        .close());
    assert_eq!(table.counters().requests, 2);
}

#[test]
fn the_end_of_a_lost_body_that_looks_like_a_methods_begin_is_none() {
    for end in ["G", "P", "DELETE"] {
        let (exchanges, _) = run(&Script::new(1)
            .receive("POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            .capture(0, 0)
            .receive(filler(3_000))
            .capture(usize::MAX, 0)
            .receive(end)
            .send(answer(201, ""))
            .receive(get("/2"))
            .send(answer(202, "")));
        assert_eq!(paths(&exchanges), [("/1", Some(201)), ("/2", Some(202))]);
    }
}

#[test]
fn a_lost_request_makes_its_answer_an_orphan() {
    let (exchanges, table) = run(&Script::new(1)
        .receive(get("/1"))
        .send(answer(201, ""))
        .lost(Receive, 50)
        .send(answer(202, ""))
        .receive(get("/3"))
        .send(answer(203, "")));
    assert_eq!(paths(&exchanges), [("/1", Some(201)), ("/3", Some(203))]);
    assert_eq!(table.counters().orphan_responses, 1);
}

#[test]
fn a_lost_exchange_leaves_the_next_but_one_right() {
    let (exchanges, _) = run(&Script::new(1)
        .receive(get("/1"))
        .send(answer(201, ""))
        .lost(Receive, 50)
        .lost(Send, 50)
        .receive(get("/3"))
        .send(answer(203, ""))
        .receive(get("/4"))
        .send(answer(204, "")));
    assert_eq!(paths(&exchanges), [("/1", Some(201)), ("/4", Some(204))]);
}

#[test]
fn a_gap_on_a_pipelining_connection_gives_it_up() {
    let (exchanges, table) = run(&Script::new(1)
        .receive([get("/1"), get("/2")].concat())
        .send(answer(201, ""))
        .lost(Send, 50)
        .receive([get("/3"), get("/4")].concat())
        .send(answer(203, ""))
        .send(answer(204, "")));
    assert_eq!(paths(&exchanges), [("/1", Some(201))]);
    assert_eq!(table.counters().given_up(GivenUp::PipelineLost), 1);
    assert_eq!(table.in_flight(), 0);
}

#[test]
fn requests_before_a_gap_keep_their_answers() {
    let (exchanges, _) = run(&Script::new(1)
        .receive(get("/1"))
        .opaque(Receive, 50)
        .send(answer(201, ""))
        .send(answer(202, ""))
        .receive(get("/3"))
        .send(answer(203, "")));
    assert_eq!(paths(&exchanges), [("/1", Some(201)), ("/3", Some(203))]);
}

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
fn a_request_whose_head_has_a_lost_part_is_counted() {
    let (exchanges, table) = run(&Script::new(1)
        .receive("GET /1 HTTP/1.1\r\nHost: h\r\n")
        .lost(Receive, 50)
        .receive("X: y\r\n\r\n")
        .send(answer(201, ""))
        .receive(get("/2"))
        .send(answer(202, "")));
    assert_eq!(paths(&exchanges), [("/2", Some(202))]);
    assert_eq!(table.counters().dropped(Dropped::Uncertain), 1);
    assert_eq!(table.counters().requests, 2);
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

#[test]
fn requests_on_a_connection_that_was_given_up_are_counted() {
    let (exchanges, table) = run(&Script::new(1)
        .receive([get("/1"), get("/2")].concat())
        .send(answer(201, ""))
        .lost(Send, 50)
        .receive(get("/3"))
        .send(answer(203, ""))
        .receive(get("/4"))
        .receive("no request"));
    assert_eq!(paths(&exchanges), [("/1", Some(201))]);
    // The second and the third were in flight when the hole showed.
    assert_eq!(table.counters().requests, 4);
    assert_eq!(table.counters().dropped_in_all(), 3);
    assert_eq!(table.counters().dropped(Dropped::Unsynchronised), 1);
}

#[test]
fn records_that_come_twice_count_once() {
    let mut table = table();
    let script = Script::new(1).receive(get("/1")).send(answer(201, "abc"));
    table.open(&Script::opened_as(1, false));
    let mut exchanges = Vec::new();
    for segment in script.segments() {
        table.segment(&segment, &mut |e| exchanges.push(e.clone()));
        table.segment(&segment, &mut |e| exchanges.push(e.clone()));
    }
    assert_eq!(paths(&exchanges), [("/1", Some(201))]);
    assert_eq!(table.counters().overlaps, 2);
}

#[test]
fn late_a_first_answer_seen_before_its_request_fails_nobody() {
    let (exchanges, table) = run(&Script::new(1).late().receive(OK).send(GET).close());
    assert_eq!(exchanges, []);
    assert_eq!(table.counters().dropped(Dropped::Uncertain), 1);
    assert_eq!(table.counters().orphan_responses, 1);
}

#[test]
fn out_of_step_a_silent_request_is_not_called_timed_out() {
    let script = Script::new(1).late().receive(OK).send(GET);
    let (_, mut table) = run(&script);
    table.expire(script.now() + seconds(61), &mut |e| panic!("{e:?}"));
    assert_eq!(table.counters().dropped(Dropped::Uncertain), 1);
    conserves(&table, 0);
}
