//! Bodies: their framing, their sizes, and exchanges that last as long as they do.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::fd::AsFd as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::{
    sendfile::sendfile,
    socket::{setsockopt, sockopt},
};
use sonde_tests::span::Side;

use super::scene::{Scene, answer, get, pair, pass, receive, request};

/// A request and its answer, cut in two at every offset, on a connection that is used on.
#[test]
fn fault_05_split_at_every_offset() -> Result<()> {
    let scene = Scene::open()?;
    let asked = |offset: usize| {
        let line = format!("POST /split/{offset:03} HTTP/1.1");
        let mut bytes = request(
            &line,
            "User-Agent: splitter\r\nTransfer-Encoding: chunked\r\n",
        );
        bytes.extend_from_slice(b"3;x=y\r\nabc\r\n0\r\nTrailer: t\r\n\r\n");
        bytes
    };
    let answered = b"HTTP/1.1 201 Created\r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n\
                     5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
    let (client, server) = pair()?;
    let length = asked(0).len();
    let mut expected = Vec::new();
    for offset in 1..length {
        for (from, to, bytes) in [
            (&client, &server, &asked(offset)[..]),
            (&server, &client, answered),
        ] {
            let (first, second) = bytes.split_at(offset % bytes.len());
            pass(from, to, first)?;
            pass(from, to, second)?;
        }
        let path = format!("/split/{offset:03}");
        expected.push(get(&path).method("POST").status(201).request(3).answer(6));
    }
    scene.assert_both("/split/", &expected)
}

/// What stands in a body is never a message, however it is framed and wherever it is cut.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn fault_08_the_framing_of_rfc_9112() -> Result<()> {
    let scene = Scene::open()?;
    let trap =
        "HTTP/1.1 500 Trap\r\nContent-Length: 0\r\n\r\nGET /trap HTTP/1.1\r\nHost: t\r\n\r\n";
    let size = trap.len();
    let chunks = format!("{size:x};name=\"va;lue\"\r\n{trap}\r\n0\r\nX-Trailer: GET /t\r\n\r\n");
    let chunked = "Transfer-Encoding: chunked\r\n";
    // RFC 9112 section 6.3: Transfer-Encoding overrides Content-Length.
    let both = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n";
    let length = format!("Content-Length: {size}\r\n");
    let head = |status: &str, fields: &str| format!("HTTP/1.1 {status}\r\n{fields}\r\n");
    let whole = size as u64;
    let cases = [
        (
            "POST",
            "/chunked",
            format!("{chunked}\r\n{chunks}"),
            head("200 OK", chunked) + &chunks,
            200,
            whole,
            whole,
        ),
        (
            "PUT",
            "/both",
            format!("{both}\r\n{chunks}"),
            head("200 OK", both) + &chunks,
            200,
            whole,
            whole,
        ),
        (
            "POST",
            "/length",
            format!("{length}\r\n{trap}"),
            head("200 OK", &length) + trap,
            200,
            whole,
            whole,
        ),
        (
            "HEAD",
            "/head",
            "\r\n".to_owned(),
            head("200 OK", "Content-Length: 5000\r\n"),
            200,
            0,
            0,
        ),
        (
            "HEAD",
            "/head-chunked",
            "\r\n".to_owned(),
            head("200 OK", chunked),
            200,
            0,
            0,
        ),
        (
            "GET",
            "/none",
            "\r\n".to_owned(),
            head("204 No Content", ""),
            204,
            0,
            0,
        ),
        (
            "GET",
            "/same",
            "\r\n".to_owned(),
            head("304 Not Modified", "Content-Length: 77\r\n"),
            304,
            0,
            0,
        ),
        (
            "DELETE",
            "/last",
            "\r\n".to_owned(),
            head("200 OK", "Content-Length: 0\r\n"),
            200,
            0,
            0,
        ),
    ];
    let mut expected = Vec::new();
    // Whole, and in small pieces.
    for (round, piece) in [("whole", 1 << 20), ("pieces", 11)] {
        let (client, server) = pair()?;
        for (method, path, fields, answered, status, asked_size, answer_size) in &cases {
            let asked = format!("{method} /{round}{path} HTTP/1.1\r\nHost: h\r\n{fields}");
            for part in asked.as_bytes().chunks(piece) {
                pass(&client, &server, part)?;
            }
            for part in answered.as_bytes().chunks(piece) {
                pass(&server, &client, part)?;
            }
            let told = get(&format!("/{round}{path}"))
                .method(method)
                .status(*status);
            expected.push(told.request(*asked_size).answer(*answer_size));
        }
    }
    scene.assert_both("/", &expected)
}

