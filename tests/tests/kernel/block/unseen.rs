//! Requests whose end no program saw.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use sonde::kernel::map;
use sonde_common::{
    event::block::{Operation, Pending},
    fault::Fault,
};

use super::{REQUESTS, disk::Disk, pending, settle, usage_of};
use crate::{
    child::Child,
    harness::{Test, Untold},
    observed::Observed,
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "block::unseen::what_is_still_there_when_its_address_has_another_is_lost",
    run: what_is_still_there_when_its_address_has_another_is_lost,
}];

/// Threads, and what each of them writes and reads: more than a disk has requests to give, so that
/// all of those have their turn.
const WORK: [&str; 2] = ["8", "200"];

/// How often they may have to: a disk may give out a part of its requests for a while.
const TURNS: u32 = 10;

/// Ends that were seen are made unseen: the requests are put back.
fn what_is_still_there_when_its_address_has_another_is_lost(observed: &mut Observed) -> Result<()> {
    let disk = Disk::new()?;
    let device = disk.number()?;
    let arguments = [disk.argument()?, WORK[0], WORK[1]];
    let mut seen = BTreeMap::new();
    let mut child = Child::start("parallel-io", &arguments)?;
    while child.ended()?.is_none() {
        let at_device = pending(observed, device)?.into_iter();
        seen.extend(at_device.filter(|(_, pending)| pending.issued != 0));
        observed.drain();
    }
    settle(observed, &disk)?;
    ensure!(!seen.is_empty(), "no request was seen under way");

    let lost = observed.faults(Fault::BlockEndUnseen)?;
    map::insert(observed.programs.ebpf_mut(), REQUESTS, seen.clone())?;
    let (before, mut told, mut left) = (disk.counted()?, 0, seen.clone());
    for _ in 0..TURNS {
        let tgid = observed.run("parallel-io", &arguments)?;
        told += usage_of(observed, device, Operation::Read, tgid)?.operations;
        left = pending(observed, device)?;
        if left != seen {
            break;
        }
    }
    map::remove::<u64, Pending>(observed.programs.ebpf_mut(), REQUESTS, left.keys().copied())?;

    let put_back = |(address, pending): &(&u64, &Pending)| seen.get(address) == Some(pending);
    let unmet = left.iter().filter(put_back).count();
    let met = (seen.len() - unmet) as u64;
    let lost = observed.faults(Fault::BlockEndUnseen)? - lost;
    ensure!(met > 0, "none of {} addresses was used again", seen.len());
    ensure!(lost >= met, "{lost} of {met} are counted");
    if lost > met || left.len() > unmet {
        bail!(Untold("the end of a request"));
    }
    let reads = disk.counted()?.reads.0 - before.reads.0;
    ensure!(told == reads, "{told} of {reads} reads");
    Ok(())
}
