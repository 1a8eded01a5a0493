//! What the maps cost.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _, RawFd},
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::Map;
use sonde::{
    kernel::attach::{Programs, Settings},
    probe::FAMILIES,
};
use sonde_common::event::connection::TABLE_ENTRIES;

use crate::{
    harness::Test,
    observed::{Observed, settings},
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "maps::they_take_less_than_their_share_of_memory",
    run: they_take_less_than_their_share_of_memory,
}];

/// With the agent's own ring; the maps are allocated when they are made.
fn they_take_less_than_their_share_of_memory(observed: &mut Observed) -> Result<()> {
    const SHARE: u64 = 34 << 20;
    let settings = Settings {
        ring_bytes: 8 << 20,
        ..settings()
    };
    let programs = Programs::attach(&observed.mode.kernel(), FAMILIES, &settings)?;
    let mut all = 0;
    for (name, map) in programs.ebpf().maps() {
        let (descriptor, entries) = descriptor(map).with_context(|| name.to_owned())?;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}"))?;
        let bytes = info.lines().find_map(|line| line.strip_prefix("memlock:"));
        let bytes: u64 = bytes.context("no memlock")?.trim().parse()?;
        if bytes > 1 << 20 {
            println!("    {name}: {} KiB, {entries} entries", bytes >> 10);
        }
        if name == "CONNECTION_TABLE" {
            let expected = if observed.mode.kernel().has_socket_tracepoints() {
                1
            } else {
                TABLE_ENTRIES
            };
            ensure!(entries == expected, "{name}: {entries} entries");
        }
        all += bytes;
    }
    ensure!(all < SHARE, "{all} bytes");
    Ok(())
}

/// Its number, and how many entries it has room for.
fn descriptor(map: &Map) -> Result<(RawFd, u32)> {
    let (Map::Array(data)
    | Map::HashMap(data)
    | Map::LruHashMap(data)
    | Map::PerCpuArray(data)
    | Map::PerCpuHashMap(data)
    | Map::ProgramArray(data)
    | Map::Queue(data)
    | Map::RingBuf(data)
    | Map::SkStorage(data)
    // Storage on tasks.
    | Map::Unsupported(data)) = map
    else {
        bail!("a map of another type");
    };
    Ok((data.fd().as_fd().as_raw_fd(), data.info()?.max_entries()))
}
