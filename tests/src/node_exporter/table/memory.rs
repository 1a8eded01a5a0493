//! Memory and swap.

use crate::node_exporter::row::{Collector, Pair, Row};

macro_rules! kind {
    ($kind:literal) => {
        &[Pair::of("memory", "system_memory_linux_detail_bytes").ours(&[("kind", $kind)])]
    };
}

macro_rules! state {
    ($state:literal) => {
        &[
            Pair::of("memory", "system_memory_usage_bytes")
                .ours(&[("system_memory_state", $state)]),
        ]
    };
}

macro_rules! whole {
    ($metric:literal) => {
        &[Pair::of("memory", $metric)]
    };
}

macro_rules! slab {
    ($state:literal) => {
        &[Pair::of("memory", "system_memory_linux_slab_usage_bytes")
            .ours(&[("system_memory_linux_slab_state", $state)])]
    };
}

const HUGE: &str = "in pages; absent where the pool is empty";

pub(super) const COLLECTORS: &[Collector] = &[
    Collector {
        name: "meminfo",
        rows: &[
            Row::stable(
                "node_memory_MemTotal_bytes",
                whole!("system_memory_limit_bytes"),
                "",
            ),
            Row::moving("node_memory_MemFree_bytes", state!("free"), ""),
            Row::moving(
                "node_memory_MemAvailable_bytes",
                whole!("system_memory_linux_available_bytes"),
                "",
            ),
            Row::moving("node_memory_Buffers_bytes", state!("buffers"), ""),
            Row::moving(
                "node_memory_Cached_bytes",
                state!("cached"),
                "with `SReclaimable`, as free(1) has it",
            ),
            Row::moving(
                "node_memory_Shmem_bytes",
                whole!("system_memory_linux_shared_bytes"),
                "",
            ),
            Row::moving("node_memory_SReclaimable_bytes", slab!("reclaimable"), ""),
            Row::moving("node_memory_SUnreclaim_bytes", slab!("unreclaimable"), ""),
            Row::moving(
                "node_memory_Slab_bytes",
                whole!("system_memory_linux_slab_usage_bytes"),
                "the sum of both states",
            ),
            Row::no(
                "node_memory_KReclaimable_bytes",
                "`SReclaimable` and little else",
            ),
            Row::moving("node_memory_Active_anon_bytes", kind!("Active(anon)"), ""),
            Row::moving("node_memory_Active_file_bytes", kind!("Active(file)"), ""),
            Row::moving(
                "node_memory_Inactive_anon_bytes",
                kind!("Inactive(anon)"),
                "",
            ),
            Row::moving(
                "node_memory_Inactive_file_bytes",
                kind!("Inactive(file)"),
                "",
            ),
            Row::no("node_memory_Active_bytes", "the sum of the two kinds"),
            Row::no("node_memory_Inactive_bytes", "the sum of the two kinds"),
            Row::moving("node_memory_AnonPages_bytes", kind!("AnonPages"), ""),
            Row::moving(
                "node_memory_AnonHugePages_bytes",
                kind!("AnonHugePages"),
                "",
            ),
            Row::moving(
                "node_memory_FileHugePages_bytes",
                kind!("FileHugePages"),
                "",
            ),
            Row::moving(
                "node_memory_ShmemHugePages_bytes",
                kind!("ShmemHugePages"),
                "",
            ),
            Row::no(
                "node_memory_FilePmdMapped_bytes",
                "how much of `FileHugePages` is mapped whole",
            ),
            Row::no(
                "node_memory_ShmemPmdMapped_bytes",
                "how much of `ShmemHugePages` is mapped whole",
            ),
            Row::moving("node_memory_Mapped_bytes", kind!("Mapped"), ""),
            Row::moving("node_memory_Mlocked_bytes", kind!("Mlocked"), ""),
            Row::moving("node_memory_Unevictable_bytes", kind!("Unevictable"), ""),
            Row::moving("node_memory_Dirty_bytes", kind!("Dirty"), ""),
            Row::moving("node_memory_Writeback_bytes", kind!("Writeback"), ""),
            Row::moving("node_memory_KernelStack_bytes", kind!("KernelStack"), ""),
            Row::moving("node_memory_PageTables_bytes", kind!("PageTables"), ""),
            Row::moving(
                "node_memory_SecPageTables_bytes",
                kind!("SecPageTables"),
                "",
            ),
            Row::moving("node_memory_Percpu_bytes", kind!("Percpu"), ""),
            Row::moving("node_memory_VmallocUsed_bytes", kind!("VmallocUsed"), ""),
            Row::stable("node_memory_CommitLimit_bytes", kind!("CommitLimit"), ""),
            Row::moving("node_memory_Committed_AS_bytes", kind!("Committed_AS"), ""),
            Row::moving("node_memory_SwapCached_bytes", kind!("SwapCached"), ""),
            Row::moving("node_memory_Zswap_bytes", kind!("Zswap"), ""),
            Row::moving("node_memory_Zswapped_bytes", kind!("Zswapped"), ""),
            Row::stable("node_memory_Balloon_bytes", kind!("Balloon"), ""),
            Row::stable(
                "node_memory_HardwareCorrupted_bytes",
                kind!("HardwareCorrupted"),
                "",
            ),
            Row::stable("node_memory_Hugetlb_bytes", kind!("Hugetlb"), ""),
            Row::other(
                "node_memory_HugePages_Total",
                &["system_memory_linux_hugepages_limit"],
                HUGE,
            ),
            Row::other(
                "node_memory_HugePages_Free",
                &["system_memory_linux_hugepages_usage"],
                HUGE,
            ),
            Row::other(
                "node_memory_HugePages_Rsvd",
                &["system_memory_linux_hugepages_reserved"],
                HUGE,
            ),
            Row::other(
                "node_memory_HugePages_Surp",
                &["system_memory_linux_hugepages_surplus"],
                HUGE,
            ),
            Row::other(
                "node_memory_Hugepagesize_bytes",
                &["system_memory_linux_hugepages_page_size_bytes"],
                "absent where the pool is empty",
            ),
            Row::other(
                "node_memory_SwapTotal_bytes",
                &["system_paging_usage_bytes"],
                "of each device of `/proc/swaps`, used and free; absent without swap",
            ),
            Row::other(
                "node_memory_SwapFree_bytes",
                &["system_paging_usage_bytes"],
                "of each device of `/proc/swaps`, used and free; absent without swap",
            ),
            Row::no(
                "node_memory_Vmalloc*",
                "address space rather than memory, and 0 since 4.4",
            ),
            Row::no(
                "node_memory_DirectMap*",
                "how the kernel maps memory, not what uses it",
            ),
            Row::no("node_memory_NFS_Unstable_bytes", "0 since 5.9"),
            Row::no("node_memory_Bounce_bytes", "0 on 64-bit hosts"),
            Row::no(
                "node_memory_WritebackTmp_bytes",
                "copies that FUSE made of dirty pages, which it no longer does",
            ),
            Row::no(
                "node_memory_Cma*",
                "of small devices with contiguous memory set aside",
            ),
        ],
    },
    Collector {
        name: "vmstat",
        rows: &[
            Row::counter(
                "node_vmstat_pgfault",
                whole!("system_paging_faults_total"),
                "major and minor ones apart",
            ),
            Row::counter(
                "node_vmstat_pgmajfault",
                &[Pair::of("memory", "system_paging_faults_total")
                    .ours(&[("system_paging_fault_type", "major")])],
                "",
            ),
            Row::counter(
                "node_vmstat_oom_kill",
                whole!("system_memory_linux_oom_kills_total"),
                "and the victims, by service, as `process_exits_total` and log records",
            ),
            Row::other(
                "node_vmstat_pswpin",
                &["system_paging_operations_total"],
                "absent without swap",
            ),
            Row::other(
                "node_vmstat_pswpout",
                &["system_paging_operations_total"],
                "absent without swap",
            ),
            Row::other(
                "node_vmstat_pgpgin",
                &["system_disk_io_bytes_total"],
                "KiB of all block devices together, a stacked one's again; ours are by disk",
            ),
            Row::other(
                "node_vmstat_pgpgout",
                &["system_disk_io_bytes_total"],
                "KiB of all block devices together, a stacked one's again; ours are by disk",
            ),
        ],
    },
    Collector {
        name: "edac",
        rows: &[
            Row::other(
                "node_edac_correctable_errors_total",
                &["use_errors_total"],
                "`signal=\"ecc_corrected\"`",
            ),
            Row::other(
                "node_edac_uncorrectable_errors_total",
                &["use_errors_total"],
                "`signal=\"ecc_uncorrected\"`",
            ),
            Row::no(
                "node_edac_csrow_*",
                "by controller only; which module it is, edac-util(1) and the log say",
            ),
        ],
    },
];
