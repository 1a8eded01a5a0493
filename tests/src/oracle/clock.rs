//! When bytes move, by the clock that the kernel stamps packets with.
//!
//! How long the generator itself waits for a CPU is no part of what a server takes. So a read asks
//! the kernel when its last byte came to the socket (`SO_TIMESTAMPNS`), beside when it was read.

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsFd, AsRawFd as _},
    time::{Duration, SystemTime},
};

use nix::{
    cmsg_space,
    sys::{
        socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt},
        time::TimeSpec,
    },
};

/// A moment of `CLOCK_REALTIME`, since its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

/// When the last byte of a read came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Came {
    /// To the socket. Of one that the kernel has no stamp of: when it was read.
    pub(super) arrived: Moment,
    /// To the generator.
    pub(super) read: Moment,
}

/// How long an exchange took, from the first byte written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Took {
    /// Until its last byte came to the generator's socket.
    pub(super) arrived: Duration,
    /// Until that was read.
    pub(super) read: Duration,
}

impl Moment {
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self(since.unwrap_or_default())
    }
}

impl Came {
    /// What is read at this moment, without a stamp.
    pub(super) fn now() -> Self {
        let now = Moment::now();
        Self {
            arrived: now,
            read: now,
        }
    }

    pub(super) fn after(self, began: Moment) -> Took {
        Took {
            arrived: self.arrived.0.saturating_sub(began.0),
            read: self.read.0.saturating_sub(began.0),
        }
    }
}

/// Has the kernel stamp what comes to a socket.
pub(super) fn stamp(socket: &impl AsFd) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::ReceiveTimestampns, &true)?)
}

/// Reads from a socket; how many bytes, and when the last of them came.
pub(super) fn receive(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Came)> {
    let mut space = cmsg_space!(TimeSpec);
    let mut pieces = [IoSliceMut::new(buffer)];
    let socket = socket.as_fd().as_raw_fd();
    let message = recvmsg::<()>(socket, &mut pieces, Some(&mut space), MsgFlags::empty())?;
    let mut came = Came::now();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmTimestampns(stamp) = control {
            came.arrived = Moment(stamp.into());
        }
    }
    Ok((message.bytes, came))
}
