//! What every host has: CPUs, memory, disks, interfaces and the kernel's tables.

use std::fmt::Write as _;

use super::{Moment, Tree};

/// A host's size. Its CPUs take turns in being 20, 40, 60 and 80 % busy.
pub(super) struct Machine {
    pub(super) cpus: u64,
    pub(super) memory_kib: u64,
    pub(super) disks: &'static [&'static str],
    /// Names and Mbit/s; a veth, bridge or loopback has none.
    pub(super) interfaces: &'static [(&'static str, Option<u64>)],
    pub(super) pressure: bool,
    pub(super) swap: bool,
    pub(super) conntrack: bool,
}

impl Machine {
    pub(super) fn add(&self, tree: &mut Tree, moment: Moment) {
        self.cpus(tree, moment);
        self.memory(tree, moment);
        self.disks(tree, moment);
        self.interfaces(tree, moment);
        network_stack(tree, moment);
        self.tables(tree, moment);
        if self.pressure {
            pressure(tree, moment);
        }
    }

    fn cpus(&self, tree: &mut Tree, moment: Moment) {
        let mut stat = String::new();
        let mut schedstat = "version 17\ntimestamp 4295123456\n".to_owned();
        let mut interrupts = "           CPU0       CPU1\n MCE:".to_owned();
        let mut softnet = String::new();
        let mut sum = [0; 10];
        for cpu in 0..self.cpus {
            let busy = cpu % 4 + 1;
            let ticks = [
                moment.count(100_000 + cpu, 150 * busy),
                10,
                moment.count(40_000, 50 * busy),
                moment.count(9_000_000, 1000 - 200 * busy),
                500,
                0,
                20,
                0,
                0,
                0,
            ];
            for (sum, ticks) in sum.iter_mut().zip(ticks) {
                *sum += ticks;
            }
            let line = |name: &str, ticks: [u64; 10]| {
                let fields = ticks.map(|ticks| ticks.to_string()).join(" ");
                format!("{name} {fields}\n")
            };
            stat += &line(&format!("cpu{cpu}"), ticks);
            let ran = moment.count(5_000_000_000_000, 2_000_000_000 * busy);
            let waited = moment.count(800_000_000_000, 1_000_000_000 * busy);
            let slices = moment.count(9_000_000, 1000);
            writeln!(schedstat, "cpu{cpu} 0 0 0 0 0 0 {ran} {waited} {slices}").expect("a String");
            interrupts += "          0";
            let received = moment.count(0x1000, 0x100);
            let dropped_squeezed = "00000000 00000001";
            let rest = "00000000 ".repeat(9);
            writeln!(
                softnet,
                "{received:08x} {dropped_squeezed} {rest}{cpu:08x} 00000000 00000000"
            )
            .expect("a String");
            let sysfs = format!("sys/devices/system/cpu/cpu{cpu}");
            tree.file(format!("{sysfs}/cpufreq/scaling_cur_freq"), 2_000_000 + cpu);
            tree.file(format!("{sysfs}/thermal_throttle/core_throttle_count"), 0);
        }
        let all = sum.map(|ticks| ticks.to_string()).join(" ");
        let forks = moment.count(500_000, 300);
        let rest = format!(
            "intr 0\nctxt 73344200\nbtime 1790000000\nprocesses {forks}\nprocs_running 3\n\
             procs_blocked 0\nsoftirq 0 0"
        );
        tree.file("proc/stat", format!("cpu  {all}\n{stat}{rest}"));
        tree.file("proc/schedstat", schedstat);
        tree.file(
            "proc/interrupts",
            format!("{interrupts}   Machine check exceptions"),
        );
        tree.file("proc/net/softnet_stat", softnet);
    }

