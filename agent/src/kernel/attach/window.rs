//! System calls are timed in windows.
//!
//! A program on `sys_enter` makes every system call dearer, by more than counting it does, even when
//! it only decides not to time the call. So it is attached for an eighth of the time, and times more
//! calls in that: as many altogether, of all processes alike, whichever calls begin in a window.

use super::{
    Programs, Settings,
    via::{Attach, Link},
};
use crate::{kernel::feature::Kernel, probe::syscall};

/// The windows' share of the time is one of so many parts.
const SHARE: u32 = 8;
/// Length of a window, nanoseconds. Opening and closing one has the kernel change its code, of
/// which each CPU is told: not to be done often.
const LENGTH: u64 = 500_000_000;
/// Mean time between two windows, nanoseconds.
const PAUSE: u64 = LENGTH * (SHARE as u64 - 1);

/// Which system calls are timed.
pub(super) struct Timing {
    /// Every how many, on average, while any are.
    pub(super) period: u32,
    /// Only in [`Windows`].
    pub(super) windowed: bool,
}

impl Timing {
    pub(super) fn of(kernel: &Kernel, settings: &Settings) -> Self {
        let period = settings.syscall_period.unwrap_or(u32::MAX);
        let windowed =
            settings.syscall_period.is_some() && period >= SHARE && syscall::can_pause(kernel);
        let share = if windowed { SHARE } else { 1 };
        Self {
            period: period / share,
            windowed,
        }
    }
}

/// The windows of one program.
#[derive(Debug)]
pub(super) struct Windows {
    attach: &'static Attach,
    /// The program's attachment while a window is open.
    open: Option<Link>,
    /// When that changes: `CLOCK_MONOTONIC`, nanoseconds.
    until: u64,
}

impl Windows {
    /// The program is attached, which ends with the first look at the clock: how soon after the
    /// agent's start a call begins says nothing of how often it should be timed.
    pub(super) fn new(attach: &'static Attach, link: Link) -> Self {
        Self {
            attach,
            open: Some(link),
            until: 0,
        }
    }
}

impl Programs {
    /// Opens or closes the window in which system calls are timed, when it is time to: to be called
    /// often. A window that can't be opened is told once, and there are no more.
    pub fn turn_window(&mut self, now: u64) {
        let Some(mut windows) = self.windows.take() else {
            return;
        };
        if now >= windows.until
            && let Err(error) = self.turn(&mut windows, now)
        {
            tracing::warn!(%error, "system calls are not timed any more");
            return;
        }
        self.windows = Some(windows);
    }

    /// When there will be something to do for [`Self::turn_window`].
    #[must_use]
    pub fn next_turn(&self) -> Option<u64> {
        self.windows.as_ref().map(|windows| windows.until)
    }

    fn turn(&mut self, windows: &mut Windows, now: u64) -> Result<(), String> {
        let program = self.program(windows.attach.program)?;
        if let Some(link) = windows.open.take() {
            link.detach(program)?;
            // At random, so that what a program does in a rhythm isn't always seen, or never.
            windows.until = now + rand::random_range(PAUSE / 2..=PAUSE + PAUSE / 2);
        } else {
            windows.open = Some(windows.attach.via.attach(program)?);
            windows.until = now + LENGTH;
        }
        Ok(())
    }
}
