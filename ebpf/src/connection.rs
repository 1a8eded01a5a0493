//! Where connection states live.
//!
//! [`Storage`] keeps them on the socket (`BPF_MAP_TYPE_SK_STORAGE`): found by one pointer, freed
//! with the socket, never stale. It needs `tp_btf` programs and the socket tracepoints (kernel 6.3),
//! so older kernels use [`Table`], a hash keyed by the socket's address. All programs that are
//! attached at one time use the same one.

use aya_ebpf::{
    btf_maps::SkStorage,
    helpers::{
        bpf_get_smp_processor_id,
        generated::{bpf_sk_storage_delete, bpf_sk_storage_get},
    },
    macros::{btf_map, map},
    maps::{HashMap, LruHashMap, PerCpuArray},
};
use sonde_common::{
    event::{
        connection::{Connection, Endpoint, Progress, Stream, TABLE_ENTRIES, body, verdict},
        http::Tuple,
        tcp::{Info, Role},
        tls::state,
    },
    fault::Fault,
};

use crate::{
    atomic,
    emit::fault,
    kernel::{Access, Direct, Probed, Sock},
};

/// States on the sockets.
#[btf_map]
static CONNECTIONS: SkStorage<Connection> = SkStorage::new();

/// States by socket address. Allocated beforehand, for kernels before 6.1 warn of a tracing program
/// that has its map allocate; the agent makes it small where it isn't used.
#[map]
static CONNECTION_TABLE: HashMap<u64, Connection> = HashMap::with_max_entries(TABLE_ENTRIES, 0);

/// Ids given out so far by each CPU: the low part of an id.
#[map]
static SEQUENCE: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// How many programs are taking an id of [`Table`] on this CPU: one, and what interrupts it.
#[map]
static NESTING: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// The agent's own endpoints, by which the other end on the same host is recognised.
#[map]
static OWN: LruHashMap<Endpoint, u8> = LruHashMap::with_max_entries(1024, 0);

const BPF_SK_STORAGE_GET_F_CREATE: u64 = 1;

/// A store of connection states, with the way to read kernel memory that goes with it.
pub(crate) trait Store {
    /// How programs over this store read kernel memory.
    type Access: Access;

    /// The state of a socket, if it has one.
    fn find(sk: &Sock<Self::Access>) -> Option<*mut Connection>;
    /// The state of a socket, made if it has none; the new one is all zero.
    fn find_or_create(sk: &Sock<Self::Access>) -> Option<*mut Connection>;
    /// Forgets a socket that is closed.
    fn remove(sk: &Sock<Self::Access>);
    /// A number that no other connection gets while the programs are loaded; 0 when there is none.
    fn next_id() -> u64;
}

/// States on the sockets.
pub(crate) enum Storage {}

/// States in a hash keyed by the socket's address.
pub(crate) enum Table {}

/// A stream of which nothing was seen.
pub(crate) const NO_STREAM: Stream = Stream {
    tcp: Info::UNKNOWN,
    connection: 0,
    offset: [0; 2],
    end: [0; 2],
    first: [0; 2],
    budget: [0; 2],
    untold: [0; 2],
    framing: [0; 2],
    first_length: [0; 2],
    data: [0; 2],
    verdict: verdict::UNDECIDED,
    announced: 0,
    late: 0,
    tls: 0,
    turns: 0,
    last_direction: 0,
    body: [body::UNKNOWN; 2],
    message: [0; 2],
    told: 0,
};

/// Addresses that aren't known.
pub(crate) const NO_TUPLE: Tuple = Tuple {
    local: [0; 16],
    remote: [0; 16],
    local_port: 0,
    remote_port: 0,
    netns: 0,
};

static EMPTY: Connection = Connection {
    stream: NO_STREAM,
    opened: 0,
    connect_start: 0,
    connect_duration: 0,
    closed: 0,
    copied_seq: 0,
    tgid: 0,
    role: Role::Unknown as u8,
    own: 0,
    tls: state::UNKNOWN,
    reset: 0,
    copied_seq_known: 0,
    pad: [0; 3],
    progress: Progress {
        bytes_sent: 0,
        bytes_received: 0,
        srtt: 0,
        retransmits: 0,
    },
    tuple: NO_TUPLE,
};

impl Storage {
    #[inline(always)]
    fn get(sk: &Sock<Direct>, flags: u64) -> *mut Connection {
        // SAFETY: the map lives as long as the program; the verifier checks the socket pointer.
        unsafe {
            bpf_sk_storage_get(
                (&raw const CONNECTIONS).cast_mut().cast(),
                sk.0.cast_mut().cast(),
                core::ptr::null_mut(),
                flags,
            )
        }
        .cast()
    }
}

impl Store for Storage {
    type Access = Direct;

    #[inline(always)]
    fn find(sk: &Sock<Direct>) -> Option<*mut Connection> {
        let state = Self::get(sk, 0);
        (!state.is_null()).then_some(state)
    }

    #[inline(always)]
    fn find_or_create(sk: &Sock<Direct>) -> Option<*mut Connection> {
        let state = Self::get(sk, BPF_SK_STORAGE_GET_F_CREATE);
        if state.is_null() {
            fault(Fault::ConnectionStateFull);
            return None;
        }
        Some(state)
    }

