//! What a plain exchange says of itself, and whose it is.

use super::{
    super::{
        exchange::{Method, Role},
        script::STEP,
    },
    *,
};

#[test]
fn the_plain_exchange() {
    let script = Script::new(7).receive(GET).send(OK);
    let exchange = only(&script);
    assert_eq!(exchange.connection, 7);
    assert_eq!(exchange.tuple, Script::tuple());
    assert_eq!(exchange.role, Role::Server);
    assert_eq!(exchange.tgid, 1000);
    assert_eq!(exchange.method, Method::Get);
    assert_eq!(&*exchange.path, "/a");
    assert_eq!(exchange.host.as_deref(), Some("shop.test"));
    assert_eq!(exchange.user_agent.as_deref(), Some("curl/8"));
    assert_eq!((exchange.version, exchange.scheme), ("1.1", "http"));
    assert_eq!((exchange.status, exchange.failure), (Some(200), None));
    assert_eq!(exchange.request_body, Some(0));
    assert_eq!(exchange.response_body, Some(2));
    assert_eq!(exchange.response_start, Some(exchange.start + STEP));
    assert_eq!(exchange.end, exchange.start + STEP);
    assert!(!exchange.truncated);
}

#[test]
fn the_client_sees_the_same() {
    let exchange = only(&Script::new(1).send(GET).receive(OK));
    assert_eq!(exchange.role, Role::Client);
    assert_eq!((&*exchange.path, exchange.status), ("/a", Some(200)));
}

#[test]
fn times_are_those_of_first_and_last_bytes() {
    let script = Script::new(1)
        .receive("POST /up HTTP/1.1\r\nContent-Le")
        .receive("ngth: 4\r\n\r\nab")
        .receive("cd")
        .send("HTTP/1.1 201 Created\r\nContent-")
        .send("Length: 3\r\n\r\na")
        .send("bc");
    let exchange = only(&script);
    assert_eq!(exchange.response_start, Some(exchange.start + 3 * STEP));
    assert_eq!(exchange.end, exchange.start + 5 * STEP);
    assert_eq!(exchange.request_body, Some(4));
    assert_eq!(exchange.response_body, Some(3));
}

#[test]
fn fault_05_split_at_every_offset() {
    let request =
        "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let whole = essence(&only(&Script::new(1).receive(request).send(response)));
    for at in 1..request.len() {
        let (first, second) = request.split_at(at);
        let script = Script::new(1).receive(first).receive(second).send(response);
        assert_eq!(essence(&only(&script)), whole, "request split at {at}");
    }
    for at in 1..response.len() {
        let (first, second) = response.split_at(at);
        let script = Script::new(1).receive(request).send(first).send(second);
        assert_eq!(essence(&only(&script)), whole, "response split at {at}");
    }
}

#[test]
fn fault_05_one_byte_writes() {
    let mut script = Script::new(1);
    for byte in GET.bytes() {
        script = script.receive([byte]);
    }
    for byte in OK.bytes() {
        script = script.send([byte]);
    }
    let exchange = only(&script);
    assert_eq!((&*exchange.path, exchange.status), ("/a", Some(200)));
}

#[test]
fn fault_12_ten_thousand_requests_leave_no_state() {
    let mut table = table();
    let mut script = Script::new(1);
    for _ in 0..10_000 {
        script = script.receive(GET).send(OK);
    }
    assert_eq!(script.play(&mut table).len(), 10_000);
    conserves(&table, 10_000);
    assert_eq!((table.in_flight(), table.len()), (0, 1));
}

#[test]
fn fault_16_connections_do_not_mix() {
    let mut table = table();
    let one = Script::new(1).receive(get("/1")).send(answer(201, ""));
    let two = Script::new(2).receive(get("/2")).send(answer(202, ""));
    let mut exchanges = Vec::new();
    table.open(&Script::opened_as(1, false));
    table.open(&Script::opened_as(2, false));
    for (first, second) in one.segments().zip(two.segments()) {
        table.segment(&first, &mut |e| exchanges.push(e.clone()));
        table.segment(&second, &mut |e| exchanges.push(e.clone()));
    }
    let seen: Vec<_> = exchanges
        .iter()
        .map(|e| (e.connection, &*e.path, e.status))
        .collect();
    assert_eq!(seen, [(1, "/1", Some(201)), (2, "/2", Some(202))]);
}

#[test]
fn fault_17_the_task_that_read_the_request_owns_the_exchange() {
    let script = Script::new(1)
        .tgid(20)
        .receive(&GET[..9])
        .tgid(21)
        .receive(&GET[9..]);
    assert_eq!(only(&script.tgid(22).send(OK)).tgid, 20);
}
