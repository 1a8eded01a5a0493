//! Run-queue latency.

use super::{Family, Hook, tracepoint, with_types};

const LOST: &str = "no run-queue latency";

/// The family.
pub const FAMILY: Family = Family {
    name: "sched",
    help: "run-queue latency: how long runnable tasks wait for a CPU",
    hooks: &[
        Hook {
            name: "sched_wakeup",
            required: true,
            lost: LOST,
            any_of: &tracepoint(
                "sched_wakeup",
                "sched_wakeup",
                "sched_wakeup_raw",
                with_types,
            ),
        },
        Hook {
            name: "sched_wakeup_new",
            required: false,
            lost: "the first wait of new tasks is not counted",
            any_of: &tracepoint(
                "sched_wakeup_new",
                "sched_wakeup_new",
                "sched_wakeup_new_raw",
                with_types,
            ),
        },
        Hook {
            name: "sched_switch",
            required: true,
            lost: LOST,
            any_of: &tracepoint(
                "sched_switch",
                "sched_switch",
                "sched_switch_raw",
                with_types,
            ),
        },
    ],
    maps: &["RUN_QUEUE"],
};