/// A body without a length ends with the connection, with the last bytes or after them.
#[test]
fn fault_10_an_answer_ends_with_the_connection() -> Result<()> {
    let scene = Scene::open()?;
    for (path, version, pause) in [("/with", "1.0", 0), ("/after", "1.1", 200)] {
        let (mut client, mut server) = pair()?;
        let asked = request(&format!("GET {path} HTTP/{version}"), "");
        pass(&client, &server, &asked)?;
        server.write_all(format!("HTTP/{version} 200 OK\r\n\r\n").as_bytes())?;
        server.write_all(&[b'x'; 3_210])?;
        thread::sleep(Duration::from_millis(pause));
        drop(server);
        client.read_to_end(&mut Vec::new())?;
    }
    scene.assert_both(
        "/",
        &[get("/with").answer(3_210), get("/after").answer(3_210)],
    )
}

/// Reads so many bytes, a piece at a time with pauses; how long that took.
fn read_slowly(stream: &TcpStream, mut left: usize, pauses: u32) -> Result<Duration> {
    let began = Instant::now();
    let piece = left / pauses as usize + 1;
    while left > 0 {
        thread::sleep(Duration::from_millis(20));
        let count = left.min(piece);
        receive(stream, count)?;
        left -= count;
    }
    Ok(began.elapsed())
}

/// Sends a file of so many bytes by sendfile(2) to a reader that takes its time. The exchange is
/// over when the last byte was handed over (the server) or read (the client).
fn send_file(size: usize, path: &str) -> Result<()> {
    let scene = Scene::open()?;
    let file = scene.lab.path().join("body");
    File::create(&file)?.set_len(size as u64)?;
    let file = File::open(file)?;
    let (client, mut server) = pair()?;
    // Little of it fits into the buffers.
    setsockopt(&client.as_fd(), sockopt::RcvBuf, &(256 << 10))?;
    setsockopt(&server.as_fd(), sockopt::SndBuf, &(256 << 10))?;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
    let length = head.len();
    let asked = request(&format!("GET {path} HTTP/1.1"), "");
    pass(&client, &server, &asked)?;
    let sender = thread::spawn(move || -> Result<Duration> {
        let began = Instant::now();
        server.write_all(head.as_bytes())?;
        let mut left = size;
        while left > 0 {
            let sent = sendfile(server.as_fd(), file.as_fd(), None, left)?;
            ensure!(sent > 0, "the file is shorter");
            left -= sent;
        }
        Ok(began.elapsed())
    });
    let read = read_slowly(&client, length + size, 40)?;
    let sent = sender.join().ok().context("the sender's thread")??;
    scene.assert_both("/", &[get(path).answer(size as u64)])?;
    for span in scene.spans(path, 1)? {
        let expected = if span.side == Side::Server {
            sent
        } else {
            read
        };
        let off = span.duration.abs_diff(expected);
        println!("{:?}: {:?} of {expected:?}", span.side, span.duration);
        ensure!(
            off < expected / 20 + Duration::from_millis(20),
            "{span:?}: {expected:?}"
        );
    }
    Ok(())
}

#[test]
fn fault_18_ten_megabytes_by_sendfile_take_as_long_as_they_do() -> Result<()> {
    send_file(10_000_000, "/ten")
}

#[test]
fn fault_18_two_hundred_megabytes_by_sendfile_take_as_long_as_they_do() -> Result<()> {
    send_file(200_000_000, "/two-hundred")
}

/// Bodies that drip in both directions: from the first byte of the request to the last of the
/// answer, at both ends.
#[test]
fn fault_18_slow_bodies_are_part_of_the_duration() -> Result<()> {
    const STEPS: u32 = 10;
    const STEP: Duration = Duration::from_millis(30);
    let scene = Scene::open()?;
    for (path, framing) in [("/length", false), ("/chunked", true)] {
        let (client, server) = pair()?;
        let fields = if framing {
            "Transfer-Encoding: chunked\r\n".to_owned()
        } else {
            format!("Content-Length: {}\r\n", STEPS * 100)
        };
        let part = if framing {
            format!("64\r\n{}\r\n", "x".repeat(100))
        } else {
            "x".repeat(100)
        };
        let last = if framing { "0\r\n\r\n" } else { "" };
        let asked = request(&format!("POST {path} HTTP/1.1"), &fields);
        let answered = format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into_bytes();
        for (from, to, head) in [(&client, &server, asked), (&server, &client, answered)] {
            pass(from, to, &head)?;
            for _ in 0..STEPS {
                thread::sleep(STEP);
                pass(from, to, part.as_bytes())?;
            }
            pass(from, to, last.as_bytes())?;
        }
        pass(&client, &server, &request("GET /next HTTP/1.1", ""))?;
        pass(&server, &client, &answer(200, ""))?;
    }
    let size = u64::from(STEPS * 100);
    let told =
        ["/length", "/chunked"].map(|path| get(path).method("POST").request(size).answer(size));
    let [length, chunked] = told;
    scene.assert_both("/", &[length, chunked, get("/next"), get("/next")])?;
    for span in scene
        .spans("/", 4)?
        .iter()
        .filter(|span| span.path != "/next")
    {
        let least = STEP * STEPS * 2;
        assert!((least..least * 2).contains(&span.duration), "{span:?}");
    }
    Ok(())
}
