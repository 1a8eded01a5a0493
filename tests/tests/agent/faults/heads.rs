//! Heads that are odd, long, or followed by something else than HTTP.

use std::{io::Write as _, thread, time::Duration};

use anyhow::{Context as _, Result};
use sonde_tests::span::Side;

use super::scene::{Scene, answer, get, pair, pass, receive, request};

/// One exchange on a connection of its own.
fn exchange(asked: &[u8], answered: &[u8]) -> Result<()> {
    let (client, server) = pair()?;
    pass(&client, &server, asked)?;
    pass(&server, &client, answered)
}

#[test]
fn fault_01_noise_and_truncated_requests_make_no_span() -> Result<()> {
    let scene = Scene::open()?;
    let noise: Vec<u8> = (0..2_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    exchange(&noise, &noise[7..])?;
    for asked in ["GET", "GET /trunc", "GET /trunc HTTP/1.1\r\nHost: h\r\nX: "] {
        let (client, server) = pair()?;
        pass(&client, &server, asked.as_bytes())?;
        drop(client);
        thread::sleep(Duration::from_millis(20));
    }
    // A server that speaks first, and HTTP on a connection that began as something else.
    let (client, server) = pair()?;
    pass(&server, &client, b"220 mail ESMTP\r\n")?;
    pass(&client, &server, &request("GET /after-noise HTTP/1.1", ""))?;
    exchange(&request("GET /whole HTTP/1.1", ""), &answer(200, ""))?;
    scene.assert_both("/", &[get("/whole")])
}

#[test]
fn fault_02_methods_are_case_sensitive_and_kept_on_the_span() -> Result<()> {
    let scene = Scene::open()?;
    for method in ["get", "PURGE", "M-SEARCH"] {
        exchange(
            &request(&format!("{method} /{method} HTTP/1.1"), ""),
            &answer(200, ""),
        )?;
    }
    let told = ["/get", "/PURGE", "/M-SEARCH"].map(|path| get(path).method("_OTHER"));
    scene.assert_both("/", &told)?;
    for span in scene.spans("/", told.len())? {
        let sent = span.path.trim_start_matches('/');
        assert_eq!(span.original.as_deref(), Some(sent), "{span:?}");
    }
    Ok(())
}

/// 100, 102 and 103 before the answer, together and apart; an upload that is refused at once.
#[test]
fn fault_07_interim_answers_are_not_the_answer() -> Result<()> {
    let scene = Scene::open()?;
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                   HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    let expect = "Content-Length: 4\r\nExpect: 100-continue\r\n";
    let (client, server) = pair()?;
    pass(
        &client,
        &server,
        &request("POST /together HTTP/1.1", expect),
    )?;
    pass(&server, &client, interim.as_bytes())?;
    pass(&client, &server, b"body")?;
    pass(&server, &client, &answer(201, "made"))?;
    pass(&client, &server, &request("GET /apart HTTP/1.1", ""))?;
    for byte in interim.as_bytes().chunks(7) {
        pass(&server, &client, byte)?;
    }
    pass(&server, &client, &answer(200, "hello"))?;
    pass(&client, &server, &request("POST /refused HTTP/1.1", expect))?;
    pass(&server, &client, &answer(417, ""))?;
    // The body is left out.
    pass(&client, &server, &request("GET /next HTTP/1.1", ""))?;
    pass(&server, &client, &answer(200, ""))?;
    scene.assert_both(
        "/",
        &[
            get("/together")
                .method("POST")
                .status(201)
                .request(4)
                .answer(4),
            get("/apart").answer(5),
            get("/refused").method("POST").status(417).request(None),
            get("/next"),
        ],
    )
}

#[test]
fn fault_09_after_an_upgrade_nothing_is_http() -> Result<()> {
    let scene = Scene::open()?;
    let (client, server) = pair()?;
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    pass(&client, &server, &request("GET /socket HTTP/1.1", fields))?;
    // The first frame comes with the answer.
    let upgraded = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                     Upgrade: websocket\r\n\r\n\x81\x05hello";
    pass(&server, &client, upgraded)?;
    thread::sleep(Duration::from_millis(300));
    for _ in 0..10 {
        pass(&client, &server, &request("GET /within HTTP/1.1", ""))?;
        pass(&server, &client, &answer(200, "frame"))?;
    }
    drop((client, server));
    // Refused: HTTP goes on.
    let (client, server) = pair()?;
    pass(&client, &server, &request("GET /refused HTTP/1.1", fields))?;
    pass(&server, &client, &answer(426, "no"))?;
    pass(&client, &server, &request("GET /next HTTP/1.1", ""))?;
    pass(&server, &client, &answer(200, ""))?;
    scene.assert_both(
        "/",
        &[
            get("/socket").status(101),
            get("/refused").status(426).answer(2),
            get("/next"),
        ],
    )?;
    // The handshake's duration, not the tunnel's.
    for span in scene.spans("/socket", 1)? {
        assert!(span.duration < Duration::from_millis(200), "{span:?}");
    }
    Ok(())
}

#[test]
fn fault_09_a_tunnel_is_one_span_without_a_path() -> Result<()> {
    let scene = Scene::open()?;
    let connect = b"CONNECT target.example:443 HTTP/1.1\r\nHost: target.example:443\r\n\r\n";
    let (client, server) = pair()?;
    pass(&client, &server, connect)?;
    pass(
        &server,
        &client,
        b"HTTP/1.1 200 Connection established\r\n\r\n",
    )?;
    for _ in 0..10 {
        pass(&client, &server, &request("GET /within HTTP/1.1", ""))?;
        pass(&server, &client, &answer(200, "inside"))?;
    }
    drop((client, server));
    let (client, server) = pair()?;
    pass(&client, &server, connect)?;
    pass(&server, &client, &answer(403, "no"))?;
    pass(&client, &server, &request("GET /next HTTP/1.1", ""))?;
    pass(&server, &client, &answer(200, ""))?;
    scene.assert_both(
        "",
        &[
            get("").method("CONNECT").request(None),
            get("")
                .method("CONNECT")
                .request(None)
                .status(403)
                .answer(2),
            get("/next"),
        ],
    )
}

#[test]
fn fault_10_http_0_9_is_ignored_and_counted() -> Result<()> {
    let scene = Scene::open()?;
    let before = scene.ignored("http_0_9")?;
    let (client, server) = pair()?;
    pass(&client, &server, b"GET /old\r\n")?;
    pass(&server, &client, b"<p>hello")?;
    drop((client, server));
    exchange(&request("GET /whole HTTP/1.1", ""), &answer(200, ""))?;
    scene.assert_both("/", &[get("/whole")])?;
    let counted = scene.ignored("http_0_9")? - before;
    assert!(counted >= 2.0, "{counted}");
    Ok(())
}

/// 64 KiB of fields and a target of 1 MiB, in one write and in many: timed, and flagged.
#[test]
fn fault_11_long_heads_are_timed_and_flagged() -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(100);
    let scene = Scene::open()?;
    let fields = format!("X-Long: {}\r\n", "x".repeat(8_000)).repeat(8);
    let target = format!("/target-{}", "u".repeat(1 << 20));
    let heads = [
        ("GET /one-write HTTP/1.1".to_owned(), &*fields, 1 << 17),
        ("GET /many-writes HTTP/1.1".to_owned(), &fields, 1_000),
        (format!("GET {target} HTTP/1.1"), "", 1 << 21),
    ];
    for (line, fields, piece) in heads {
        let (mut client, mut server) = pair()?;
        let asked = request(&line, fields);
        let length = asked.len();
        let reader = thread::spawn(move || -> Result<()> {
            receive(&server, length)?;
            thread::sleep(PAUSE);
            Ok(server.write_all(&answer(200, "hello"))?)
        });
        for part in asked.chunks(piece) {
            client.write_all(part)?;
        }
        receive(&client, answer(200, "hello").len())?;
        reader.join().ok().context("the server's thread")??;
    }
    // A target that isn't whole may have no path.
    let spans = scene.spans("", 3)?;
    for side in [Side::Server, Side::Client] {
        let found: Vec<_> = spans.iter().filter(|span| span.side == side).collect();
        assert_eq!(found.len(), 3, "{side:?}: {found:?}");
        for span in found {
            assert_eq!(
                (span.status, span.error.as_deref()),
                (Some(200), None),
                "{side:?}"
            );
            assert!(
                (PAUSE..PAUSE * 5).contains(&span.duration),
                "{:?}",
                span.duration
            );
            // The one in many writes is whole as far as it is looked at.
            assert!(
                span.truncated || span.path == "/many-writes",
                "{side:?} {}",
                span.path.len()
            );
            assert!(span.path.len() <= 2_048);
        }
    }
    Ok(())
}
