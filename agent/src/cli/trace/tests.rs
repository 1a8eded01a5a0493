//! Tests of the lines of `sonde trace`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::*;
use crate::{
    l7::exchange::TraceParent,
    metric::{Attributes, Resource},
    signal::SpanContext,
};

fn span(path: &str, status: Option<u16>, milliseconds: u64) -> Span {
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_678);
    let mut attributes = vec![
        ("http.request.method", "GET".into()),
        ("http.route", "/items/{id}".into()),
        ("url.path", path.into()),
        ("client.address", "10.0.0.7".into()),
        ("client.port", 41_234_i64.into()),
    ];
    match status {
        Some(code) => attributes.push(("http.response.status_code", code.into())),
        None => attributes.push(("error.type", "timeout".into())),
    }
    Span {
        resource: Arc::new(Resource {
            attributes: Attributes::from([("service.name", "shop".into())]),
            identity: Attributes::none(),
        }),
        context: SpanContext {
            trace_id: [0xab; 16],
            span_id: [1; 8],
            flags: 1,
        },
        parent: None,
        name: "GET /items/{id}".into(),
        role: Role::Server,
        start,
        end: start + Duration::from_millis(milliseconds),
        attributes: attributes.into_iter().collect(),
        error: status.is_none_or(|code| code >= 500),
    }
}

