//! Finds the alternative that works: first by loading it, then by attaching it.

use std::{
    collections::{HashMap, HashSet},
    os::fd::AsFd as _,
};

use aya::{Btf, maps::Map, programs::UProbe};

use super::{
    Outcome, Programs,
    refusal::{chain, explain},
    via::{Attach, Link, Via},
};
use crate::kernel::{
    feature::Kernel,
    sys,
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
                self.load_one(attach, kernel, types)
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

    /// Loads an alternative, with the programs that it jumps to.
    fn load_one(
        &mut self,
        attach: &'static Attach,
        kernel: &Kernel,
        types: Option<&Btf>,
    ) -> Result<(), String> {
        match attach.via {
            Via::UprobeLinks(names) => self.load_linked(names)?,
            Via::Uprobes(names) => self.load_uprobes(attach.via, names, kernel)?,
            via => {
                for name in [attach.program].iter().chain(attach.then) {
                    via.load(self.program(name)?, types)?;
                }
            }
        }
        attach.then.iter().try_for_each(|name| {
            self.place(name)
                .map_err(|reason| format!("{name}: {reason}"))
        })
    }

    /// Puts a loaded program where those that jump to it find it.
    fn place(&mut self, name: &'static str) -> Result<(), String> {
        let linked = self.uprobes.as_ref();
        let linked = linked.and_then(|uprobes| uprobes.descriptors.get(name));
        let program = if let Some(fd) = linked {
            fd.as_fd()
        } else {
            let program = self.ebpf.program(name).ok_or("not in the object")?;
            program.fd().map_err(|error| explain(&error))?.as_fd()
        };
        let place = name.to_uppercase();
        let Some(Map::ProgramArray(array)) = self.ebpf.map(&place) else {
            return Err(format!("program array {place} is not in the object"));
        };
        sys::set_program(array.fd().as_fd(), 0, program).map_err(|error| error.to_string())
    }

    /// Loads programs for uprobes that links hold.
    fn load_linked(&mut self, names: &[&'static str]) -> Result<(), String> {
        let loaded =
            uprobe::load(&self.object, &self.ebpf, names).map_err(|error| chain(&error))?;
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
