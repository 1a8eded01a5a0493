//! Typed getters of kernel structures: the only module that knows offsets.
//!
//! A program attached as `tp_btf` may load through the kernel's typed pointers ([`Direct`]); one
//! attached as `raw_tp` must ask a helper to read ([`Probed`]). Programs are written once over
//! [`Access`] and instantiated for both.

use core::marker::PhantomData;

use aya_ebpf::helpers::{
    bpf_probe_read_kernel,
    generated::{self, bpf_get_socket_cookie, bpf_skc_to_tcp_sock},
};
use sonde_common::field::{self, Field};

mod cast;
mod file;
mod packet;
mod process;
mod request;
mod sock;
mod task;

pub(crate) use self::{file::socket_of_file, sock::waited, task::binprm_filename};

/// Byte offsets by [`Field`], resolved by the agent in the running kernel's BTF.
#[unsafe(no_mangle)]
static OFFSETS: [u32; field::COUNT] = [field::ABSENT; field::COUNT];

/// Offset of a field; the verifier knows it as a constant and prunes what depends on it.
#[inline(always)]
fn offset(field: Field) -> Option<usize> {
    // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
    let offset = unsafe { core::ptr::read_volatile(&raw const OFFSETS[field as usize]) };
    (offset != field::ABSENT).then_some(offset as usize)
}

/// How kernel memory is read.
pub(crate) trait Access {
    /// Reads a `T` at `base + offset`; `None` when the memory can't be read.
    unsafe fn load<T: Copy>(base: *const u8, offset: usize) -> Option<T>;

    /// The `struct tcp_sock` that starts with this `struct sock`, to be read in the same way.
    unsafe fn tcp_sock(sk: *const u8) -> *const u8;

    /// The number of this `struct sock` that no other one gets (`skc_cookie`); 0 where it can't be
    /// asked for.
    unsafe fn cookie(sk: *const u8) -> u64;
}

/// Loads through the verifier's typed pointers (`tp_btf`); faults read as zero.
pub(crate) enum Direct {}

/// Reads with `bpf_probe_read_kernel` (`raw_tp`, or pointers that the verifier has no type for).
pub(crate) enum Probed {}

impl Access for Direct {
    #[inline(always)]
    unsafe fn load<T: Copy>(base: *const u8, offset: usize) -> Option<T> {
        // SAFETY: the verifier checks type, offset and size of this load. Volatile, so that the
        // compiler neither widens nor moves it.
        Some(unsafe { base.add(offset).cast::<T>().read_volatile() })
    }

    /// The verifier wants to see the cast done by a helper (kernel 5.9).
    #[inline(always)]
    unsafe fn tcp_sock(sk: *const u8) -> *const u8 {
        // SAFETY: the verifier checks the socket pointer.
        unsafe { bpf_skc_to_tcp_sock(sk.cast_mut().cast()) }
            .cast_const()
            .cast()
    }

    /// In programs of this type since kernel 5.12.
    #[inline(always)]
    unsafe fn cookie(sk: *const u8) -> u64 {
        // SAFETY: the verifier checks the socket pointer.
        unsafe { bpf_get_socket_cookie(sk.cast_mut().cast()) }
    }
}

impl Access for Probed {
    #[inline(always)]
    unsafe fn load<T: Copy>(base: *const u8, offset: usize) -> Option<T> {
        // SAFETY: the helper checks the address.
        unsafe { bpf_probe_read_kernel(base.wrapping_add(offset).cast::<T>()) }.ok()
    }

    #[inline(always)]
    unsafe fn tcp_sock(sk: *const u8) -> *const u8 {
        sk
    }

    #[inline(always)]
    unsafe fn cookie(_: *const u8) -> u64 {
        0
    }
}

macro_rules! object {
    ($($(#[$doc:meta])* $name:ident;)+) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name<A>(pub(crate) *const u8, PhantomData<A>);

            impl<A: Access> $name<A> {
                /// Wraps a pointer that the kernel gave.
                #[inline(always)]
                pub(crate) fn new(pointer: *const u8) -> Self {
                    Self(pointer, PhantomData)
                }

                #[inline(always)]
                fn get<T: Copy>(&self, field: Field) -> Option<T> {
                    let offset = offset(field)?;
                    // SAFETY: the offset is that of `field` in this kernel's own description.
                    unsafe { A::load(self.0, offset) }
                }
            }
        )+
    };
}

object! {
    /// `struct task_struct`
    Task;
    /// `struct sock`
    Sock;
    /// `struct tcp_sock`, which starts with its `struct sock`
    Tcp;
    /// `struct request` of the block layer
    Request;
    /// `struct files_struct`
    Files;
    /// `struct file`
    File;
    /// `struct fdtable`
    Descriptors;
    /// `struct signal_struct`: what the threads of a process share
    Signal;
    /// `struct mm_struct`
    Memory;
    /// `struct sk_buff`
    Packet;
    /// Any other, on the way to one of its members
    Structure;
}

impl<A: Access> Structure<A> {
    /// The structure that a member points at, if there is one.
    #[inline(always)]
    fn follow(&self, field: Field) -> Option<Self> {
        let pointer: *const u8 = self.get(field)?;
        (!pointer.is_null()).then(|| Self::new(pointer))
    }
}

/// Reads a field through a pointer that the verifier has no type for.
#[inline(always)]
fn probe<T: Copy>(base: *const u8, field: Field) -> Option<T> {
    let offset = offset(field)?;
    // SAFETY: the helper checks the address.
    unsafe { Probed::load(base, offset) }
}

/// The same without a branch: 0 where nothing can be read.
#[inline(always)]
fn probe_or_zero<T: Copy + Default>(base: *const u8, field: Field) -> T {
    let mut value = T::default();
    if let Some(offset) = offset(field) {
        // SAFETY: the helper checks the address, and writes zeros when it can't read.
        unsafe {
            generated::bpf_probe_read_kernel(
                (&raw mut value).cast(),
                size_of::<T>() as u32,
                base.wrapping_add(offset).cast(),
            );
        }
    }
    value
}

#[inline(always)]
fn probe_pointer(base: *const u8, field: Field) -> Option<*const u8> {
    let pointer: *const u8 = probe(base, field)?;
    (!pointer.is_null()).then_some(pointer)
}
