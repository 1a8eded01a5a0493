//! Bytes of UDP by who sends and receives them.

use std::{
    io::{IoSlice, IoSliceMut},
    net::UdpSocket,
    os::fd::AsRawFd as _,
    thread,
};

use anyhow::{Result, bail, ensure};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use sonde_common::event::http::Direction;

use crate::{
    child::Workload,
    harness::{Skipped, Test},
    observed::Observed,
    sched::usage_at_end,
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "udp::bytes_count_for_who_sends_and_receives_them",
    run: bytes_count_for_who_sends_and_receives_them,
}];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "udp-bytes",
    run: udp_bytes,
}];

/// Datagrams of the main thread, of one that ends before it, and of one call.
const PLAIN: (usize, usize) = (100, 70);
const OTHER: (usize, usize) = (10, 1_000);
const AT_ONCE: (usize, usize) = (5, 200);
/// What is read of a datagram that the buffer is too small for.
const CUT: usize = 30;

fn udp_bytes(_: &[&str]) -> Result<()> {
    let receiver = UdpSocket::bind("127.0.0.1:0")?;
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    let address = receiver.local_addr()?;
    let mut buffer = [0; 2_048];
    for _ in 0..PLAIN.0 {
        sender.send_to(&[1; PLAIN.1], address)?;
        // A look takes nothing.
        receiver.peek(&mut buffer)?;
        ensure!(receiver.recv(&mut buffer)? == PLAIN.1);
    }
    sender.connect(address)?;
    let other = sender.try_clone()?;
    let sends = move || (0..OTHER.0).try_for_each(|_| other.send(&[2; OTHER.1]).map(drop));
    thread::spawn(sends).join().expect("it only sends")?;
    for _ in 0..OTHER.0 {
        ensure!(receiver.recv(&mut buffer)? == OTHER.1);
    }
    at_once(&sender, &receiver)?;
    sender.send(&[3; PLAIN.1])?;
    ensure!(receiver.recv(&mut buffer[..CUT])? == CUT);
    // Refused and would block: nothing.
    receiver.set_nonblocking(true)?;
    ensure!(receiver.recv(&mut buffer).is_err());
    Ok(())
}

/// Several datagrams in one system call.
fn at_once(sender: &UdpSocket, receiver: &UdpSocket) -> Result<()> {
    let data = [4; AT_ONCE.1];
    let pieces = [[IoSlice::new(&data)]; AT_ONCE.0];
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(AT_ONCE.0, None);
    let to = [None; AT_ONCE.0];
    let flags = MsgFlags::empty();
    let sent = sendmmsg(sender.as_raw_fd(), &mut headers, &pieces, to, [], flags)?;
    ensure!(sent.count() == AT_ONCE.0);
    let mut buffers = [[0; AT_ONCE.1]; AT_ONCE.0];
    let mut pieces = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(AT_ONCE.0, None);
    let received = recvmmsg(
        receiver.as_raw_fd(),
        &mut headers,
        pieces.iter_mut(),
        flags,
        None,
    )?;
    ensure!(received.count() == AT_ONCE.0);
    Ok(())
}

fn bytes_count_for_who_sends_and_receives_them(observed: &mut Observed) -> Result<()> {
    if !observed.programs.is_attached("udp_send") {
        bail!(Skipped(
            "this kernel has no sock_send_length (6.3)".to_owned()
        ));
    }
    let pid = observed.run("udp-bytes", &[])?;
    let (_, usage) = usage_at_end(observed, pid)?;
    let all: usize = [PLAIN, OTHER, AT_ONCE]
        .map(|(count, size)| count * size)
        .iter()
        .sum();
    let sent = usage.udp[Direction::Send as usize];
    let received = usage.udp[Direction::Receive as usize];
    ensure!(sent == (all + PLAIN.1) as u64, "{sent} sent");
    ensure!(received == (all + CUT) as u64, "{received} received");
    Ok(())
}
