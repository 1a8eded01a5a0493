//! Fault row 18: every way into and out of a socket tells the same exchanges.

use std::{
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    net::TcpStream,
    os::fd::{AsRawFd as _, RawFd},
};

use anyhow::{Context as _, Result, bail, ensure};
use sonde::l7::exchange::{Method, Role};
use sonde_common::fault::Fault;

use crate::{child::Workload, harness::Test, http::by_role, observed::Observed, sys, tcp::pair};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::fault_18_every_way_of_socket_io",
        run: fault_18_every_way_of_socket_io,
    },
    Test {
        name: "http::fault_18_bytes_that_no_hook_sees_are_counted",
        run: fault_18_bytes_that_no_hook_sees_are_counted,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "ways",
    run: ways,
}];

/// A way to write a head and its body.
#[derive(Clone, Copy, Debug)]
enum Write {
    Write,
    Send,
    SendTo,
    Writev,
    SendMsg,
    SendMmsg,
    /// The head by write, the body out of a file.
    SendFile,
    /// The head by write, the body through a pipe.
    Splice,
    ZeroCopy,
    /// The head is held in the kernel until the body comes.
    More,
}

/// A way to read a head and its body.
#[derive(Clone, Copy, Debug)]
enum Receive {
    Read,
    Recv,
    RecvFrom,
    Readv,
    RecvMsg,
    RecvMmsg,
    /// Looks at everything before it is read.
    Peek,
    /// The head by read, the body thrown away by `MSG_TRUNC`.
    Truncate,
    /// The head by read, the body into a pipe.
    Splice,
}

const WRITES: [Write; 10] = [
    Write::Write,
    Write::Send,
    Write::SendTo,
    Write::Writev,
    Write::SendMsg,
    Write::SendMmsg,
    Write::SendFile,
    Write::Splice,
    Write::ZeroCopy,
    Write::More,
];

const RECEIVES: [Receive; 9] = [
    Receive::Read,
    Receive::Recv,
    Receive::RecvFrom,
    Receive::Readv,
    Receive::RecvMsg,
    Receive::RecvMmsg,
    Receive::Peek,
    Receive::Truncate,
    Receive::Splice,
];

/// Bodies, long enough that they are not captured whole.
const ASKED: usize = 2_345;
const ANSWERED: usize = 6_789;
/// Exchanges of each pair of ways on one connection: a wrong position shows in the next one.
const TURNS: usize = 3;

/// Every pair of a way to write and a way to read.
fn ways(_: &[&str]) -> Result<()> {
    for write in WRITES {
        for receive in RECEIVES {
            let (client, server) = pair()?;
            if matches!(write, Write::ZeroCopy) {
                for socket in [&client, &server] {
                    let fd = socket.as_raw_fd();
                    sys::set_option(fd, libc::SOL_SOCKET, libc::SO_ZEROCOPY, 1)?;
                }
            }
            for turn in 0..TURNS {
                talk(&client, &server, write, receive, turn)
                    .with_context(|| format!("{write:?} to {receive:?}"))?;
            }
        }
    }
    Ok(())
}

fn talk(
    client: &TcpStream,
    server: &TcpStream,
    write: Write,
    receive: Receive,
    turn: usize,
) -> Result<()> {
    let request = format!(
        "POST /{write:?}/{receive:?}/{turn} HTTP/1.1\r\nHost: ways\r\nContent-Length: {ASKED}\r\n\r\n"
    );
    let answer = format!("HTTP/1.1 202 Accepted\r\nContent-Length: {ANSWERED}\r\n\r\n");
    for (from, to, head, body) in [
        (client, server, request, ASKED),
        (server, client, answer, ANSWERED),
    ] {
        put(from, write, head.as_bytes(), &vec![b'b'; body])?;
        take(to, receive, head.len(), body)?;
    }
    Ok(())
}

/// All went out in one go: the messages are smaller than any socket's buffer.
fn whole(sent: usize, expected: usize) -> Result<()> {
    ensure!(sent == expected, "{sent} of {expected} bytes");
    Ok(())
}

fn put(socket: &TcpStream, way: Write, head: &[u8], body: &[u8]) -> Result<()> {
    let fd = socket.as_raw_fd();
    let all = [head, body].concat();
    // Cut within the method, within the head, and within the body.
    let pieces: [&[u8]; 5] = [
        &head[..2],
        &head[2..20],
        &head[20..],
        &body[..100],
        &body[100..],
    ];
    let sent = match way {
        Write::Write => {
            let mut socket = socket;
            socket.write(&all)?
        }
        Write::Send => sys::send(fd, &all, 0)?,
        Write::SendTo => sys::send_to(fd, &all)?,
        Write::Writev => sys::writev(fd, &pieces)?,
        Write::SendMsg => sys::send_message(fd, &pieces)?,
        Write::SendMmsg => sys::send_messages(
            fd,
            &[&[head, &body[..100]], &[&body[100..200], &body[200..]]],
        )?,
        Write::SendFile => sys::send(fd, head, 0)? + from_file(fd, body)?,
        Write::Splice => sys::send(fd, head, 0)? + through_pipe(fd, body)?,
        Write::ZeroCopy => sys::send(fd, &all, libc::MSG_ZEROCOPY)?,
        Write::More => sys::send(fd, head, libc::MSG_MORE)? + sys::send(fd, body, 0)?,
    };
    whole(sent, all.len())
}

fn from_file(socket: RawFd, body: &[u8]) -> Result<usize> {
    let path = std::env::temp_dir().join(format!("sonde-sendfile-{}", std::process::id()));
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    file.write_all(body)?;
    file.rewind()?;
    Ok(sys::send_file(socket, file.as_raw_fd(), body.len())?)
}

