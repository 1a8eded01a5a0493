//! Names of block devices.

use std::{fs, path::PathBuf};

use sonde_common::event::block::{LatencyKey, Operation};

use crate::metric::Attributes;

/// Attributes of a device's latency: `system.device` and `disk.io.direction`.
pub(super) fn attributes(key: LatencyKey) -> Attributes {
    let direction = match key.operation {
        operation if operation == Operation::Read as u32 => "read",
        operation if operation == Operation::Write as u32 => "write",
        operation if operation == Operation::Flush as u32 => "flush",
        operation if operation == Operation::Discard as u32 => "discard",
        _ => "other",
    };
    Attributes::from([
        ("disk.io.direction", direction.into()),
        ("system.device", name(key.device).into()),
    ])
}

/// The device's name in /sys/dev/block, else its numbers.
fn name(device: u32) -> String {
    let numbers = format!("{}:{}", device >> 20, device & 0xf_ffff);
    let link = PathBuf::from("/sys/dev/block").join(&numbers);
    fs::read_link(link)
        .ok()
        .and_then(|target| Some(target.file_name()?.to_str()?.to_owned()))
        .unwrap_or(numbers)
}
