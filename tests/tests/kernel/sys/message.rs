//! Every way into and out of a socket.

use std::{io, os::fd::RawFd, ptr};

use libc::{c_int, c_void, iovec, mmsghdr, msghdr};

use super::checked;

fn vectors(pieces: &[&[u8]]) -> Vec<iovec> {
    let piece = |bytes: &&[u8]| iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    pieces.iter().map(piece).collect()
}

pub(super) fn vectors_mut(pieces: &mut [&mut [u8]]) -> Vec<iovec> {
    let piece = |bytes: &mut &mut [u8]| iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    pieces.iter_mut().map(piece).collect()
}

pub(super) fn message(vectors: &mut [iovec]) -> msghdr {
    // SAFETY: a C structure of numbers and pointers, for which zero means "none".
    let mut message: msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len();
    message
}

/// `send(2)`
pub(crate) fn send(socket: RawFd, bytes: &[u8], flags: c_int) -> io::Result<usize> {
    // SAFETY: pointer and length are those of one slice.
    checked(unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), flags) })
}

/// `sendto(2)` without an address
pub(crate) fn send_to(socket: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let (data, length) = (bytes.as_ptr().cast(), bytes.len());
    // SAFETY: pointer and length are those of one slice.
    checked(unsafe { libc::sendto(socket, data, length, 0, ptr::null(), 0) })
}

/// `writev(2)`
pub(crate) fn writev(socket: RawFd, pieces: &[&[u8]]) -> io::Result<usize> {
    let vectors = vectors(pieces);
    // SAFETY: the vectors point at the slices, which live until the call's end.
    checked(unsafe { libc::writev(socket, vectors.as_ptr(), vectors.len() as c_int) })
}

/// `sendmsg(2)`
pub(crate) fn send_message(socket: RawFd, pieces: &[&[u8]]) -> io::Result<usize> {
    let mut vectors = vectors(pieces);
    let message = message(&mut vectors);
    // SAFETY: as for `writev`.
    checked(unsafe { libc::sendmsg(socket, &raw const message, 0) })
}

/// `sendmmsg(2)`; the bytes of all messages that went out.
pub(crate) fn send_messages(socket: RawFd, messages: &[&[&[u8]]]) -> io::Result<usize> {
    let mut vectors: Vec<_> = messages.iter().map(|pieces| vectors(pieces)).collect();
    let mut headers = headers(&mut vectors);
    let count = headers.len() as u32;
    // SAFETY: as for `writev`.
    let sent = checked(unsafe { libc::sendmmsg(socket, headers.as_mut_ptr(), count, 0) } as isize)?;
    Ok(headers[..sent]
        .iter()
        .map(|header| header.msg_len as usize)
        .sum())
}

fn headers(vectors: &mut [Vec<iovec>]) -> Vec<mmsghdr> {
    let header = |vectors: &mut Vec<iovec>| mmsghdr {
        msg_hdr: message(vectors),
        msg_len: 0,
    };
    vectors.iter_mut().map(header).collect()
}

/// `sendfile(2)`
pub(crate) fn send_file(socket: RawFd, file: RawFd, length: usize) -> io::Result<usize> {
    // SAFETY: no pointers.
    checked(unsafe { libc::sendfile(socket, file, ptr::null_mut(), length) })
}

/// `splice(2)`
pub(crate) fn splice(from: RawFd, into: RawFd, length: usize) -> io::Result<usize> {
    let (none, flags) = (ptr::null_mut(), libc::SPLICE_F_MOVE);
    // SAFETY: no pointers.
    checked(unsafe { libc::splice(from, none, into, none, length, flags) })
}

/// `recv(2)`
pub(crate) fn receive(socket: RawFd, into: &mut [u8], flags: c_int) -> io::Result<usize> {
    // SAFETY: pointer and length are those of one slice.
    checked(unsafe { libc::recv(socket, into.as_mut_ptr().cast(), into.len(), flags) })
}

/// `recv(2)` with `MSG_TRUNC`, which for TCP throws the bytes away.
pub(crate) fn discard(socket: RawFd, length: usize) -> io::Result<usize> {
    let nowhere: *mut c_void = ptr::null_mut();
    // SAFETY: the kernel writes nothing with this flag.
    checked(unsafe { libc::recv(socket, nowhere, length, libc::MSG_TRUNC) })
}

/// `recvfrom(2)`
pub(crate) fn receive_from(socket: RawFd, into: &mut [u8]) -> io::Result<usize> {
    let (data, length, none) = (into.as_mut_ptr().cast(), into.len(), ptr::null_mut());
    // SAFETY: pointer and length are those of one slice; no address is asked for.
    checked(unsafe { libc::recvfrom(socket, data, length, 0, none, ptr::null_mut()) })
}

/// `readv(2)`
pub(crate) fn readv(socket: RawFd, pieces: &mut [&mut [u8]]) -> io::Result<usize> {
    let vectors = vectors_mut(pieces);
    // SAFETY: as for `writev`.
    checked(unsafe { libc::readv(socket, vectors.as_ptr(), vectors.len() as c_int) })
}

/// `recvmsg(2)`
pub(crate) fn receive_message(socket: RawFd, pieces: &mut [&mut [u8]]) -> io::Result<usize> {
    let mut vectors = vectors_mut(pieces);
    let mut message = message(&mut vectors);
    // SAFETY: as for `writev`.
    checked(unsafe { libc::recvmsg(socket, &raw mut message, 0) })
}

/// `recvmmsg(2)` that waits for the first message only; the bytes of each.
pub(crate) fn receive_messages(socket: RawFd, buffers: &mut [&mut [u8]]) -> io::Result<Vec<usize>> {
    let mut vectors: Vec<Vec<iovec>> = buffers
        .iter_mut()
        .map(|buffer| vectors_mut(&mut [buffer]))
        .collect();
    let mut headers = headers(&mut vectors);
    let (count, flags) = (headers.len() as u32, libc::MSG_WAITFORONE);
    let none = ptr::null_mut();
    // SAFETY: as for `writev`.
    let got = unsafe { libc::recvmmsg(socket, headers.as_mut_ptr(), count, flags, none) };
    let got = checked(got as isize)?;
    Ok(headers[..got]
        .iter()
        .map(|header| header.msg_len as usize)
        .collect())
}