fn through_pipe(socket: RawFd, body: &[u8]) -> Result<usize> {
    let (reader, writer) = sys::pipe()?;
    File::from(writer.try_clone()?).write_all(body)?;
    let mut sent = 0;
    while sent < body.len() {
        sent += sys::splice(reader.as_raw_fd(), socket, body.len() - sent)?;
    }
    Ok(sent)
}

fn take(socket: &TcpStream, way: Receive, head: usize, body: usize) -> Result<()> {
    let fd = socket.as_raw_fd();
    if matches!(way, Receive::Truncate | Receive::Splice) {
        let mut socket = socket;
        socket.read_exact(&mut vec![0; head])?;
        let mut left = body;
        while left > 0 {
            left -= match way {
                Receive::Truncate => sys::discard(fd, left)?,
                _ => into_pipe(fd, left)?,
            };
        }
        return Ok(());
    }
    let mut left = head + body;
    while left > 0 {
        let got = take_some(socket, way, left)?;
        ensure!(got > 0 && got <= left, "{got} of {left} bytes");
        left -= got;
    }
    Ok(())
}

fn into_pipe(socket: RawFd, length: usize) -> Result<usize> {
    let (reader, writer) = sys::pipe()?;
    let moved = sys::splice(socket, writer.as_raw_fd(), length)?;
    drop(writer);
    let mut bytes = Vec::new();
    File::from(reader).read_to_end(&mut bytes)?;
    ensure!(bytes.len() == moved);
    Ok(moved)
}

fn take_some(socket: &TcpStream, way: Receive, most: usize) -> Result<usize> {
    let fd = socket.as_raw_fd();
    let mut buffer = vec![0u8; most];
    Ok(match way {
        Receive::Read => {
            let mut socket = socket;
            socket.read(&mut buffer)?
        }
        Receive::Recv => sys::receive(fd, &mut buffer, 0)?,
        Receive::RecvFrom => sys::receive_from(fd, &mut buffer)?,
        Receive::Peek => {
            for _ in 0..2 {
                sys::receive(fd, &mut buffer, libc::MSG_PEEK)?;
            }
            sys::receive(fd, &mut buffer, 0)?
        }
        Receive::Readv => sys::readv(fd, &mut pieces(&mut buffer))?,
        Receive::RecvMsg => sys::receive_message(fd, &mut pieces(&mut buffer))?,
        Receive::RecvMmsg => sys::receive_messages(fd, &mut pieces(&mut buffer))?
            .iter()
            .sum(),
        Receive::Truncate | Receive::Splice => bail!("not in one buffer"),
    })
}

/// A buffer in three pieces, where it is long enough.
fn pieces(buffer: &mut [u8]) -> Vec<&mut [u8]> {
    if buffer.len() < 100 {
        return vec![buffer];
    }
    let (first, rest) = buffer.split_at_mut(3);
    let (second, third) = rest.split_at_mut(70);
    vec![first, second, third]
}

fn fault_18_every_way_of_socket_io(observed: &mut Observed) -> Result<()> {
    let unreadable = observed.faults(Fault::PayloadUnreadable)?;
    let pid = observed.run("ways", &[])?;
    let exchanges = observed.exchanges(pid);
    let mut wrong = Vec::new();
    for role in [Role::Server, Role::Client] {
        let found = by_role(&exchanges, role);
        for write in WRITES {
            for receive in RECEIVES {
                for turn in 0..TURNS {
                    let path = format!("/{write:?}/{receive:?}/{turn}");
                    let here = found.iter().filter(|exchange| *exchange.path == path);
                    let here: Vec<_> = here.collect();
                    let spliced = matches!(receive, Receive::Splice);
                    let right = here.len() == 1
                        && here[0].method == Method::Post
                        && here[0].status == Some(202)
                        && is_size(here[0].request_body, ASKED, spliced)
                        && is_size(here[0].response_body, ANSWERED, spliced)
                        && here[0].host.as_deref() == Some("ways")
                        && !here[0].truncated
                        && here[0].failure.is_none();
                    if !right {
                        wrong.push(format!("{role:?} {path}: {here:?}"));
                    }
                }
            }
        }
        let expected = WRITES.len() * RECEIVES.len() * TURNS;
        if found.len() != expected {
            wrong.push(format!("{role:?}: {} of {expected}", found.len()));
        }
    }
    let shown = wrong
        .iter()
        .take(6)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n    ");
    ensure!(wrong.is_empty(), "{} wrong:\n    {shown}", wrong.len());
    let unreadable = observed.faults(Fault::PayloadUnreadable)? - unreadable;
    ensure!(
        unreadable == 0,
        "{unreadable} payloads that could not be read"
    );
    Ok(())
}

/// A body that was spliced out of a socket ends at the next read, which may come too late to tell
/// its size: then there is none, and never a wrong one.
fn is_size(body: Option<u64>, size: usize, spliced: bool) -> bool {
    body == Some(size as u64) || (spliced && body.is_none())
}

/// Bytes that were spliced out of a socket are told as a gap, and counted.
fn fault_18_bytes_that_no_hook_sees_are_counted(observed: &mut Observed) -> Result<()> {
    let before = observed.faults(Fault::UnseenBytes)?;
    observed.run("ways", &[])?;
    let counted = observed.faults(Fault::UnseenBytes)? - before;
    // A gap shows at the next read; after the last splice of a connection there is none.
    let splices = (WRITES.len() * 2 * (TURNS - 1)) as u64;
    ensure!(counted >= splices, "{counted} of {splices}");
    Ok(())
}