fn printed(format: Format, filter: Filter, spans: &[Span]) -> String {
    let mut bytes = Vec::new();
    let mut printer = Printer::new(&mut bytes, format, filter);
    for span in spans {
        assert_eq!(printer.print(span).unwrap(), ControlFlow::Continue(()));
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_line_has_time_service_role_status_duration_method_path_and_peer() {
    let lines = printed(
        Format::Text(Style::Plain),
        Filter::default(),
        &[
            span("/items/7", Some(200), 12),
            span("/items/8", None, 1500),
        ],
    );
    assert_eq!(
        lines,
        "03:04:05.678 shop             server 200    12.0ms GET    /items/7 from 10.0.0.7:41234\n\
         03:04:05.678 shop             server timeout     1.50s GET    /items/8 from \
         10.0.0.7:41234\n"
    );
}

#[test]
fn a_pipe_gets_json_unless_asked_otherwise() {
    let choose = |asked, is_terminal| Format::choose(asked, is_terminal, Style::Plain);
    assert_eq!(choose(TraceFormat::Auto, true), Format::Text(Style::Plain));
    assert_eq!(choose(TraceFormat::Auto, false), Format::Json);
    assert_eq!(choose(TraceFormat::Json, true), Format::Json);
    assert_eq!(choose(TraceFormat::Text, false), Format::Text(Style::Plain));
}

#[test]
fn status_classes_have_their_colours() {
    let colour = |status| {
        let line = text_line(&span("/", status, 1), Style::Colour);
        let code = status.map_or("timeout".to_owned(), |code| code.to_string());
        let at = line
            .find(&format!("m{code}\x1b[0m"))
            .expect("the status is painted");
        line[..at].rsplit('[').next().unwrap().to_owned()
    };
    assert_eq!(colour(Some(204)), "32");
    assert_eq!(colour(Some(302)), "36");
    assert_eq!(colour(Some(404)), "33");
    assert_eq!(colour(Some(503)), "31");
    assert_eq!(colour(None), "31");
}

#[test]
fn an_answer_that_was_cut_off_is_shown_as_an_error() {
    let with_error = |status: u16, error: &'static str| {
        let mut span = span("/", Some(status), 1);
        let more = ("error.type", error.into());
        span.attributes = span.attributes.iter().cloned().chain([more]).collect();
        text_line(&span, Style::Colour)
    };
    let cut_off = with_error(200, "connection_reset");
    assert!(
        cut_off.contains("\x1b[31m200 connection_reset\x1b[0m"),
        "{cut_off}"
    );
    let refused = with_error(404, "404");
    assert!(refused.contains("\x1b[33m404\x1b[0m"), "{refused}");
}

#[test]
fn json_lines_have_their_keys_and_nothing_empty() {
    let mut child = span("/a\u{1b}[31m\"\n", Some(200), 12);
    child.parent = Some(TraceParent {
        trace_id: [0xab; 16],
        span_id: [2; 8],
        flags: 1,
    });
    let more = [
        (
            "http.server.request.queue.duration",
            Duration::from_micros(50).into(),
        ),
        ("tcp.rtt", Duration::from_micros(250).into()),
        ("tcp.retransmits", 2_i64.into()),
    ];
    child.attributes = child.attributes.iter().cloned().chain(more).collect();
    let lines = printed(
        Format::Json,
        Filter::default(),
        &[child, span("/b", None, 0)],
    );
    let mut lines = lines.lines();
    assert_eq!(
        lines.next().unwrap(),
        concat!(
            r#"{"time":"2026-01-02T03:04:05.678000Z","service":"shop","role":"server","#,
            r#""method":"GET","route":"/items/{id}","path":"/a\u001b[31m\"\n","status":200,"#,
            r#""duration":0.012,"queued":0.00005,"rtt":0.00025,"retransmits":2,"peer":"10.0.0.7:41234","#,
            r#""trace_id":"abababababababababababababababab","span_id":"0101010101010101","#,
            r#""parent_span_id":"0202020202020202"}"#
        )
    );
    let second: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(second["error"], "timeout");
    assert!(second.get("status").is_none() && second.get("parent_span_id").is_none());
    assert_eq!(lines.next(), None);
}

#[test]
fn control_characters_of_a_path_stay_off_the_terminal() {
    let line = text_line(&span("/a\u{1b}[2J\r\n", Some(200), 1), Style::Plain);
    assert!(line.contains("/a\\u{1b}[2J\\u{d}\\u{a}"), "{line}");
}

#[test]
fn filters_must_all_hold() {
    let spans = [
        span("/items/7", Some(200), 5),
        span("/items/8", Some(503), 50),
        span("/cart", None, 500),
    ];
    let shown = |filter: Filter| -> Vec<String> {
        let lines = printed(Format::Json, filter, &spans);
        let path = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["path"].clone();
        lines
            .lines()
            .map(path)
            .map(|path| path.as_str().unwrap().to_owned())
            .collect()
    };
    let all = ["/items/7", "/items/8", "/cart"];
    assert_eq!(shown(Filter::default()), all);
    let failed = Filter {
        statuses: vec!["5xx".parse().unwrap(), "none".parse().unwrap()],
        ..Filter::default()
    };
    assert_eq!(shown(failed.clone()), all[1..]);
    let slow_and_failed = Filter {
        min_duration: Duration::from_millis(51),
        ..failed
    };
    assert_eq!(shown(slow_and_failed), all[2..]);
    let by_path = Filter {
        routes: vec!["/items/8".parse().unwrap()],
        ..Filter::default()
    };
    assert_eq!(shown(by_path), all[1..2]);
    let by_route = Filter {
        services: vec!["sho*".parse().unwrap()],
        routes: vec!["/items/{id}".parse().unwrap()],
        ..Filter::default()
    };
    assert_eq!(shown(by_route), all);
    let nobody = Filter {
        services: vec!["other".parse().unwrap()],
        ..Filter::default()
    };
    assert_eq!(shown(nobody), [""; 0]);
}

#[test]
fn ipv6_peers_have_brackets_and_client_spans_show_the_server() {
    let mut client = span("/", Some(200), 1);
    client.role = Role::Client;
    client.attributes = Attributes::from([
        ("server.address", "::1".into()),
        ("server.port", 80_i64.into()),
        ("network.peer.address", "10.0.0.1".into()),
    ]);
    assert_eq!(peer(&client).as_deref(), Some("[::1]:80"));
    client.attributes = Attributes::from([("network.peer.address", "10.0.0.1".into())]);
    assert_eq!(peer(&client).as_deref(), Some("10.0.0.1"));
}

struct Closed(io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_a_good_end_and_a_full_disk_is_not() {
    let print = |kind| {
        let format = Format::Json;
        Printer::new(Closed(kind), format, Filter::default()).print(&span("/", Some(200), 1))
    };
    assert_eq!(
        print(io::ErrorKind::BrokenPipe).unwrap(),
        ControlFlow::Break(())
    );
    assert!(print(io::ErrorKind::StorageFull).is_err());
}
