//! `struct request` of the block layer.

use sonde_common::field::Field;

use super::{Access, Request, offset, probe};

impl<A: Access> Request<A> {
    /// Operation and flags.
    #[inline(always)]
    pub(crate) fn command(&self) -> u32 {
        self.get(Field::RequestCmdFlags).unwrap_or(0)
    }

    /// Device number: major in bits 20-31, minor below; 0 when there is no disk.
    #[inline(always)]
    pub(crate) fn device(&self) -> u32 {
        let disk = match offset(Field::RequestRqDisk) {
            Some(_) => self.get::<*const u8>(Field::RequestRqDisk),
            None => self
                .get::<*const u8>(Field::RequestQueue)
                .and_then(|queue| probe::<*const u8>(queue, Field::QueueDisk)),
        };
        let Some(disk) = disk.filter(|disk| !disk.is_null()) else {
            return 0;
        };
        let major: u32 = probe(disk, Field::GendiskMajor).unwrap_or(0);
        let minor: u32 = probe(disk, Field::GendiskFirstMinor).unwrap_or(0);
        (major << 20) | (minor & 0xf_ffff)
    }
}
