//! `struct sk_buff`, and the `struct net_device` that it came or goes through.

use sonde_common::{event::drop::NAME, field::Field};

use super::{Access, Packet, Structure, probe};

/// Inode numbers of namespaces begin here (`PROC_DYNAMIC_FIRST`, and some that are fixed below it).
const FIRST_NAMESPACE: u32 = 0xefff_0000;

/// A network interface.
pub(crate) struct Interface {
    /// Inode number of its network namespace.
    pub(crate) netns: u32,
    /// NUL-padded.
    pub(crate) name: [u8; NAME],
}

impl<A: Access> Packet<A> {
    /// The interface, where there is one for certain: sockets' queues use the place of the pointer
    /// for other things, so what it leads to has to look like an interface, and be the one that
    /// a packet which came in came through.
    #[inline(always)]
    pub(crate) fn interface(&self) -> Option<Interface> {
        const REGISTERED: u8 = 1;
        let device = Structure::<A>::new(self.0).follow(Field::SkbDev)?;
        let came_through: u32 = self.get(Field::SkbIif)?;
        let index: u32 = device.get(Field::DeviceIndex)?;
        let state: u8 = device.get(Field::DeviceState)?;
        if index == 0 || state != REGISTERED || (came_through != 0 && came_through != index) {
            return None;
        }
        let netns: u32 = device.follow(Field::DeviceNet)?.get(Field::NetInum)?;
        let name = probe(device.0, Field::DeviceName)?;
        (netns >= FIRST_NAMESPACE).then_some(Interface { netns, name })
    }
}
