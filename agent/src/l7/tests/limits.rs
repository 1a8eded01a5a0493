//! Caps, memory and ageing.

use super::{
    super::{
        connection::Connection,
        counters::{Dropped, GivenUp},
        exchange::{Method, Role},
    },
    *,
};

#[test]
fn an_idle_connection_is_small() {
    let bytes = size_of::<(u64, Connection)>();
    assert!(bytes <= 256, "{bytes}");
}

#[test]
fn a_full_table_refuses_and_counts() {
    let mut table = Connections::new(Limits {
        max_connections: 2,
        ..Limits::default()
    });
    for connection in 1..=3 {
        Script::new(connection)
            .receive(GET)
            .send(OK)
            .play(&mut table);
    }
    assert_eq!(table.len(), 2);
    assert_eq!(table.counters().given_up(GivenUp::TableFull), 1);
    assert_eq!(table.counters().unknown_connection, 2);
    conserves(&table, 2);
}

#[test]
fn a_full_table_forgets_the_idle_and_keeps_the_law() {
    let limits = Limits {
        max_connections: 2,
        request_timeout: Duration::from_secs(10_000),
        ..Limits::default()
    };
    let mut table = Connections::new(limits);
    let script = Script::new(1).receive(GET);
    script.play(&mut table);
    Script::new(2)
        .wait(seconds(600))
        .receive(GET)
        .play(&mut table);
    table.expire(script.now() + seconds(601), &mut |_| {
        panic!("nothing to give out")
    });
    assert_eq!(table.len(), 1);
    assert_eq!(table.counters().given_up(GivenUp::Idle), 1);
    assert_eq!(table.counters().dropped(Dropped::Uncertain), 1);
    conserves(&table, 0);
}

#[test]
fn requests_in_flight_have_a_cap_for_all_connections() {
    let mut table = Connections::new(Limits {
        max_in_flight: 2,
        ..Limits::default()
    });
    for connection in 1..=3 {
        Script::new(connection).receive(GET).play(&mut table);
    }
    assert_eq!(table.in_flight(), 2);
    assert_eq!(table.counters().dropped(Dropped::InFlightFull), 1);
    conserves(&table, 0);
}

#[test]
fn partial_heads_have_a_cap_for_all_connections() {
    let mut table = Connections::new(Limits {
        max_buffered: 100,
        ..Limits::default()
    });
    let mut give = |_: &Exchange| panic!("nothing to give out");
    let head = "GET /1 HTTP/1.1\r\nX: 0123456789012345678901234567890123456789\r\n";
    for connection in 1..=3 {
        let script = Script::new(connection).receive(head);
        table.open(&Script::opened_as(connection, false));
        for segment in script.segments() {
            table.segment(&segment, &mut give);
        }
    }
    // The first is kept; the others are taken as far as they were seen.
    assert_eq!(table.counters().truncated, 2);
    for connection in 1..=3 {
        Script::new(connection).reset().play(&mut table);
    }
    assert_eq!(table.buffered(), 0);
}

#[test]
fn a_flowing_answer_does_not_age() {
    let mut script = Script::new(1)
        .receive(GET)
        .send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    let mut table = table();
    table.open(&Script::opened_as(1, false));
    let mut exchanges = Vec::new();
    for _ in 0..10 {
        script = script.wait(seconds(100)).send("0123456789");
    }
    for segment in script.segments() {
        table.expire(segment.time, &mut |e| exchanges.push(e.clone()));
        table.segment(&segment, &mut |e| exchanges.push(e.clone()));
    }
    assert_eq!(exchanges.len(), 1);
    assert_eq!(
        (exchanges[0].status, exchanges[0].failure),
        (Some(200), None)
    );
    conserves(&table, 1);
}

#[test]
fn active_requests_are_told_by_role_process_and_method() {
    let mut table = table();
    Script::new(1).receive(GET).play(&mut table);
    Script::new(2).receive(GET).play(&mut table);
    Script::new(3).tgid(5).send(GET).play(&mut table);
    let mut active: Vec<_> = table.active().collect();
    active.sort();
    assert_eq!(
        active,
        [
            (Role::Server, 1000, Method::Get, "http", 2),
            (Role::Client, 5, Method::Get, "http", 1)
        ]
    );
}

#[test]
fn requests_that_age_again_and_again_leave_no_growing_state() {
    let mut table = Connections::new(Limits {
        max_pipeline: 3,
        ..Limits::default()
    });
    let mut script = Script::new(1);
    for _ in 0..6 {
        script = script.wait(seconds(61)).receive(GET);
    }
    let mut aged = 0;
    table.open(&Script::opened_as(1, false));
    for segment in script.segments() {
        table.segment(&segment, &mut |_| panic!("no answer came"));
        table.expire(segment.time + seconds(61), &mut |_| aged += 1);
    }
    assert_eq!(aged, 4);
    assert_eq!(table.counters().given_up(GivenUp::PipelineFull), 1);
    conserves(&table, aged);
}
