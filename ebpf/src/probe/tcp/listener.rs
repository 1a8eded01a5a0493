//! Sockets that listen, of all network namespaces, and their accept queues.
//!
//! They are noted when they begin to listen; those that did before are found among the open files of
//! all processes, once. What they have in their queues is read when a snapshot is made.

use aya_ebpf::{bindings::BPF_NOEXIST, macros::map, maps::HashMap};
use sonde_common::{
    event::tcp::{AcceptQueue, LISTENERS, Listener},
    fault::Fault,
};

use super::iterator::{Element, TaskFile};
use crate::{
    current::is_self,
    emit::fault,
    kernel::{Access, Direct, File, Probed, Sock, Task, socket_of_file},
    seq,
};

/// By the socket's address.
#[map]
static TCP_LISTENERS: HashMap<u64, Listener> = HashMap::with_max_entries(LISTENERS, 0);

/// A socket listens from now on.
#[inline(always)]
pub(super) fn begins<A: Access>(sk: &Sock<A>, now: u64, tgid: u32) {
    if is_self(tgid) {
        return;
    }
    let listener = sk.listener(now, tgid);
    if TCP_LISTENERS.insert(&(sk.0 as u64), &listener, 0).is_err() {
        fault(Fault::ListenerMapFull);
    }
}

/// A socket listens no longer.
#[inline(always)]
pub(super) fn ends<A: Access>(sk: &Sock<A>) {
    let _ = TCP_LISTENERS.remove(&(sk.0 as u64));
}

/// Notes the sockets that listen already, by the first process that has each open.
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
extern "C" fn tcp_file_sweep(ctx: *const TaskFile) -> i32 {
    const EEXIST: i32 = -17;
    // SAFETY: the kernel's context of this program type; null members are checked.
    let (task, file) = unsafe { ((*ctx).task, (*ctx).file) };
    if task.is_null() || file.is_null() {
        return 0;
    }
    let Some(sk) = socket_of_file(&File::<Direct>::new(file)) else {
        return 0;
    };
    if !sk.is_listening() || !sk.is_tcp() {
        return 0;
    }
    let tgid = Task::<Direct>::new(task).tgid();
    if is_self(tgid) {
        return 0;
    }
    let listener = sk.listener(0, tgid);
    let inserted = TCP_LISTENERS.insert(&(sk.0 as u64), &listener, BPF_NOEXIST.into());
    if inserted.is_err_and(|error| error != EEXIST) {
        fault(Fault::ListenerMapFull);
    }
    0
}

/// Writes the queue of each of them to the reader of the iterator.
#[unsafe(link_section = "iter/bpf_map_elem")]
#[unsafe(no_mangle)]
extern "C" fn tcp_listener_sweep(ctx: *const Element) -> i32 {
    // SAFETY: the kernel's context of this program type; null members are checked. Volatile, as
    // other CPUs write to the value.
    unsafe {
        let (key, value) = ((*ctx).key.cast::<u64>(), (*ctx).value.cast::<Listener>());
        if key.is_null() || value.is_null() {
            return 0;
        }
        let (socket, listener) = (key.read_volatile(), value.read_volatile());
        let sk = Sock::<Probed>::new(socket as *const u8);
        // Where the end wasn't told, the memory may be another's by now.
        let here = sk.listener(listener.since, listener.tgid);
        if !sk.is_listening() || here.port != listener.port || here.netns != listener.netns {
            return 0;
        }
        let Some([length, limit, drops]) = sk.accept_queue() else {
            return 0;
        };
        let queue = AcceptQueue {
            listener,
            socket,
            length,
            limit,
            drops,
            pad: 0,
        };
        seq::write((*ctx).meta, &queue);
    }
    0
}
