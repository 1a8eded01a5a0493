//! The ways: each writes or reads a whole message.

use std::{
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    net::TcpStream,
    os::fd::{AsRawFd as _, RawFd},
};

use anyhow::{Result, bail, ensure};

use crate::sys;

/// A way to write a head and its body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Write {
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
pub(super) enum Receive {
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

pub(super) const WRITES: [Write; 10] = [
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

pub(super) const RECEIVES: [Receive; 9] = [
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

/// All went out in one go: the messages are smaller than any socket's buffer.
fn whole(sent: usize, expected: usize) -> Result<()> {
    ensure!(sent == expected, "{sent} of {expected} bytes");
    Ok(())
}

pub(super) fn put(socket: &TcpStream, way: Write, head: &[u8], body: &[u8]) -> Result<()> {
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

pub(super) fn take(socket: &TcpStream, way: Receive, head: usize, body: usize) -> Result<()> {
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
