//! The host as a whole: files, clock, identity.

use crate::node_exporter::row::{Collector, Pair, Row};

macro_rules! clock {
    ($metric:literal) => {
        &[Pair::of("clock", $metric)]
    };
}

const IDENTITY: &str = "identity: `os_*` and `host_*` of `target_info`, and of the OTLP Resource";

pub(super) const COLLECTORS: &[Collector] = &[
    Collector {
        name: "filefd",
        rows: &[
            Row::moving(
                "node_filefd_allocated",
                &[Pair::of("file_descriptors", "system_file_descriptor_open")],
                "",
            ),
            Row::stable(
                "node_filefd_maximum",
                &[Pair::of("file_descriptors", "system_file_descriptor_limit")],
                "",
            ),
        ],
    },
    Collector {
        name: "timex",
        rows: &[
            Row::stable(
                "node_timex_sync_status",
                clock!("system_clock_synchronized"),
                "",
            ),
            Row::moving(
                "node_timex_offset_seconds",
                clock!("system_clock_offset_seconds"),
                "",
            ),
            Row::moving(
                "node_timex_maxerror_seconds",
                clock!("system_clock_error_max_seconds"),
                "",
            ),
            Row::moving(
                "node_timex_estimated_error_seconds",
                clock!("system_clock_error_estimated_seconds"),
                "",
            ),
            Row::no(
                "node_timex_*",
                "how the daemon steers the clock (frequency, tick, TAI, pulses per second): its own tool tells it, `chronyc tracking` or `ntpq -c rv`",
            ),
        ],
    },
    Collector {
        name: "time",
        rows: &[
            Row::no(
                "node_time_seconds",
                "samples have a time of their own; `sonde_resource_last_read_timestamp_seconds` tells how fresh each resource is",
            ),
            Row::no("node_time_zone_offset_seconds", "a setting"),
            Row::other(
                "node_time_clocksource_current_info",
                &["system_clock_source"],
                "`source`",
            ),
            Row::no(
                "node_time_clocksource_available_info",
                "what else there is: a constant",
            ),
        ],
    },
    Collector {
        name: "entropy",
        rows: &[Row::no(
            "node_entropy_*",
            "256 ever since 5.18, and nobody waits for it since 5.6 once the host is up",
        )],
    },
    Collector {
        name: "uname",
        rows: &[Row::no("node_uname_info", IDENTITY)],
    },
    Collector {
        name: "os",
        rows: &[Row::no("node_os_*", IDENTITY)],
    },
    Collector {
        name: "dmi",
        rows: &[Row::no(
            "node_dmi_info",
            "serial numbers and the like: identity, no measurement",
        )],
    },
    Collector {
        name: "selinux",
        rows: &[Row::no("node_selinux_*", "a setting")],
    },
    Collector {
        name: "textfile",
        rows: &[Row::no(
            "node_textfile_*",
            "files of other programs' metrics: an OpenTelemetry collector reads those",
        )],
    },
    Collector {
        name: "(itself)",
        rows: &[
            Row::other("node_exporter_build_info", &["sonde_build_info"], ""),
            Row::other(
                "node_scrape_collector_duration_seconds",
                &["sonde_resource_duration_seconds"],
                "of the last snapshot, not of the scrape",
            ),
            Row::other(
                "node_scrape_collector_success",
                &["sonde_resource_up"],
                "absent where the host hasn't got the resource (theirs is 0)",
            ),
        ],
    },
];
