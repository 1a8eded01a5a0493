//! Names of system calls.

use std::borrow::Cow;

use syscalls::Sysno;

/// The name of a system call of this machine's own ABI, as the kernel's tables spell it;
/// `unknown_N` for a number that those do not know.
///
/// A 32-bit program on a 64-bit kernel has numbers of its own, which can't be told from these.
#[must_use]
pub fn name(number: u32) -> Cow<'static, str> {
    usize::try_from(number)
        .ok()
        .and_then(Sysno::new)
        .map_or_else(
            || format!("unknown_{number}").into(),
            |call| Cow::Borrowed(call.name()),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libcs_numbers_have_the_libcs_names() {
        for (number, expected) in [
            (libc::SYS_read, "read"),
            (libc::SYS_write, "write"),
            (libc::SYS_openat, "openat"),
            (libc::SYS_getppid, "getppid"),
            (libc::SYS_newfstatat, "newfstatat"),
            (libc::SYS_pread64, "pread64"),
            (libc::SYS_clone3, "clone3"),
            (libc::SYS_futex, "futex"),
            (libc::SYS_io_uring_enter, "io_uring_enter"),
            (libc::SYS_mseal, "mseal"),
        ] {
            assert_eq!(name(u32::try_from(number).unwrap()), expected);
        }
    }

    #[test]
    fn unknown_numbers_keep_their_number() {
        assert_eq!(name(9_999), "unknown_9999");
        assert_eq!(name(u32::MAX), "unknown_4294967295");
    }
}
