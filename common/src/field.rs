//! The kernel fields that the programs read, as BTF member paths.
//!
//! rustc emits no CO-RE relocations, so the agent resolves these in the running kernel's BTF and
//! sets the offsets as a load-time constant; see `agent/src/kernel/btf.rs`.

/// Offset of a field that this kernel doesn't have.
pub const ABSENT: u32 = u32::MAX;

/// One field and where to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The structure that the offset counts from.
    pub structure: &'static str,
    /// Member paths, newest kernel's name first; members of anonymous unions and structs are
    /// named as if they were direct members.
    pub members: &'static [&'static str],
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $structure:literal : $($member:literal)|+;)+) => {
        /// Index into the table of offsets.
        #[repr(usize)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field {
            $($(#[$doc])* $name,)+
        }

        /// Where each [`Field`] is found, by its index.
        pub const PATHS: &[Path] = &[
            $(Path { structure: $structure, members: &[$($member),+] },)+
        ];
    };
}

fields! {
    /// Thread id.
    TaskPid = "task_struct": "pid";
    /// Thread group id.
    TaskTgid = "task_struct": "tgid";
    /// Start time that survives a suspend, nanoseconds.
    TaskStartBoottime = "task_struct": "start_boottime" | "real_start_time";
    /// Thread group leader.
    TaskGroupLeader = "task_struct": "group_leader";
    /// Parent process.
    TaskRealParent = "task_struct": "real_parent";
    /// Wait status of a dead task.
    TaskExitCode = "task_struct": "exit_code";
    /// Command name.
    TaskComm = "task_struct": "comm";
    /// Address space.
    TaskMm = "task_struct": "mm";
    /// Open files.
    TaskFiles = "task_struct": "files";
    /// What the thread group shares.
    TaskSignal = "task_struct": "signal";
    /// Scheduler state; 0 is runnable.
    TaskState = "task_struct": "__state" | "state";
    /// Credentials.
    TaskCred = "task_struct": "cred";
    /// cgroup membership.
    TaskCgroups = "task_struct": "cgroups";
    /// User id.
    CredUid = "cred": "uid.val";
    /// The task's cgroup in the v2 hierarchy.
    CssSetDefaultCgroup = "css_set": "dfl_cgrp";
    /// Its kernfs node.
    CgroupKn = "cgroup": "kn";
    /// The node's id, which is the directory's inode number.
    KernfsNodeId = "kernfs_node": "id";
    /// Live threads of the group.
    SignalLive = "signal_struct": "live.counter";
    /// Exit status when the whole group was told to end.
    SignalGroupExitCode = "signal_struct": "group_exit_code";
    /// Start of the argument area.
    MmArgStart = "mm_struct": "arg_start";
    /// End of the argument area.
    MmArgEnd = "mm_struct": "arg_end";
    /// Path of the program as given to exec.
    BinprmFilename = "linux_binprm": "filename";
    /// Current file descriptor table.
    FilesFdt = "files_struct": "fdt";
    /// Size of the table.
    FdtableMaxFds = "fdtable": "max_fds";
    /// Array of open files.
    FdtableFd = "fdtable": "fd";
    /// The file's inode.
    FileInode = "file": "f_inode";
    /// For a socket, its `struct socket`.
    FilePrivateData = "file": "private_data";
    /// File type and mode.
    InodeMode = "inode": "i_mode";
    /// The socket's `struct sock`.
    SocketSk = "socket": "sk";
    /// Address family.
    SockFamily = "sock": "__sk_common.skc_family";
    /// TCP state.
    SockState = "sock": "__sk_common.skc_state";
    /// Remote port, network byte order.
    SockDport = "sock": "__sk_common.skc_dport";
    /// Local port, host byte order.
    SockNum = "sock": "__sk_common.skc_num";
    /// Local port, network byte order: it outlives the other one, which is given back first.
    InetSport = "inet_sock": "inet_sport";
    /// Remote IPv4 address.
    SockDaddr = "sock": "__sk_common.skc_daddr";
    /// Local IPv4 address.
    SockRcvSaddr = "sock": "__sk_common.skc_rcv_saddr";
    /// Remote IPv6 address.
    SockV6Daddr = "sock": "__sk_common.skc_v6_daddr";
    /// Local IPv6 address.
    SockV6RcvSaddr = "sock": "__sk_common.skc_v6_rcv_saddr";
    /// Number of the socket, once it was asked for; no other gets it.
    SockCookie = "sock": "__sk_common.skc_cookie.counter";
    /// Network namespace.
    SockNet = "sock": "__sk_common.skc_net.net";
    /// `SOCK_*` flags.
    SockFlags = "sock": "__sk_common.skc_flags";
    /// Pending error.
    SockErr = "sock": "sk_err";
    /// Writers that wait for room.
    SockWritePending = "sock": "sk_write_pending";
    /// Protocol; a bit field of `u8`/`u16` size before 5.6.
    SockProtocol = "sock": "sk_protocol";
    /// Socket type.
    SockType = "sock": "sk_type";
    /// Which sides have been shut.
    SockShutdown = "sock": "sk_shutdown";
    /// Length of the accept queue of a listener.
    SockAckBacklog = "sock": "sk_ack_backlog";
    /// Its limit.
    SockMaxAckBacklog = "sock": "sk_max_ack_backlog";
    /// Inode number of a network namespace.
    NetInum = "net": "ns.inum";
    /// Smoothed round-trip time, 8 x microseconds.
    TcpSrttUs = "tcp_sock": "srtt_us";
    /// Next sequence number that user space has not read yet.
    TcpCopiedSeq = "tcp_sock": "copied_seq";
    /// Next sequence number that is expected.
    TcpRcvNxt = "tcp_sock": "rcv_nxt";
    /// When a packet last came or went, `CLOCK_MONOTONIC` in microseconds.
    TcpMstamp = "tcp_sock": "tcp_mstamp";
    /// When data last came, in the low 32 bits of jiffies.
    IcskLrcvtime = "inet_connection_sock": "icsk_ack.lrcvtime";
    /// Payload bytes sent, those sent again included.
    TcpBytesSent = "tcp_sock": "bytes_sent";
    /// Payload bytes sent again.
    TcpBytesRetrans = "tcp_sock": "bytes_retrans";
    /// Bytes received in order, the FIN included.
    TcpBytesReceived = "tcp_sock": "bytes_received";
    /// Segments sent again in the connection's life.
    TcpTotalRetrans = "tcp_sock": "total_retrans";
    /// Type of the iterator.
    MsgIterType = "msghdr": "msg_iter.iter_type";
    /// Request: its block device part (`struct block_device`, since 5.11 and 5.17).
    RequestPart = "request": "part";
    /// Request: its disk before 5.17.
    RequestRqDisk = "request": "rq_disk";
    /// Request: its queue.
    RequestQueue = "request": "q";
    /// Operation and flags.
    RequestCmdFlags = "request": "cmd_flags";
    /// The queue's disk, since 5.17.
    QueueDisk = "request_queue": "disk";
    /// Major number.
    GendiskMajor = "gendisk": "major";
    /// First minor number.
    GendiskFirstMinor = "gendisk": "first_minor";
}

/// Number of fields.
pub const COUNT: usize = PATHS.len();
