//! How a block request can fail: `blk_status_t` of `include/linux/blk_types.h`.

use std::borrow::Cow;

use sonde_common::event::block::ERRNO;

use crate::resource::Signal;

/// A way to fail.
#[derive(Debug)]
struct Status {
    /// `BLK_STS_*`, as the kernel names it.
    name: &'static str,
    /// In `use.errors`.
    signal: Signal,
    /// What `blk_status_to_errno` makes of it, which is all that older kernels tell.
    errno: i32,
}

macro_rules! statuses {
    ($($constant:ident = $name:literal, $signal:literal, $errno:ident, $help:literal;)+) => {
        $(static $constant: Status = Status {
            name: $name,
            signal: Signal { name: $signal, help: $help },
            errno: libc::$errno,
        };)+

        /// Their signals, for the reference.
        pub const SIGNALS: &[(&str, &Signal)] =
            &[$(("disk", &$constant.signal)),+, ("disk", &OTHER)];

        static ALL: &[&Status] = &[$(&$constant),+];
    };
}

statuses! {
    NOTSUPP = "NOTSUPP", "notsupp", EOPNOTSUPP, "Requests of a kind that the device doesn't know (tracepoint block_rq_complete, BLK_STS_NOTSUPP)";
    TIMEOUT = "TIMEOUT", "timeout", ETIMEDOUT, "Requests that the device didn't answer in time (BLK_STS_TIMEOUT)";
    NOSPC = "NOSPC", "nospc", ENOSPC, "Requests for which the device had no space, as with thin provisioning (BLK_STS_NOSPC)";
    TRANSPORT = "TRANSPORT", "transport", ENOLINK, "Requests lost on the way to the device (BLK_STS_TRANSPORT)";
    TARGET = "TARGET", "target", EREMOTEIO, "Requests that the device refused for good (BLK_STS_TARGET)";
    RESV_CONFLICT = "RESV_CONFLICT", "resv_conflict", EBADE, "Requests to a device that another host has reserved (BLK_STS_RESV_CONFLICT, BLK_STS_NEXUS before 6.4)";
    MEDIUM = "MEDIUM", "medium", ENODATA, "Requests for data that the medium has lost (BLK_STS_MEDIUM)";
    PROTECTION = "PROTECTION", "protection", EILSEQ, "Requests whose protection information was wrong (BLK_STS_PROTECTION)";
    RESOURCE = "RESOURCE", "resource", ENOMEM, "Requests for which the kernel had no memory or other means (BLK_STS_RESOURCE)";
    IOERR = "IOERR", "ioerr", EIO, "Requests that failed for any other reason (BLK_STS_IOERR)";
    DM_REQUEUE = "DM_REQUEUE", "dm_requeue", EREMCHG, "Requests that the device mapper will try again (BLK_STS_DM_REQUEUE)";
    AGAIN = "AGAIN", "again", EAGAIN, "Requests that would have had to wait and were not to (BLK_STS_AGAIN)";
    DEV_RESOURCE = "DEV_RESOURCE", "dev_resource", EBUSY, "Requests for which the device had no means (BLK_STS_DEV_RESOURCE)";
    ZONE_OPEN_RESOURCE = "ZONE_OPEN_RESOURCE", "zone_open_resource", ETOOMANYREFS, "Requests for which too many zones were open (BLK_STS_ZONE_OPEN_RESOURCE)";
    ZONE_ACTIVE_RESOURCE = "ZONE_ACTIVE_RESOURCE", "zone_active_resource", EOVERFLOW, "Requests for which too many zones were active (BLK_STS_ZONE_ACTIVE_RESOURCE)";
    OFFLINE = "OFFLINE", "offline", ENODEV, "Requests to a device that is offline (BLK_STS_OFFLINE, kernel 5.18)";
    DURATION_LIMIT = "DURATION_LIMIT", "duration_limit", ETIME, "Requests that took longer than they were to (BLK_STS_DURATION_LIMIT, kernel 6.5)";
    INVAL = "INVAL", "inval", EINVAL, "Requests that the device can't carry out as they are (BLK_STS_INVAL, kernel 6.13)";
}

static OTHER: Signal = Signal {
    name: "other_status",
    help: "Requests that failed with a status that has no name here",
};

/// Which number stands for which status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Kernels before 6.10, where 14 is `BLK_STS_ZONE_RESOURCE`, which never ends a request.
    WithZoneResource,
    /// Later ones.
    WithoutZoneResource,
}

impl Numbers {
    fn find(self, number: u32) -> Option<&'static Status> {
        let shifted = match (self, number) {
            (_, ..=13) | (Self::WithoutZoneResource, _) => number,
            (Self::WithZoneResource, 14) => return None,
            (Self::WithZoneResource, _) => number - 1,
        };
        match shifted {
            1..=17 => ALL.get(shifted as usize - 1).copied(),
            19 => Some(&INVAL),
            _ => None,
        }
    }

    fn status(self, raw: u32) -> Option<&'static Status> {
        if raw & ERRNO == 0 {
            return self.find(raw);
        }
        let errno = i32::try_from(raw & !ERRNO).ok()?;
        ALL.iter().copied().find(|status| status.errno == errno)
    }

    /// The value of `error.type` for what the kernel side told of a request that failed.
    #[must_use]
    pub fn name(self, raw: u32) -> Cow<'static, str> {
        match self.status(raw) {
            Some(status) => status.name.into(),
            None if raw & ERRNO == 0 => format!("status_{raw}").into(),
            None => crate::errno::label(raw & !ERRNO),
        }
    }

    /// The signal of `use.errors` that it counts in.
    #[must_use]
    pub fn signal(self, raw: u32) -> &'static Signal {
        self.status(raw).map_or(&OTHER, |status| &status.signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numberings_and_the_errno_name_the_same_failure() {
        let (old, new) = (Numbers::WithZoneResource, Numbers::WithoutZoneResource);
        for (old_number, new_number, errno, name) in [
            (1, 1, libc::EOPNOTSUPP, "NOTSUPP"),
            (3, 3, libc::ENOSPC, "NOSPC"),
            (7, 7, libc::ENODATA, "MEDIUM"),
            (10, 10, libc::EIO, "IOERR"),
            (15, 14, libc::ETOOMANYREFS, "ZONE_OPEN_RESOURCE"),
            (17, 16, libc::ENODEV, "OFFLINE"),
            (18, 17, libc::ETIME, "DURATION_LIMIT"),
        ] {
            let errno = ERRNO | errno.unsigned_abs();
            assert_eq!(old.name(old_number), name);
            assert_eq!(new.name(new_number), name);
            assert_eq!(old.name(errno), name);
            assert_eq!(old.signal(errno), new.signal(new_number));
        }
        assert_eq!(new.name(19), "INVAL");
    }

    #[test]
    fn what_has_no_name_is_told_by_number() {
        let new = Numbers::WithoutZoneResource;
        assert_eq!(new.name(200), "status_200");
        assert_eq!(new.signal(200).name, "other_status");
        assert_eq!(Numbers::WithZoneResource.name(14), "status_14");
        assert_eq!(new.name(ERRNO | 1), "EPERM");
        assert_eq!(new.name(ERRNO | 0xffff), "errno_65535");
    }
}