    fn memory(&self, tree: &mut Tree, moment: Moment) {
        let total = self.memory_kib;
        let swap = if self.swap { 4_194_304 } else { 0 };
        let half = total / 2;
        let (quarter, eighth) = (total / 4, total / 8);
        tree.file(
            "proc/meminfo",
            format!(
                "MemTotal: {total} kB\nMemFree: {quarter} kB\nMemAvailable: {half} kB\n\
                 Buffers: 1024 kB\nCached: {eighth} kB\nSwapCached: 0 kB\nSwapTotal: {swap} kB\n\
                 SwapFree: {swap} kB\nShmem: 2048 kB\nSReclaimable: 4096 kB\nSUnreclaim: 8192 kB"
            ),
        );
        tree.file(
            "proc/vmstat",
            format!(
                "pswpin 0\npswpout 0\nallocstall_normal 0\nallocstall_movable {}\npgfault {}\n\
                 pgmajfault {}\noom_kill 1",
                moment.count(10, 20),
                moment.count(1_000_000, 50_000),
                moment.count(3_000, 100)
            ),
        );
        let swaps = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        let device = if self.swap {
            "/dev/sda2 partition\t4194304\t\t0\t\t-2\n"
        } else {
            ""
        };
        tree.file("proc/swaps", format!("{swaps}{device}"));
    }

    /// Each is busy half the time, with 100 reads of 4 KiB a second.
    fn disks(&self, tree: &mut Tree, moment: Moment) {
        let mut text = String::new();
        for (index, name) in self.disks.iter().enumerate() {
            let (major, minor) = match name.get(..2) {
                Some("vd") => (254, index * 16),
                Some("nv") => (259, index),
                _ => (8, index * 16),
            };
            let reads = moment.count(10_000, 1_000);
            let sectors = moment.count(80_000, 8_000);
            let waited = moment.count(20_000, 4_000);
            let busy = moment.count(50_000, 5_000);
            writeln!(
                text,
                " {major:3} {minor:7} {name} {reads} 0 {sectors} {waited} 0 0 0 0 2 {busy} {waited} \
                 0 0 0 0 0 0"
            )
            .expect("a String");
            tree.file(format!("sys/block/{name}/size"), 7_814_037_168_u64);
        }
        tree.file("proc/diskstats", text);
    }

    /// Each receives 125 MB in ten seconds: a tenth of 1 Gbit/s.
    fn interfaces(&self, tree: &mut Tree, moment: Moment) {
        let mut text =
            "Inter-|   Receive  |  Transmit\n face |bytes packets |bytes packets\n".to_owned();
        for (name, speed) in self.interfaces {
            let received = moment.count(1_000_000_000, 125_000_000);
            let sent = moment.count(500_000_000, 1_000_000);
            let dropped = moment.count(5, 10);
            writeln!(
                text,
                "{name}: {received} 900000 0 {dropped} 0 0 0 0 {sent} 800000 0 0 0 0 0 0"
            )
            .expect("a String");
            let Some(speed) = speed else { continue };
            let directory = format!("sys/class/net/{name}");
            tree.file(format!("{directory}/speed"), speed);
            tree.file(format!("{directory}/duplex"), "full");
            tree.file(format!("{directory}/carrier"), 1);
            tree.file(format!("{directory}/carrier_changes"), 3);
            tree.file(format!("{directory}/carrier_down_count"), 1);
            tree.file(format!("{directory}/mtu"), 9000);
            if name.starts_with("bond") {
                tree.file(format!("{directory}/bonding/mode"), "802.3ad 4");
                self.bond(tree, &directory);
            } else {
                tree.file(format!("{directory}/device/vendor"), "0x15b3");
            }
        }
        tree.file("proc/net/dev", text);
    }

    /// All other interfaces with a link are in it.
    fn bond(&self, tree: &mut Tree, directory: &str) {
        let is_member = |name: &&str| !name.starts_with("bond");
        let with_link = self.interfaces.iter().filter(|(_, speed)| speed.is_some());
        let members: Vec<_> = with_link.map(|(name, _)| *name).filter(is_member).collect();
        tree.file(format!("{directory}/bonding/slaves"), members.join(" "));
        for (failures, member) in members.iter().enumerate() {
            let directory = format!("sys/class/net/{member}/bonding_slave");
            tree.file(format!("{directory}/mii_status"), "up");
            tree.file(format!("{directory}/link_failure_count"), failures);
        }
    }

