//! `struct request` of the block layer, and the `struct bio` that it was made of.

use sonde_common::{
    event::block::{Operation, Owner},
    field::Field,
};

use super::{Access, Request, Structure, offset};

/// Bits of a bio's time: those above held its size, before 6.18.
const TIME: u64 = (1 << 51) - 1;

impl<A: Access> Request<A> {
    /// What it asks for.
    #[inline(always)]
    pub(crate) fn operation(&self) -> Operation {
        // `REQ_OP_*` of `include/linux/blk_types.h`; the flags are above the low 8 bits.
        let command: u32 = self.get(Field::RequestCmdFlags).unwrap_or(0);
        match command & 0xff {
            0 => Operation::Read,
            1 if self.bytes_left() == Some(0) => Operation::Flush,
            1 => Operation::Write,
            2 => Operation::Flush,
            3 | 5 | 9 => Operation::Discard,
            _ => Operation::Other,
        }
    }

    /// Bytes that aren't done; `None` where the kernel doesn't say.
    #[inline(always)]
    pub(crate) fn bytes_left(&self) -> Option<u32> {
        self.get(Field::RequestDataLen)
    }

    /// Device number: major in bits 20-31, minor below; 0 when there is no disk.
    #[inline(always)]
    pub(crate) fn device(&self) -> u32 {
        let disk = match offset(Field::RequestRqDisk) {
            Some(_) => self.follow(Field::RequestRqDisk),
            None => self
                .follow(Field::RequestQueue)
                .and_then(|queue| queue.follow(Field::QueueDisk)),
        };
        let Some(disk) = disk else {
            return 0;
        };
        let major: u32 = disk.get(Field::GendiskMajor).unwrap_or(0);
        let minor: u32 = disk.get(Field::GendiskFirstMinor).unwrap_or(0);
        (major << 20) | (minor & 0xf_ffff)
    }

    /// When its first bio was submitted, before it had to wait for a free request: before 6.18 every
    /// bio knows, since then those of disks with a latency target (`io.latency`).
    #[inline(always)]
    pub(crate) fn submitted(&self, now: u64) -> Option<u64> {
        let time: u64 = self.bio()?.get(Field::BioIssueTime)?;
        if time & TIME == 0 {
            return None;
        }
        let age = now.wrapping_sub(time) & TIME;
        // What is later than now seems to be almost a round of the clock old.
        (age < TIME / 2 && age < now).then(|| now - age)
    }

    /// When it was made, once it is on its way to the device.
    #[inline(always)]
    pub(crate) fn made(&self, now: u64) -> Option<u64> {
        let time: u64 = self.get(Field::RequestStartTime)?;
        (time != 0 && time < now).then_some(time)
    }

    /// The cgroup that its first bio is charged to.
    #[inline(always)]
    pub(crate) fn charged(&self) -> Owner {
        let cgroup = self
            .bio()
            .and_then(|bio| bio.follow(Field::BioBlkg))
            .and_then(|group| group.follow(Field::BlkgBlkcg))
            .and_then(|group| group.follow(Field::BlkcgCgroup));
        let Some(cgroup) = cgroup else {
            return Owner::KERNEL;
        };
        let node = cgroup.follow(Field::CgroupKn);
        let root = cgroup.follow(Field::CgroupRoot);
        Owner {
            tgid: 0,
            hierarchy: root
                .and_then(|root| root.get(Field::CgroupRootHierarchy))
                .unwrap_or(0),
            cgroup: node
                .and_then(|node| node.get(Field::KernfsNodeId))
                .unwrap_or(0),
        }
    }

    #[inline(always)]
    fn bio(&self) -> Option<Structure<A>> {
        self.follow(Field::RequestBio)
    }

    #[inline(always)]
    fn follow(&self, field: Field) -> Option<Structure<A>> {
        Structure::new(self.0).follow(field)
    }
}
