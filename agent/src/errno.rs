//! Names of error numbers, as `error.type` carries them.

use std::borrow::Cow;

use syscalls::Errno;

/// The symbol of a Linux error number (`include/uapi/asm-generic/errno.h`, which x86-64 and arm64
/// share), `None` for a number that has none.
///
/// Numbers from 512 on (`include/linux/errno.h`) only pass between the kernel and its signal
/// code: the caller of a system call never sees them, a hook at its exit does.
#[must_use]
pub fn name(errno: u32) -> Option<&'static str> {
    Errno::new(i32::try_from(errno).ok()?).name()
}

/// [`name`], or `errno_N` for a number without one.
#[must_use]
pub fn label(errno: u32) -> Cow<'static, str> {
    name(errno).map_or_else(|| format!("errno_{errno}").into(), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_the_generic_table_has_its_own_name() {
        let names: std::collections::BTreeSet<_> = (1..=133).filter_map(name).collect();
        // 41 and 58 are EWOULDBLOCK's and EDEADLOCK's old places.
        assert_eq!(names.len(), 131);
        assert_eq!((name(41), name(58)), (None, None));
    }

    #[test]
    fn well_known_numbers() {
        for (number, expected) in [
            (1, "EPERM"),
            (2, "ENOENT"),
            (11, "EAGAIN"),
            (35, "EDEADLK"),
            (104, "ECONNRESET"),
            (110, "ETIMEDOUT"),
            (111, "ECONNREFUSED"),
            (113, "EHOSTUNREACH"),
            (133, "EHWPOISON"),
            (512, "ERESTARTSYS"),
        ] {
            assert_eq!(name(number), Some(expected));
        }
    }

    #[test]
    fn unknown_numbers_keep_their_number() {
        assert_eq!(label(4000), "errno_4000");
        assert_eq!(label(u32::MAX), "errno_4294967295");
        assert_eq!(label(0), "errno_0");
    }
}
