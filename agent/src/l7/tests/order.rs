//! Which answer belongs to which request, and what becomes of requests without one.

use sonde_common::event::http::Direction;

use super::{
    super::counters::{Dropped, GivenUp},
    *,
};

#[test]
fn fault_06_pipelined_requests_are_answered_in_order() {
    let requests = [get("/1"), get("/2"), get("/3")].concat();
    let answers = [answer(201, "a"), answer(202, ""), answer(203, "ccc")].concat();
    let (exchanges, _) = run(&Script::new(1).receive(requests).send(answers));
    let seen: Vec<_> = exchanges.iter().map(|e| (&*e.path, e.status)).collect();
    assert_eq!(
        seen,
        [("/1", Some(201)), ("/2", Some(202)), ("/3", Some(203))]
    );
}

#[test]
fn fault_06_past_the_cap_the_connection_is_given_up() {
    let requests = get("/").repeat(129);
    let (exchanges, table) = run(&Script::new(1).receive(requests).send(OK.repeat(129)));
    assert_eq!(exchanges, []);
    assert_eq!(table.counters().dropped(Dropped::PipelineFull), 129);
    assert_eq!(table.counters().given_up(GivenUp::PipelineFull), 1);
    assert_eq!(table.in_flight(), 0);
}

#[test]
fn fault_13_late_start_waits_for_the_first_clean_request() {
    let script = Script::new(1)
        .receive("POST /1 HTTP/1.1\r\nContent-Length: 16\r\n\r\n")
        .receive("body, not a head")
        .send("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        .send("more content")
        .receive(get("/2"))
        .send(answer(202, ""));
    for skipped in 1..4 {
        let (exchanges, table) = run(&script.clone().without_first(skipped));
        let seen: Vec<_> = exchanges.iter().map(|e| (&*e.path, e.status)).collect();
        assert_eq!(seen, [("/2", Some(202))], "without the first {skipped}");
        assert_eq!(table.counters().orphan_responses, u64::from(skipped < 3));
    }
}

/// The rest of a body of which the front was before our time.
#[test]
fn fault_13_a_request_behind_a_stray_byte_is_none() {
    let (exchanges, table) = run(&Script::new(1)
        .late()
        .receive(["x", &get("/trap")].concat())
        .send(answer(201, ""))
        .receive(get("/2"))
        .send(answer(202, "")));
    assert_eq!(exchanges.len(), 1, "{exchanges:?}");
    assert_eq!(
        (&*exchanges[0].path, exchanges[0].status),
        ("/2", Some(202))
    );
    assert_eq!(table.in_flight(), 0);
}

#[test]
fn fault_14_a_request_without_answer_ages() {
    let mut table = table();
    let script = Script::new(1).receive(GET);
    assert_eq!(script.play(&mut table), []);
    assert_eq!(table.active().map(|(.., count)| count).sum::<u64>(), 1);
    let mut aged = Vec::new();
    table.expire(script.now() + seconds(59), &mut |e| aged.push(e.clone()));
    assert_eq!(aged, []);
    let now = script.now() + seconds(61);
    table.expire(now, &mut |e| aged.push(e.clone()));
    assert_eq!(aged.len(), 1);
    assert_eq!(
        (aged[0].failure, aged[0].end),
        (Some(Failure::Timeout), now)
    );
    assert_eq!(table.active().count(), 0);
    assert_eq!(table.counters().aged, 1);
    conserves(&table, 1);

    // The answer comes after all, and then the connection goes on.
    let late = script
        .wait(seconds(70))
        .send(OK)
        .receive(get("/2"))
        .send(answer(201, ""));
    let exchanges = late.after_first(1).play(&mut table);
    let seen: Vec<_> = exchanges.iter().map(|e| (&*e.path, e.status)).collect();
    assert_eq!(seen, [("/2", Some(201))]);
    assert_eq!(table.counters().orphan_responses, 1);
}

#[test]
fn fault_15_half_close_then_the_answer() {
    let script = Script::new(1)
        .receive(GET)
        .end(Direction::Receive)
        .send(OK)
        .close();
    let exchange = only(&script);
    assert_eq!((exchange.status, exchange.failure), (Some(200), None));
}

#[test]
fn fault_15_a_reset_counts_once() {
    let after = only(&Script::new(1).receive(GET).send(OK).reset());
    assert_eq!((after.status, after.failure), (Some(200), None));
    let before = only(&Script::new(1).receive(GET).reset());
    assert_eq!(
        (before.status, before.failure),
        (None, Some(Failure::ConnectionReset))
    );
    let within = only(
        &Script::new(1)
            .receive(GET)
            .send(&OK[..OK.len() - 1])
            .reset(),
    );
    assert_eq!(within.failure, Some(Failure::ConnectionReset));
    assert_eq!(within.response_body, None);
}

#[test]
fn fault_15_a_close_before_the_answer_is_complete() {
    for sent in [
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    ] {
        let exchange = only(&Script::new(1).receive(GET).send(sent).close());
        assert_eq!(
            exchange.failure,
            Some(Failure::ConnectionClosed),
            "{sent:?}"
        );
    }
}
