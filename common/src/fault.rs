//! Every way in which the kernel side can lose something, and its counter.

/// Index into the per-CPU array of fault counters.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The ring buffer had no room for an HTTP record.
    RingHttp = 0,
    /// The ring buffer had no room for a TCP record.
    RingTcp = 1,
    /// The ring buffer had no room for a process record.
    RingProcess = 2,
    /// No room in the system call count map: counted without an owner.
    SyscallMapFull = 3,
    /// No room in the system call duration map.
    SyscallDurationMapFull = 4,
    /// Two threads shared a slot of the start-time table; the duration was not taken.
    SyscallStartCollision = 5,
    /// No connection state could be allocated.
    ConnectionStateFull = 6,
    /// A read's or write's bytes could not be read from the process's memory.
    PayloadUnreadable = 7,
    /// First bytes were no HTTP: the connection is left alone.
    NotHttp = 8,
    /// First bytes were a TLS record.
    Tls = 9,
    /// First bytes were the HTTP/2 preface.
    Http2 = 10,
    /// Bytes moved in a way that no hook sees (splice out of a socket, `io_uring` before 6.3).
    UnseenBytes = 11,
    /// Two tasks shared a slot of the wake-up table; the run-queue delay was not taken.
    RunQueueCollision = 12,
    /// No room for a block request's start.
    BlockMapFull = 13,
    /// A reset was sent without a socket (to a port that nobody listens on): no owner.
    ResetWithoutSocket = 14,
}

impl Fault {
    /// All faults, in the order of their indexes.
    pub const ALL: [Self; 15] = [
        Self::RingHttp,
        Self::RingTcp,
        Self::RingProcess,
        Self::SyscallMapFull,
        Self::SyscallDurationMapFull,
        Self::SyscallStartCollision,
        Self::ConnectionStateFull,
        Self::PayloadUnreadable,
        Self::NotHttp,
        Self::Tls,
        Self::Http2,
        Self::UnseenBytes,
        Self::RunQueueCollision,
        Self::BlockMapFull,
        Self::ResetWithoutSocket,
    ];

    /// The `reason` label of `sonde_dropped_total{stage="kernel"}`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::RingHttp => "ring_full_http",
            Self::RingTcp => "ring_full_tcp",
            Self::RingProcess => "ring_full_process",
            Self::SyscallMapFull => "syscall_map_full",
            Self::SyscallDurationMapFull => "syscall_duration_map_full",
            Self::SyscallStartCollision => "syscall_start_collision",
            Self::ConnectionStateFull => "connection_state_full",
            Self::PayloadUnreadable => "payload_unreadable",
            Self::NotHttp => "not_http",
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::UnseenBytes => "unseen_bytes",
            Self::RunQueueCollision => "run_queue_collision",
            Self::BlockMapFull => "block_map_full",
            Self::ResetWithoutSocket => "reset_without_socket",
        }
    }

    /// Whether something that should have been told was lost. The others say why sonde
    /// looked away on purpose, and are told as `sonde_ignored_total`.
    #[must_use]
    pub const fn is_loss(self) -> bool {
        !matches!(
            self,
            Self::NotHttp | Self::Tls | Self::Http2 | Self::ResetWithoutSocket
        )
    }
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