    fn tables(&self, tree: &mut Tree, moment: Moment) {
        tree.file(
            "proc/uptime",
            format!("{}.25 900.00", moment.count(86_400, 10)),
        );
        tree.file("proc/loadavg", "3.10 2.05 1.69 3/800 174560");
        tree.file("proc/sys/fs/file-nr", "8192\t0\t1048576");
        tree.file("proc/sys/kernel/pid_max", 4_194_304);
        tree.file("proc/sys/kernel/threads-max", 2_000);
        tree.file(
            "proc/self/mountinfo",
            "25 1 254:1 / / rw - ext4 /dev/vda1 rw",
        );
        for (pid, name, state) in [
            (1, "systemd", 'S'),
            (2, "kthreadd", 'S'),
            (77, "app (a) b", 'R'),
        ] {
            tree.file(
                format!("proc/{pid}/stat"),
                format!("{pid} ({name}) {state} 0 1 1 0 -1"),
            );
        }
        if self.conntrack {
            let directory = "proc/sys/net/netfilter";
            tree.file(format!("{directory}/nf_conntrack_count"), 65_536);
            tree.file(format!("{directory}/nf_conntrack_max"), 262_144);
            tree.file(
                "proc/net/stat/nf_conntrack",
                "entries insert_failed drop early_drop\n00010000 00000001 0000000a 00000002",
            );
        }
    }
}

fn network_stack(tree: &mut Tree, moment: Moment) {
    let sent = moment.count(1_000_000, 20_000);
    let received = moment.count(900_000, 15_000);
    let again = moment.count(5_000, 100);
    tree.file(
        "proc/net/snmp",
        format!(
            "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams \
             InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout \
             ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates\n\
             Ip: 1 64 {received} 0 0 0 0 0 {received} {sent} 0 3 0 0 0 0 0 0 0\n\
             Icmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InRedirects OutMsgs \
             OutErrors OutDestUnreachs OutTimeExcds\n\
             Icmp: 90 1 0 60 4 0 88 0 55 0\n\
             Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails \
             EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n\
             Tcp: 1 200 120000 -1 100 200 3 4 50 900000 {sent} {again} 0 7 0\n\
             Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\n\
             Udp: 1000 2 0 900 0 0"
        ),
    );
    let overflows = moment.count(4, 30);
    tree.file(
        "proc/net/netstat",
        format!(
            "TcpExt: PruneCalled RcvPruned OfoPruned ListenOverflows ListenDrops TCPBacklogDrop\n\
             TcpExt: 0 0 0 {overflows} {overflows} 0\n\
             IpExt: InNoRoutes InOctets OutOctets\n\
             IpExt: 0 {} {}",
            moment.count(1_000_000_000, 125_000_000),
            moment.count(500_000_000, 1_000_000)
        ),
    );
    tree.file(
        "proc/net/sockstat",
        "sockets: used 924\nTCP: inuse 340 orphan 12 tw 80 alloc 400 mem 1000\nUDP: inuse 6 mem 2",
    );
    tree.file("proc/sys/net/ipv4/tcp_mem", "25000\t50000\t100000");
    tree.file("proc/sys/net/ipv4/tcp_max_orphans", 65_536);
}

/// CPU 1.0 s, memory 0.2 s and I/O 0.5 s in ten seconds.
fn pressure(tree: &mut Tree, moment: Moment) {
    for (name, growth) in [("cpu", 1_000_000), ("memory", 200_000), ("io", 500_000)] {
        let some = moment.count(30_000_000, growth);
        let full = moment.count(10_000_000, growth / 2);
        tree.file(
            format!("proc/pressure/{name}"),
            format!(
                "some avg10=0.00 avg60=0.00 avg300=0.00 total={some}\n\
                 full avg10=0.00 avg60=0.00 avg300=0.00 total={full}"
            ),
        );
    }
}