    #[inline(always)]
    fn remove(sk: &Sock<Direct>) {
        // SAFETY: as in `get`.
        unsafe {
            bpf_sk_storage_delete(
                (&raw const CONNECTIONS).cast_mut().cast(),
                sk.0.cast_mut().cast(),
            );
        }
    }

    /// Programs may be interrupted between any two instructions, and preempted since 7.0.
    #[inline(always)]
    fn next_id() -> u64 {
        let Some(sequence) = SEQUENCE.get_ptr_mut(0) else {
            return 0;
        };
        // SAFETY: a live map value.
        let before = unsafe { atomic::fetch_add(sequence, 1) };
        id(0, before + 1)
    }
}

impl Store for Table {
    type Access = Probed;

    #[inline(always)]
    fn find(sk: &Sock<Probed>) -> Option<*mut Connection> {
        CONNECTION_TABLE.get_ptr_mut(&(sk.0 as u64))
    }

    #[inline(always)]
    fn find_or_create(sk: &Sock<Probed>) -> Option<*mut Connection> {
        let key = sk.0 as u64;
        if let Some(state) = CONNECTION_TABLE.get_ptr_mut(&key) {
            return Some(state);
        }
        if CONNECTION_TABLE.insert(&key, &EMPTY, 0).is_err() {
            fault(Fault::ConnectionStateFull);
            return None;
        }
        CONNECTION_TABLE.get_ptr_mut(&key)
    }

    #[inline(always)]
    fn remove(sk: &Sock<Probed>) {
        let _ = CONNECTION_TABLE.remove(&(sk.0 as u64));
    }

    /// Without an addition that tells what was there, which takes kernel 5.12. Here programs can be
    /// interrupted but not preempted: what interrupts one has ended when that goes on. So no two
    /// that are under way on a CPU read the same depth, and what one reads of the counter is more
    /// than any other read at the same depth before.
    #[inline(always)]
    fn next_id() -> u64 {
        let (Some(nesting), Some(sequence)) = (NESTING.get_ptr_mut(0), SEQUENCE.get_ptr_mut(0))
        else {
            return 0;
        };
        // SAFETY: live map values. Volatile, because others change them.
        let (depth, count) = unsafe {
            atomic::add(nesting, 1);
            let depth = nesting.read_volatile();
            atomic::add(sequence, 1);
            let count = sequence.read_volatile();
            atomic::add(nesting, u64::MAX);
            (depth, count)
        };
        // A task, a softirq, an interrupt and an NMI: it can't be deeper.
        if depth > 4 {
            return 0;
        }
        id(depth - 1, count)
    }
}

/// CPU, depth of nesting (two bits) and count.
#[inline(always)]
fn id(depth: u64, count: u64) -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    (u64::from(cpu) << 48) | (depth << 46) | count
}

/// Starts the state of a connection over.
#[inline(always)]
pub(crate) fn reset(state: &mut Connection, id: u64) {
    *state = EMPTY;
    state.stream.connection = id;
}

/// Notes what the connection has done, for a reader that can't ask the socket.
#[inline(always)]
pub(crate) fn note_progress(sk: &Sock<Probed>, state: &mut Connection) {
    if state.tuple.local_port == 0 {
        state.tuple = sk.tuple();
    }
    state.progress = Progress {
        bytes_sent: sk.bytes_sent(),
        bytes_received: sk.bytes_received(),
        srtt: sk.srtt(),
        retransmits: sk.retransmits(),
    };
}

/// The agent's listener on the socket's port.
#[inline(always)]
pub(crate) fn listener(tuple: &Tuple) -> Endpoint {
    Endpoint {
        netns: tuple.netns,
        port: tuple.local_port,
        peer: 0,
    }
}

/// The agent's end of a connection that it opened.
#[inline(always)]
pub(crate) fn opened(tuple: &Tuple) -> Endpoint {
    Endpoint {
        peer: tuple.remote_port,
        ..listener(tuple)
    }
}

/// Remembers an endpoint of the agent.
#[inline(always)]
pub(crate) fn remember_own(endpoint: &Endpoint) {
    let _ = OWN.insert(endpoint, &1, 0);
}

/// Forgets an endpoint of the agent: another process may have the port next.
#[inline(always)]
pub(crate) fn forget_own(endpoint: &Endpoint) {
    let _ = OWN.remove(endpoint);
}

/// Whether this connection was accepted from one of the agent's listeners.
#[inline(always)]
pub(crate) fn is_accepted_by_own(tuple: &Tuple) -> bool {
    // SAFETY: the values are never written in place.
    unsafe { OWN.get(&listener(tuple)).is_some() }
}

/// Whether the other end of this connection is the agent, on this host.
#[inline(always)]
pub(crate) fn peer_is_own(tuple: &Tuple) -> bool {
    let listener = Endpoint {
        netns: tuple.netns,
        port: tuple.remote_port,
        peer: 0,
    };
    let opened = Endpoint {
        peer: tuple.local_port,
        ..listener
    };
    // The same port on another host is another agent: only same-address traffic is our own.
    tuple.local == tuple.remote
        // SAFETY: the values are never written in place.
        && unsafe { OWN.get(&listener).is_some() || OWN.get(&opened).is_some() }
}
