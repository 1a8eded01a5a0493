//! How far the programs are from what the verifier takes.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

use anyhow::{Result, ensure};
use sonde::{kernel::attach::Programs, probe::FAMILIES};

use crate::{
    harness::{Skipped, Test},
    observed::{Observed, settings},
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "programs::each_is_half_of_what_the_verifier_takes_or_less",
    run: each_is_half_of_what_the_verifier_takes_or_less,
}];

/// Another kernel, or another compiler, may follow twice as many paths through a program.
fn each_is_half_of_what_the_verifier_takes_or_less(observed: &mut Observed) -> Result<()> {
    /// `BPF_COMPLEXITY_LIMIT_INSNS`
    const LIMIT: u64 = 1_000_000;
    let mut programs = Programs::attach(&observed.mode.kernel(), FAMILIES, &settings())?;
    let uprobes = programs.take_uprobes();
    let uprobes = uprobes.iter().flat_map(|uprobes| &uprobes.descriptors);
    let uprobes = uprobes.map(|(name, descriptor)| (*name, descriptor.as_fd()));
    let mut counted = Vec::new();
    for (name, program) in programs.loaded().chain(uprobes) {
        counted.extend(followed(program)?.map(|count| (count, name.to_owned())));
    }
    if counted.is_empty() {
        return Err(Skipped("the kernel doesn't tell before 5.16".to_owned()).into());
    }
    counted.sort_unstable();
    counted.dedup();
    for (count, name) in counted.iter().rev().take(4) {
        println!("    {name}: {count}");
    }
    let over: Vec<_> = counted
        .iter()
        .filter(|(count, _)| *count > LIMIT / 2)
        .collect();
    ensure!(over.is_empty(), "{over:?}");
    Ok(())
}

/// Instructions that the verifier has followed of a program, each as often as it came by.
fn followed(program: BorrowedFd<'_>) -> Result<Option<u64>> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd()))?;
    let count = info
        .lines()
        .find_map(|line| line.strip_prefix("verified_insns:"));
    Ok(count.map(|count| count.trim().parse()).transpose()?)
}
