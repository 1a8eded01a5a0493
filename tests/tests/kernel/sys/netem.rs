//! Losing and delaying packets on purpose: the queueing discipline netem, set over rtnetlink(7), which busybox has
//! no command for.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    time::Duration,
};

use super::{checked, receive, send};

/// `struct nlmsghdr`
const HEADER: usize = 16;
/// `include/uapi/linux/rtnetlink.h`
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TC_H_ROOT: u32 = u32::MAX;
/// The loopback device is the first of each network namespace.
const LOOPBACK: i32 = 1;

/// Has the loopback device of this network namespace lose this share of its packets.
///
/// `ENOENT` where the kernel has no netem.
pub(crate) fn lose(percent: u32) -> io::Result<()> {
    let loss = u64::from(u32::MAX) * u64::from(percent) / 100;
    set(0, loss as u32)
}

/// Has each packet take so long, the same way.
pub(crate) fn delay(time: Duration) -> io::Result<()> {
    // In the ticks of packet scheduling, 64 ns each (`PSCHED_SHIFT`).
    set((time.as_nanos() >> 6) as u32, 0)
}

fn set(latency: u32, loss: u32) -> io::Result<()> {
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    let mut body = Vec::new();
    // struct tcmsg: family, interface, handle, parent, info.
    body.extend(0u32.to_ne_bytes());
    body.extend(LOOPBACK.to_ne_bytes());
    body.extend(0u32.to_ne_bytes());
    body.extend(TC_H_ROOT.to_ne_bytes());
    body.extend(0u32.to_ne_bytes());
    attribute(&mut body, TCA_KIND, b"netem\0");
    // struct tc_netem_qopt: latency, limit in packets, loss of 2^32, gap, duplicates, jitter.
    let options = [latency, 1000, loss, 0, 0, 0].map(u32::to_ne_bytes);
    attribute(&mut body, TCA_OPTIONS, options.as_flattened());
    let mut request = Vec::new();
    request.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    request.extend(libc::RTM_NEWQDISC.to_ne_bytes());
    request.extend((flags as u16).to_ne_bytes());
    request.extend([0; 8]);
    request.extend(body);
    ask(&request)
}

fn attribute(into: &mut Vec<u8>, kind: u16, value: &[u8]) {
    into.extend((4 + value.len() as u16).to_ne_bytes());
    into.extend(kind.to_ne_bytes());
    into.extend(value);
    into.resize(into.len().next_multiple_of(4), 0);
}

/// Sends a request and waits for what became of it: `struct nlmsgerr`.
fn ask(request: &[u8]) -> io::Result<()> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers; a new descriptor, ours alone.
    let socket = unsafe {
        let socket = checked(libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) as isize)?;
        OwnedFd::from_raw_fd(socket as i32)
    };
    send(socket.as_raw_fd(), request, 0)?;
    let mut answer = [0; 512];
    let length = receive(socket.as_raw_fd(), &mut answer, 0)?;
    let error = answer[..length].get(HEADER..HEADER + 4);
    let error = error.and_then(|bytes| bytes.try_into().ok());
    match i32::from_ne_bytes(error.ok_or(io::ErrorKind::InvalidData)?) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}
