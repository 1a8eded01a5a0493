//! Connections that end around an answer: half, in order, or by a reset of either end.

use std::{io::Read as _, net::Shutdown, thread, time::Duration};

use anyhow::Result;

use super::scene::{Scene, answer, get, pair, pass, request, reset};

const RESET: &str = "connection_reset";
const CLOSED: &str = "connection_closed";

#[test]
fn fault_15_a_half_close_is_followed_by_a_normal_answer() -> Result<()> {
    let scene = Scene::open()?;
    let mut expected = Vec::new();
    for (path, pause) in [("/at-once", 0), ("/later", 200)] {
        let (mut client, mut server) = pair()?;
        pass(
            &client,
            &server,
            &request(&format!("GET {path} HTTP/1.1"), ""),
        )?;
        client.shutdown(Shutdown::Write)?;
        assert_eq!(server.read(&mut [0])?, 0);
        thread::sleep(Duration::from_millis(pause));
        pass(&server, &client, &answer(200, "hello"))?;
        drop(server);
        assert_eq!(client.read(&mut [0])?, 0);
        expected.push(get(path).answer(5));
    }
    scene.assert_both("/", &expected)
}

/// Where each end resets: before the answer, in its head, in its body, after it.
#[test]
fn fault_15_a_reset_of_either_end_counts_once() -> Result<()> {
    let scene = Scene::open()?;
    let whole = answer(200, "hello");
    let (before, head, middle) = (0, 9, whole.len() - 2);
    let mut expected = Vec::new();
    for who in ["server", "client"] {
        for (place, sent) in [
            ("before", before),
            ("head", head),
            ("middle", middle),
            ("after", whole.len()),
        ] {
            let path = format!("/{who}/{place}");
            let (client, server) = pair()?;
            pass(
                &client,
                &server,
                &request(&format!("GET {path} HTTP/1.1"), ""),
            )?;
            pass(&server, &client, &whole[..sent])?;
            let (first, second) = if who == "server" {
                (server, client)
            } else {
                (client, server)
            };
            reset(first)?;
            drop(second);
            expected.push(match place {
                "before" | "head" => get(&path).unanswered(RESET),
                "middle" => get(&path).failed(RESET),
                _ => get(&path).answer(5),
            });
        }
    }
    scene.assert_both("/", &expected)
}

/// The same by an orderly close of the server.
#[test]
fn fault_15_an_answer_that_is_cut_off_by_a_close_has_failed() -> Result<()> {
    let scene = Scene::open()?;
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let part = answer(200, "hello");
    let mut expected = Vec::new();
    for (path, sent) in [
        ("/none", &b""[..]),
        ("/part", &part[..part.len() - 1]),
        ("/chunk", chunked),
    ] {
        let (mut client, server) = pair()?;
        pass(
            &client,
            &server,
            &request(&format!("GET {path} HTTP/1.1"), ""),
        )?;
        pass(&server, &client, sent)?;
        drop(server);
        client.read_to_end(&mut Vec::new())?;
        drop(client);
        expected.push(if sent.is_empty() {
            get(path).unanswered(CLOSED)
        } else {
            get(path).failed(CLOSED)
        });
    }
    scene.assert_both("/", &expected)
}

/// A client that goes within its own request's body, and one within its head.
#[test]
fn fault_15_a_request_that_is_cut_off_is_told_once_or_not_at_all() -> Result<()> {
    let scene = Scene::open()?;
    let upload = |path: &str| request(&format!("POST {path} HTTP/1.1"), "Content-Length: 100\r\n");
    for (path, resets) in [("/reset", true), ("/closed", false)] {
        let (client, mut server) = pair()?;
        pass(&client, &server, &upload(path))?;
        pass(&client, &server, &[b'x'; 50])?;
        if resets {
            reset(client)?;
        } else {
            drop(client);
            assert_eq!(server.read(&mut [0])?, 0);
        }
        drop(server);
        let (client, server) = pair()?;
        let head = upload("/never");
        pass(&client, &server, &head[..head.len() - 2])?;
        if resets {
            reset(client)?;
        }
        drop(server);
    }
    let cut = |path, how| get(path).method("POST").unanswered(how).request(None);
    scene.assert_both("/", &[cut("/reset", RESET), cut("/closed", CLOSED)])
}

/// All requests of a pipeline that nobody answers any more.
#[test]
fn fault_15_a_reset_ends_every_request_of_a_pipeline() -> Result<()> {
    let scene = Scene::open()?;
    let (client, server) = pair()?;
    let asked: Vec<u8> = (0..5)
        .flat_map(|n| request(&format!("GET /{n} HTTP/1.1"), ""))
        .collect();
    pass(&client, &server, &asked)?;
    pass(&server, &client, &answer(200, "hello"))?;
    let whole = answer(200, "hello");
    pass(&server, &client, &whole[..whole.len() - 2])?;
    reset(server)?;
    drop(client);
    let rest = ["/2", "/3", "/4"].map(|path| get(path).unanswered(RESET));
    let first = [get("/0").answer(5), get("/1").failed(RESET)];
    scene.assert_both("/", &[&first[..], &rest].concat())
}
