//! Answers that are told of before their requests.

use sonde_common::event::http::Direction::{Receive, Send};

use super::{
    super::{exchange::Role, script::STEP},
    *,
};

fn paths(exchanges: &[Exchange]) -> Vec<(&str, Option<u16>)> {
    exchanges.iter().map(|e| (&*e.path, e.status)).collect()
}

/// Plays a script in which every answer belongs to a request.
fn all_paired(script: &Script) -> Vec<Exchange> {
    let (exchanges, table) = run(script);
    assert_eq!(table.counters().orphan_responses, 0);
    assert_eq!(table.counters().dropped_in_all(), 0);
    assert_eq!((table.in_flight(), table.buffered()), (0, 0));
    for exchange in &exchanges {
        assert!(Some(exchange.start) <= exchange.response_start);
        assert!(exchange.response_start <= Some(exchange.end));
    }
    exchanges
}

#[test]
fn the_first_answer_waits_for_its_request() {
    let script = Script::new(1).receive(OK).send(GET).close();
    let [exchange] = &all_paired(&script)[..] else {
        panic!("one exchange");
    };
    assert_eq!(exchange.role, Role::Client);
    assert_eq!((&*exchange.path, exchange.status), ("/a", Some(200)));
    // The request left no later than its answer came, whenever that was told.
    assert_eq!(exchange.end, script.now() - 2 * STEP);
    assert_eq!(exchange.start, exchange.end);
    assert_eq!(exchange.request_body, Some(0));
}

#[test]
fn any_answer_waits_for_its_request() {
    let exchanges = all_paired(
        &Script::new(1)
            .send(get("/1"))
            .receive(answer(201, ""))
            .receive(answer(202, "x"))
            .send(get("/2"))
            .send(get("/3"))
            .receive(answer(203, "")),
    );
    let expected = [("/1", Some(201)), ("/2", Some(202)), ("/3", Some(203))];
    assert_eq!(paths(&exchanges), expected);
}

#[test]
fn a_pipeline_of_answers_waits_for_its_requests() {
    let asks = [get("/1"), get("/2"), get("/3")];
    let answers = [answer(201, "a"), answer(202, ""), answer(203, "ccc")];
    let expected = [("/1", Some(201)), ("/2", Some(202)), ("/3", Some(203))];
    let one_by_one = |script: Script, way, parts: &[String; 3]| {
        let moved = |script: Script, part| script.moved(way, part);
        parts.iter().fold(script, moved)
    };
    for early in [
        Script::new(1).receive(answers.concat()),
        one_by_one(Script::new(1), Receive, &answers),
    ] {
        for script in [
            early.clone().send(asks.concat()),
            one_by_one(early, Send, &asks),
        ] {
            assert_eq!(paths(&all_paired(&script)), expected);
        }
    }
    // The end of a read is early, its front isn't.
    let script = Script::new(1)
        .send(&asks[0])
        .receive(answers.concat())
        .send(&asks[1])
        .send(&asks[2]);
    assert_eq!(paths(&all_paired(&script)), expected);
}

