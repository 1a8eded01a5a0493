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
    /// named as if they were direct members, and `[N]` is an element of an array.
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
    /// What it waited for a CPU so far, nanoseconds; there with `CONFIG_SCHED_INFO`.
    TaskRunDelay = "task_struct": "sched_info.run_delay";
    /// When it last got a CPU, on the scheduler's clock.
    TaskLastArrival = "task_struct": "sched_info.last_arrival";
    /// Since when it waits for a CPU, on the scheduler's clock; 0 when it doesn't.
    TaskLastQueued = "task_struct": "sched_info.last_queued";
    /// Its run queue of the fair class, whatever its own class; there with
    /// `CONFIG_FAIR_GROUP_SCHED`.
    TaskCfsRq = "task_struct": "se.cfs_rq";
    /// The run queue of the CPU.
    CfsRqRq = "cfs_rq": "rq";
    /// The scheduler's clock of that CPU.
    RqClock = "rq": "clock";
    /// What it ran so far, nanoseconds.
    TaskRuntime = "task_struct": "se.sum_exec_runtime";
    /// Of that in user mode, as the tick samples it.
    TaskUtime = "task_struct": "utime";
    /// Of that in the kernel, as the tick samples it.
    TaskStime = "task_struct": "stime";
    /// Page faults without I/O.
    TaskMinFlt = "task_struct": "min_flt";
    /// Page faults with I/O.
    TaskMajFlt = "task_struct": "maj_flt";
    /// Voluntary context switches.
    TaskNvcsw = "task_struct": "nvcsw";
    /// Involuntary context switches.
    TaskNivcsw = "task_struct": "nivcsw";
    /// Bytes read from storage; there with `CONFIG_TASK_IO_ACCOUNTING`.
    TaskReadBytes = "task_struct": "ioac.read_bytes";
    /// Bytes for storage.
    TaskWriteBytes = "task_struct": "ioac.write_bytes";
    /// Whether it has a CPU.
    TaskOnCpu = "task_struct": "on_cpu";
    /// Whether it sleeps and still stands in a CPU's queue (6.12).
    TaskSchedDelayed = "task_struct": "se.sched_delayed";
    /// `EXIT_*`; 0 while it lives.
    TaskExitState = "task_struct": "exit_state";
    /// `PF_*`
    TaskFlags = "task_struct": "flags";
    /// Bottom of its kernel stack.
    TaskStack = "task_struct": "stack";
    /// Start on the monotonic clock, nanoseconds.
    TaskStartTime = "task_struct": "start_time";
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
    /// Threads of the group that aren't reaped.
    SignalThreads = "signal_struct": "nr_threads";
    /// Most descriptors that the process may have open (`RLIMIT_NOFILE`).
    SignalDescriptorLimit = "signal_struct": "rlim[7].rlim_cur";
    /// Resident pages of files.
    MmFilePages = "mm_struct": "rss_stat[0].count" | "rss_stat.count[0].counter";
    /// Resident anonymous pages.
    MmAnonPages = "mm_struct": "rss_stat[1].count" | "rss_stat.count[1].counter";
    /// Resident pages of shared memory.
    MmShmemPages = "mm_struct": "rss_stat[3].count" | "rss_stat.count[3].counter";
    /// Pages of address space.
    MmTotalVm = "mm_struct": "total_vm";
    /// Start of the argument area.
    MmArgStart = "mm_struct": "arg_start";
    /// End of the argument area.
    MmArgEnd = "mm_struct": "arg_end";
    /// Path of the program as given to exec.
    BinprmFilename = "linux_binprm": "filename";
    /// Current file descriptor table.
    FilesFdt = "files_struct": "fdt";
    /// Its first files, until there are more.
    FilesFdArray = "files_struct": "fd_array";
    /// Size of the table.
    FdtableMaxFds = "fdtable": "max_fds";
    /// A bit for each descriptor that is open.
    FdtableOpenFds = "fdtable": "open_fds";
    /// Array of open files.
    FdtableFd = "fdtable": "fd";
    /// What can be done with the file.
    FileOp = "file": "f_op";
    /// The file's inode.
    FileInode = "file": "f_inode";
    /// For a socket, its `struct socket`.
    FilePrivateData = "file": "private_data";
    /// File type and mode.
    InodeMode = "inode": "i_mode";
    /// The file that a socket is open as.
    SocketFile = "socket": "file";
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
    /// What the socket had to drop.
    SockDrops = "sock": "sk_drops.counter";
    /// Inode number of a network namespace.
    NetInum = "net": "ns.inum";
    /// The interface of a packet; in sockets' queues something else.
    SkbDev = "sk_buff": "dev";
    /// Index of the interface that the packet came through; 0 for one that goes out.
    SkbIif = "sk_buff": "skb_iif";
    /// Index of an interface.
    DeviceIndex = "net_device": "ifindex";
    /// Its name.
    DeviceName = "net_device": "name";
    /// Its state; 1 is registered.
    DeviceState = "net_device": "reg_state";
    /// Its network namespace.
    DeviceNet = "net_device": "nd_net.net";
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
    /// Request: its disk before 5.17.
    RequestRqDisk = "request": "rq_disk";
    /// Request: its queue.
    RequestQueue = "request": "q";
    /// Operation and flags.
    RequestCmdFlags = "request": "cmd_flags";
    /// Bytes that are not done yet.
    RequestDataLen = "request": "__data_len";
    /// When it was made, `CLOCK_MONOTONIC` in nanoseconds.
    RequestStartTime = "request": "start_time_ns";
    /// Its first bio.
    RequestBio = "request": "bio";
    /// When the bio was submitted: nanoseconds, in bits 0-50 (`struct bio_issue` before 6.18).
    BioIssueTime = "bio": "issue_time_ns" | "bi_issue.value";
    /// Whom the bio is charged to.
    BioBlkg = "bio": "bi_blkg";
    /// The block cgroup of that.
    BlkgBlkcg = "blkcg_gq": "blkcg";
    /// Its cgroup.
    BlkcgCgroup = "blkcg": "css.cgroup";
    /// The hierarchy's root.
    CgroupRoot = "cgroup": "root";
    /// Number of the hierarchy; 0 for v2.
    CgroupRootHierarchy = "cgroup_root": "hierarchy_id";
    /// The queue's disk, since 5.17.
    QueueDisk = "request_queue": "disk";
    /// Major number.
    GendiskMajor = "gendisk": "major";
    /// First minor number.
    GendiskFirstMinor = "gendisk": "first_minor";
}

/// Number of fields.
pub const COUNT: usize = PATHS.len();
