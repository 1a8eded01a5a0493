//! Parts of messages, and whole messages, that were lost or came twice.

use sonde_common::event::http::Direction::{Receive, Send};

use super::*;
use crate::l7::counters::{Dropped, GivenUp};

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