#[test]
fn only_the_request_tells_that_an_early_answer_has_no_body() {
    let exchanges = all_paired(
        &Script::new(1)
            .receive("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
            .receive(answer(202, "x"))
            .send("HEAD /1 HTTP/1.1\r\n\r\n")
            .send(get("/2")),
    );
    assert_eq!(paths(&exchanges), [("/1", Some(200)), ("/2", Some(202))]);
}

#[test]
fn an_early_answer_may_be_split_anywhere() {
    for at in 1..OK.len() {
        let (first, second) = OK.split_at(at);
        let before = Script::new(1).receive(first).receive(second).send(GET);
        let within = Script::new(1).receive(first).send(GET).receive(second);
        for script in [before, within] {
            let exchanges = all_paired(&script);
            assert_eq!(paths(&exchanges), [("/a", Some(200))], "split at {at}");
        }
    }
}

#[test]
fn an_answer_waits_for_the_rest_of_its_requests_head() {
    for at in 1..GET.len() {
        let (first, second) = GET.split_at(at);
        let exchanges = all_paired(
            &Script::new(1)
                .send(first)
                .receive(OK)
                .send(second)
                .send(get("/2"))
                .receive(answer(202, "")),
        );
        assert_eq!(paths(&exchanges), [("/a", Some(200)), ("/2", Some(202))]);
        assert!(!exchanges[0].truncated);
    }
}

#[test]
fn ends_wait_with_early_answers() {
    let until_close = "HTTP/1.1 200 OK\r\n\r\nhello";
    let early = Script::new(1).receive(until_close);
    for script in [
        early.clone().end(Receive).send(GET).close(),
        early.clone().end(Receive).end(Send).close().send(GET),
        early.clone().close().send(GET),
    ] {
        let exchanges = all_paired(&script);
        assert_eq!(paths(&exchanges), [("/a", Some(200))]);
        assert_eq!(exchanges[0].failure, None);
        assert_eq!(exchanges[0].response_body, Some(5));
        assert_eq!(exchanges[0].end - exchanges[0].start, STEP);
    }
    let [exchange] = &all_paired(&early.reset().send(GET))[..] else {
        panic!("one exchange");
    };
    assert_eq!(exchange.failure, Some(Failure::ConnectionReset));
}

#[test]
fn a_closed_connection_leaves_with_its_last_request() {
    let script = Script::new(1)
        .receive([answer(201, ""), answer(202, "")].concat())
        .close()
        .send(get("/1"))
        .send(get("/2"));
    let (exchanges, table) = run(&script);
    assert_eq!(paths(&exchanges), [("/1", Some(201)), ("/2", Some(202))]);
    assert!(table.is_empty());
}

#[test]
fn a_closed_connection_lingers_no_longer_than_it_may() {
    let script = Script::new(1).receive(OK).close();
    let (exchanges, mut table) = run(&script);
    assert_eq!((exchanges.len(), table.len()), (0, 1));
    table.expire(script.now() + seconds(4), &mut |e| panic!("{e:?}"));
    assert_eq!(table.len(), 1);
    table.expire(script.now() + seconds(6), &mut |e| panic!("{e:?}"));
    assert_eq!((table.len(), table.buffered()), (0, 0));
    assert_eq!(table.counters().orphan_responses, 1);
}

#[test]
fn the_head_of_a_lost_request_is_told_with_its_early_answer() {
    let script = Script::new(1)
        .send("GET /a HTTP/1.1\r\nHost")
        .receive(OK)
        .close();
    let (exchanges, mut table) = run(&script);
    assert_eq!(exchanges, []);
    let mut last = Vec::new();
    table.expire(script.now() + seconds(6), &mut |e| last.push(e.clone()));
    assert_eq!(paths(&last), [("/a", Some(200))]);
    assert!(last[0].truncated);
    conserves(&table, 1);
}

#[test]
fn an_answer_that_nobody_asked_for_is_nobodys() {
    let unasked = answer(408, "");
    let (exchanges, table) = run(&Script::new(1)
        .receive(&unasked)
        .wait(seconds(6))
        .send(get("/1"))
        .receive(answer(201, "")));
    assert_eq!(paths(&exchanges), [("/1", Some(201))]);
    assert_eq!(table.counters().orphan_responses, 1);
}

/// Each request's path is the last digit of its answer's status.
fn never_mixed(exchanges: &[Exchange]) {
    for exchange in exchanges {
        let number: u16 = exchange.path[1..].parse().expect("a number");
        assert_eq!(exchange.status, Some(200 + number), "{exchange:?}");
    }
}

/// Plain exchanges that follow.
fn and_on(mut script: Script) -> Script {
    for number in 4..8 {
        script = script
            .send(get(&format!("/{number}")))
            .receive(answer(200 + number, ""));
    }
    script
}

#[test]
fn a_lost_request_makes_its_early_answer_an_orphan() {
    let script = Script::new(1)
        .receive(answer(201, ""))
        .lost(Send, 50)
        .send(get("/2"))
        .receive(answer(202, ""));
    let (exchanges, table) = run(&and_on(script));
    never_mixed(&exchanges);
    assert_eq!(exchanges.len(), 5);
    assert_eq!(table.counters().orphan_responses, 1);
}

#[test]
fn a_gap_in_early_answers_makes_them_orphans() {
    let long = format!("HTTP/1.1 201 X\r\nContent-Length: 500\r\n\r\n{:100}", "");
    let script = Script::new(1)
        .receive(long)
        .lost(Receive, 500)
        .receive(answer(203, ""))
        .send(get("/1"))
        .send(get("/2"))
        .send(get("/3"));
    let (exchanges, _) = run(&and_on(script));
    never_mixed(&exchanges);
}

#[test]
fn early_answers_have_a_cap() {
    let mut table = Connections::new(Limits {
        max_head: 1000,
        ..Limits::default()
    });
    let mut script = Script::new(1).receive("HTTP/1.1 201 X\r\nContent-Length: 5000\r\n\r\n");
    for _ in 0..50 {
        script = script.receive([b'x'; 100]);
    }
    let script = and_on(script.send(get("/1")));
    let mut exchanges = Vec::new();
    table.open(&Script::opened_as(1, false));
    for segment in script.segments() {
        table.segment(&segment, &mut |e| exchanges.push(e.clone()));
        assert!(table.buffered() <= 1000);
    }
    never_mixed(&exchanges);
    assert_eq!(exchanges.last().map(|e| e.status), Some(Some(207)));
    conserves(&table, exchanges.len());
}
