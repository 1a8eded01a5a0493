//! The system calls of which the standard library offers no form.

use std::{
    io,
    net::TcpStream,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use libc::c_int;

mod message;
pub(crate) mod netem;

pub(crate) use self::message::{
    discard, readv, receive, receive_from, receive_message, receive_messages, send, send_file,
    send_message, send_messages, send_to, splice, writev,
};
use self::message::{message, vectors_mut};

/// A result of the C library: a count, or errno.
fn checked(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// `socket(2)` option with a whole number.
pub(crate) fn set_option(socket: RawFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let size = size_of::<c_int>() as libc::socklen_t;
    let value: *const c_int = &raw const value;
    // SAFETY: pointer and length are those of one number.
    checked(unsafe { libc::setsockopt(socket, level, name, value.cast(), size) } as isize).map(drop)
}

/// `listen(2)`, also once more to change the backlog.
pub(crate) fn listen(socket: RawFd, backlog: c_int) -> io::Result<()> {
    // SAFETY: takes no pointers.
    checked(unsafe { libc::listen(socket, backlog) } as isize).map(drop)
}

/// `ioctl(2)` with a number.
pub(crate) fn control(fd: RawFd, request: libc::c_ulong, value: RawFd) -> io::Result<usize> {
    // SAFETY: the requests that the tests make take numbers.
    checked(unsafe { libc::ioctl(fd, request, value) } as isize)
}

/// Makes `close` reset the connection: `SO_LINGER` of no time.
pub(crate) fn reset_on_close(socket: &TcpStream) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let (level, name) = (libc::SOL_SOCKET, libc::SO_LINGER);
    let size = size_of::<libc::linger>() as libc::socklen_t;
    let (fd, value) = (socket.as_raw_fd(), (&raw const linger).cast());
    // SAFETY: pointer and length are those of one structure.
    checked(unsafe { libc::setsockopt(fd, level, name, value, size) } as isize).map(drop)
}

/// Has a socket lose every packet that comes, or none any more: `SO_ATTACH_FILTER` of socket(7) with a
/// program that takes nothing.
pub(crate) fn deafen(socket: &TcpStream, deaf: bool) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    if !deaf {
        return set_option(fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0);
    }
    let mut nothing = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: &raw mut nothing,
    };
    let (level, name) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
    let size = size_of::<libc::sock_fprog>() as libc::socklen_t;
    // SAFETY: pointer and length are those of one structure, which points at one instruction.
    checked(
        unsafe { libc::setsockopt(fd, level, name, (&raw const program).cast(), size) } as isize,
    )
    .map(drop)
}

/// What the kernel knows of a connection: `TCP_INFO` of tcp(7).
pub(crate) fn tcp_info(socket: &TcpStream) -> io::Result<libc::tcp_info> {
    // SAFETY: a C structure of numbers.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = size_of::<libc::tcp_info>() as libc::socklen_t;
    let (fd, place) = (socket.as_raw_fd(), (&raw mut info).cast());
    // SAFETY: pointer and length are those of one structure.
    let result =
        unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut size) };
    checked(result as isize).map(|_| info)
}

/// `pipe(2)`: reading end, writing end.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    checked(unsafe { libc::pipe(ends.as_mut_ptr()) } as isize)?;
    // SAFETY: the kernel has just made them for us.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// `getppid(2)` by number, so that nothing answers in the kernel's place.
pub(crate) fn getppid() {
    // SAFETY: no arguments.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

/// `close(2)` of a descriptor that is none.
pub(crate) fn close_nothing() -> io::Result<usize> {
    // SAFETY: no descriptor of ours has this number.
    checked(unsafe { libc::close(-1) } as isize)
}

/// Passes a descriptor over a Unix socket (`SCM_RIGHTS`).
pub(crate) fn pass(over: RawFd, descriptor: RawFd) -> io::Result<()> {
    let mut byte = [0u8; 1];
    let mut vectors = vectors_mut(&mut [&mut byte]);
    let mut message = message(&mut vectors);
    let mut space = [0u64; 4];
    message.msg_control = space.as_mut_ptr().cast();
    // SAFETY: constants; the buffer is larger than one header with one descriptor.
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as usize;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as usize;
        libc::CMSG_DATA(header)
            .cast::<RawFd>()
            .write_unaligned(descriptor);
        checked(libc::sendmsg(over, &raw const message, 0)).map(drop)
    }
}

/// Takes a descriptor that was passed.
pub(crate) fn take(from: RawFd) -> io::Result<OwnedFd> {
    let mut byte = [0u8; 1];
    let mut vectors = vectors_mut(&mut [&mut byte]);
    let mut message = message(&mut vectors);
    let mut space = [0u64; 4];
    message.msg_control = space.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&space);
    // SAFETY: the kernel fills the buffer; a missing header is checked.
    unsafe {
        checked(libc::recvmsg(from, &raw mut message, 0))?;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let descriptor = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}

/// A TCP connection from a port of one's choice on 127.0.0.1 to another there.
pub(crate) fn connect_from(local: u16, remote: u16) -> io::Result<TcpStream> {
    let address = |port: u16| libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    };
    let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    let (local, remote) = (address(local), address(remote));
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: a new descriptor, ours alone; the addresses are those of whole structures.
    unsafe {
        let socket = checked(libc::socket(libc::AF_INET, kind, 0) as isize)?;
        let socket = TcpStream::from_raw_fd(socket as RawFd);
        let fd = socket.as_raw_fd();
        set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        checked(libc::bind(fd, (&raw const local).cast(), size) as isize)?;
        checked(libc::connect(fd, (&raw const remote).cast(), size) as isize)?;
        Ok(socket)
    }
}

/// Brings the loopback device of a new network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    #[repr(C)]
    struct Request {
        name: [u8; libc::IFNAMSIZ],
        flags: libc::c_short,
        rest: [u8; 22],
    }
    let mut request = Request {
        name: [0; libc::IFNAMSIZ],
        flags: libc::IFF_UP as libc::c_short,
        rest: [0; 22],
    };
    request.name[..2].copy_from_slice(b"lo");
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: the structure is a whole `struct ifreq`.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) };
    checked(result as isize).map(drop)
}
