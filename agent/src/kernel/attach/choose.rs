//! Finds the alternative that works: first by loading it, then by attaching it.

use std::{
    collections::{HashMap, HashSet},
    os::fd::AsFd as _,
};

use aya::{
    Btf,
    maps::ProgramArray,
    programs::{ProgramError, RawTracePoint, UProbe},
};

use super::{
    OBJECT, Outcome, Programs,
    refusal::{chain, explain},
    via::{Attach, Link, Via},
};
use crate::kernel::{
    feature::Kernel,
    uprobe::{self, Way},
};

impl Programs {
    /// Loads the first alternative that the kernel takes. Families may share a program: it is loaded
    /// once.
    pub(super) fn load(
        &mut self,
        any_of: &'static [Attach],
        kernel: &Kernel,
        types: Option<&Btf>,
        loaded: &mut HashSet<&'static str>,
    ) -> Outcome {
        let mut reasons = Vec::new();
        for attach in any_of {
            let result = (attach.when)(kernel).and_then(|()| {
                if loaded.contains(attach.program) {
                    return Ok(());
                }
                if let Via::RawTracepointThen { next, place, .. } = attach.via {
                    for (index, program) in (0..).zip(next) {
                        self.load_next(program, place, index)?;
                    }
                }
                match attach.via {
                    Via::UprobeLinks(names) => return self.load_linked(names),
                    Via::Uprobes(names) => return self.load_uprobes(attach.via, names, kernel),
                    _ => {}
                }
                let program = self.program(attach.program)?;
                attach.via.load(program, types)
            });
            match result {
                Ok(()) => {
                    loaded.insert(attach.program);
                    return Outcome::Attached(attach);
                }
                Err(reason) => reasons.push((attach.via.as_str(), reason)),
            }
        }
        Outcome::Skipped { reasons }
    }

    /// Loads programs for uprobes that links hold.
    fn load_linked(&mut self, names: &[&'static str]) -> Result<(), String> {
        let loaded = uprobe::load(OBJECT, &self.ebpf, names).map_err(|error| chain(&error))?;
        self.uprobes
            .get_or_insert_with(|| uprobe::Programs::new(Way::Links))
            .descriptors
            .extend(loaded);
        Ok(())
    }

    /// Loads programs for uprobes that are perf events.
    fn load_uprobes(
        &mut self,
        via: Via,
        names: &[&'static str],
        kernel: &Kernel,
    ) -> Result<(), String> {
        let pmu = *kernel.uprobes.as_ref().map_err(ToString::to_string)?;
        for name in names {
            let program = self.program(name)?;
            via.load(program, None)?;
            let program = <&mut UProbe>::try_from(program).map_err(|error| explain(&error))?;
            let fd = program.fd().map_err(|error| explain(&error))?.as_fd();
            let fd = fd.try_clone_to_owned().map_err(|error| error.to_string())?;
            self.uprobes
                .get_or_insert_with(|| uprobe::Programs::new(Way::PerfEvents(pmu)))
                .descriptors
                .insert(name, fd);
        }
        Ok(())
    }

    /// Loads a program that another jumps to, and puts it where that finds it.
    fn load_next(&mut self, name: &str, place: &str, index: u32) -> Result<(), String> {
        let program = self.program(name)?;
        let next = <&mut RawTracePoint>::try_from(program)
            .and_then(|program| {
                program.load()?;
                program.fd()?.try_clone().map_err(ProgramError::from)
            })
            .map_err(|error| format!("{name}: {}", explain(&error)))?;
        let map = self.ebpf.map_mut(place);
        let map = map.ok_or_else(|| format!("map {place} is not in the object"))?;
        ProgramArray::try_from(map)
            .and_then(|mut programs| programs.set(index, &next, 0))
            .map_err(|error| chain(&error))
    }

    /// Attaches what has been loaded, all within a moment: the verifier needs its time for each
    /// program, and a connection of which only the reads are seen tells half the truth. What can't
    /// be attached gives way to the next alternative.
    pub(super) fn attach_loaded(
        &mut self,
        kernel: &Kernel,
        types: Option<&Btf>,
        loaded: &mut HashSet<&'static str>,
    ) -> HashMap<&'static str, Link> {
        let mut links = HashMap::new();
        let mut results: HashMap<&'static str, Result<(), String>> = HashMap::new();
        for index in 0..self.reports.len() {
            let mut refused = Vec::new();
            while let Outcome::Attached(attach) = self.reports[index].outcome {
                let result = match results.get(attach.program) {
                    Some(earlier) => earlier.clone(),
                    None => self
                        .program(attach.program)
                        .and_then(|program| attach.via.attach(program))
                        .map(|link| {
                            links.insert(attach.program, link);
                        }),
                };
                results.insert(attach.program, result.clone());
                let Err(reason) = result else {
                    break;
                };
                refused.push((attach.via.as_str(), reason));
                let next = self.reports[index].hook.after(attach);
                self.reports[index].outcome = match self.load(next, kernel, types, loaded) {
                    Outcome::Skipped { reasons } => Outcome::Skipped {
                        reasons: [std::mem::take(&mut refused), reasons].concat(),
                    },
                    attached @ Outcome::Attached(_) => attached,
                };
            }
        }
        links
    }
}
