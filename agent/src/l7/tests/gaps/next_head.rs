//! A head behind a body whose end was not seen, and what only looks like one.

use super::*;

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
