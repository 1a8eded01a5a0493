//! What is told of encrypted connections, whose records come when a library's call returns.

use super::*;
use crate::event::Opened;

/// Plays a script inside TLS; what is told at once, and what once the connection's end has waited.
fn told(script: &Script) -> [Vec<Exchange>; 2] {
    let mut table = table();
    table.open(&Opened {
        tls: true,
        ..script.opened()
    });
    let at_once = script.play(&mut table);
    let mut later = Vec::new();
    table.expire(script.now() + seconds(1), &mut |e| later.push(e.clone()));
    assert_eq!((table.len(), table.in_flight()), (0, 0));
    [at_once, later]
}

#[test]
fn an_answer_that_is_told_after_the_connections_end_counts() {
    let script = Script::new(1)
        .receive(get("/"))
        .close()
        .send(answer(200, "hello"));
    let [told, later] = told(&script);
    assert_eq!((told.len(), later.len()), (1, 0));
    assert_eq!((told[0].status, told[0].failure), (Some(200), None));
    assert_eq!(told[0].response_body, Some(5));
}

#[test]
fn a_request_that_is_told_after_a_reset_counts() {
    let script = Script::new(1).reset().receive(get("/"));
    let [told, later] = told(&script);
    assert_eq!((told.len(), later.len()), (0, 1));
    assert_eq!(later[0].failure, Some(Failure::ConnectionReset));
    assert!(later[0].end >= later[0].start, "{:?}", later[0]);
}

#[test]
fn what_has_no_answer_ends_with_the_connection() {
    let script = Script::new(1).receive(get("/")).close();
    let end = script.now();
    let [told, later] = told(&script);
    assert_eq!((told.len(), later.len()), (0, 1));
    assert_eq!(later[0].failure, Some(Failure::ConnectionClosed));
    assert_eq!(later[0].end, end);
}
