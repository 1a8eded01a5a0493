//! The discipline of the wall clock, as the kernel keeps it (`kernel/time/ntp.c`).

use std::io;

/// What adjtimex(2) tells of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Whether somebody keeps the clock synchronised: the kernel gives up on that when the daemon
    /// has said nothing for long enough for `maximum_error` to pass 16 s.
    pub is_synchronized: bool,
    /// What is left to be corrected, in nanoseconds.
    pub offset: i64,
    /// Most that the clock can be wrong, in microseconds; grows by itself until somebody says
    /// otherwise.
    pub maximum_error: i64,
    /// What the daemon takes the error for, in microseconds.
    pub estimated_error: i64,
}

impl Discipline {
    /// Asks the kernel, which takes no capability.
    ///
    /// # Errors
    ///
    /// What the system call answers, such as EPERM below a seccomp filter of containers.
    pub fn read() -> io::Result<Self> {
        let mut timex = libc::timex {
            modes: 0,
            // SAFETY: all fields are integers, for which 0 is a value.
            ..unsafe { std::mem::zeroed() }
        };
        // SAFETY: the pointer is to a `timex` of ours; with no modes the kernel only writes to it.
        let state = unsafe { libc::adjtimex(&raw mut timex) };
        if state < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self::from_timex(&timex))
    }

    fn from_timex(timex: &libc::timex) -> Self {
        const NANOSECONDS_PER_MICROSECOND: i64 = 1000;
        let unit = if timex.status & libc::STA_NANO == 0 {
            NANOSECONDS_PER_MICROSECOND
        } else {
            1
        };
        Self {
            is_synchronized: timex.status & libc::STA_UNSYNC == 0,
            offset: timex.offset.saturating_mul(unit),
            maximum_error: timex.maxerror,
            estimated_error: timex.esterror,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_tells_of_its_clock() {
        let discipline = Discipline::read().unwrap();
        assert!(discipline.maximum_error >= 0);
    }

    #[test]
    fn the_offset_is_in_the_unit_that_the_status_says() {
        // SAFETY: as above.
        let mut timex: libc::timex = unsafe { std::mem::zeroed() };
        timex.offset = -7;
        timex.status = libc::STA_UNSYNC;
        let discipline = Discipline::from_timex(&timex);
        assert_eq!(
            (discipline.is_synchronized, discipline.offset),
            (false, -7000)
        );
        timex.status = libc::STA_NANO;
        let discipline = Discipline::from_timex(&timex);
        assert_eq!((discipline.is_synchronized, discipline.offset), (true, -7));
    }
}
