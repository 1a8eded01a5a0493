//! How far the programs are from what the verifier takes.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

use anyhow::{Context as _, Result, ensure};
use sonde::{
    kernel::{attach::Programs, feature::Kernel},
    probe::{FAMILIES, sched},
};
use sonde_tests::bpf::helper_calls;

use crate::{
    harness::{Skipped, Test},
    observed::{Observed, settings},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "programs::each_is_half_of_what_the_verifier_takes_or_less",
        run: each_is_half_of_what_the_verifier_takes_or_less,
    },
    Test {
        name: "programs::files_are_read_without_helpers_at_a_switch",
        run: files_are_read_without_helpers_at_a_switch,
    },
];

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

/// Pointers can be cast from 6.2 on: two reads by helpers are gone, of the file and of its operations.
fn files_are_read_without_helpers_at_a_switch(observed: &mut Observed) -> Result<()> {
    let now = observed.mode.kernel();
    if !now.is_at_least(6, 2) {
        return Err(Skipped("the kernel can't cast pointers before 6.2".to_owned()).into());
    }
    let mut before = observed.mode.kernel();
    "6.1.0".clone_into(&mut before.release);
    let calls = |kernel: &Kernel| -> Result<_> {
        let programs = Programs::attach(kernel, &[&sched::FAMILY], &settings())?;
        let mut loaded = programs.loaded();
        let program = loaded.find(|(name, _)| *name == sched::SWITCH);
        Ok(helper_calls(program.context("it is not loaded")?.1)?)
    };
    let (cast, helped) = (calls(&now)?, calls(&before)?);
    ensure!(
        cast + 2 <= helped,
        "{cast} calls of helpers, {helped} before"
    );
    Ok(())
}
