//! Every way in which the kernel side can lose something, and its counter.

/// Declares [`Fault`]. A fault's documentation is also what the reference of metrics says of it, so
/// it stands in sentences and without links.
macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $fault:ident = $index:literal => $reason:literal, $class:ident;)+) => {
        /// Index into the per-CPU array of fault counters.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Fault { $($(#[doc = $doc])+ $fault = $index,)+ }

        impl Fault {
            /// All faults, in the order of their indexes.
            pub const ALL: [Self; Self::COUNT as usize] = [$(Self::$fault),+];

            /// Number of faults.
            #[expect(clippy::cast_possible_truncation, reason = "there are few")]
            pub const COUNT: u32 = [$($index),+].len() as u32;

            /// The value of the `reason` label, in the stage `kernel`.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$fault => $reason,)+ }
            }

            /// What it means, in a sentence or two.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$fault => concat!($($doc),+).trim_ascii(),)+ }
            }

            const fn class(self) -> Class {
                match self { $(Self::$fault => Class::$class,)+ }
            }

            /// Whether something that should have been told was lost. The others say why sonde
            /// looked away on purpose, and are told as `sonde_ignored_total`.
            #[must_use]
            pub const fn is_loss(self) -> bool {
                matches!(self.class(), Class::Lost)
            }
        }
    };
}

/// What a fault is.
enum Class {
    /// Something that should have been told was lost.
    Lost,
    /// Something was left alone on purpose.
    Ignored,
}

faults! {
    /// The ring buffer had no room for an HTTP record.
    RingHttp = 0 => "ring_full_http", Lost;
    /// The ring buffer had no room for a TCP record.
    RingTcp = 1 => "ring_full_tcp", Lost;
    /// The ring buffer had no room for a process record.
    RingProcess = 2 => "ring_full_process", Lost;
    /// No room in the system call count map: counted without an owner.
    SyscallMapFull = 3 => "syscall_map_full", Lost;
    /// No room in the system call duration map.
    SyscallDurationMapFull = 4 => "syscall_duration_map_full", Lost;
    /// Two threads shared a slot of the start-time table; the duration was not taken.
    SyscallStartCollision = 5 => "syscall_start_collision", Lost;
    /// No connection state could be allocated.
    ConnectionStateFull = 6 => "connection_state_full", Lost;
    /// A read's or write's bytes could not be read from the process's memory.
    PayloadUnreadable = 7 => "payload_unreadable", Lost;
    /// First bytes were no HTTP: the connection is left alone.
    NotHttp = 8 => "not_http", Ignored;
    /// The connection is encrypted, and by nothing that is read.
    Tls = 9 => "tls", Ignored;
    /// Bytes were read or written in a TLS session before its connection was known.
    TlsUnbound = 10 => "tls_unbound", Lost;
    /// Bytes moved in a way that no hook sees (splice out of a socket, `io_uring` before 6.3).
    UnseenBytes = 11 => "unseen_bytes", Lost;
    /// There was no room for a thread's state: what it slept for and its waits for a CPU are not known.
    ThreadStateFull = 12 => "thread_state_full", Lost;
    /// No room to follow a block request, or for a disk's latencies.
    BlockMapFull = 13 => "block_map_full", Lost;
    /// A reset was sent without a socket (to a port that nobody listens on): no owner.
    ResetWithoutSocket = 14 => "reset_without_socket", Ignored;
    /// A TLS call ended without memory to look at its bytes in, or within another one.
    TlsBusy = 15 => "tls_busy", Lost;
    /// The connection's first bytes moved through `io_uring`, where it isn't seen what they are.
    IoUring = 16 => "io_uring", Ignored;
    /// No room in the maps of block I/O by owner: the request counts in the disk's latencies and in no service.
    BlockUsageMapFull = 17 => "block_usage_map_full", Lost;
    /// No room to follow a listening socket: its accept queue is not told.
    ListenerMapFull = 18 => "listener_map_full", Lost;
    /// No room to count a dropped packet by its reason and interface.
    DropMapFull = 19 => "drop_map_full", Lost;
    /// The end of a block request was not seen: it counts in no latency and in no service.
    BlockEndUnseen = 20 => "block_end_unseen", Lost;
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn the_list_is_in_index_order() {
        for (index, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, index);
        }
    }
}
