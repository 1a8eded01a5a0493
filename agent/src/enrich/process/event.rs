//! The kernel's records about processes.

use std::sync::Arc;

use sonde_common::event::process::{Exec, Exit, FILENAME, Fork};

use super::{Live, Processes};
use crate::enrich::{
    container::Placement,
    declared::Declared,
    image::{self, Image, Source},
    instance::Member,
    observe::{self, Observed},
    start::StartTime,
};

impl Processes {
    /// A new process: it belongs to its parent's service instance until it runs a program of its
    /// own, so that prefork workers and their master are one.
    pub fn fork(&mut self, record: &Fork) {
        let (parent, child, time) = (record.header.tgid, record.child, record.header.time);
        self.now = self.now.max(time);
        let start = StartTime::from_nanoseconds(record.start_time);
        if self.live(child, start).is_some() {
            return;
        }
        if parent != 0 && self.any_live(parent).is_none() {
            self.look_up(parent);
        }
        let image = if let Some(parent) = self.any_live(parent) {
            Arc::clone(&parent.image)
        } else {
            let placement = self.cgroups.find(record.cgroup, time, &mut self.losses);
            let placement = placement.unwrap_or_default();
            let (names, membership) = self.names_of(&placement);
            let comm = text(&record.comm);
            Arc::new(Image::named(&comm, &placement, &names, membership))
        };
        self.insert(child, start, time, image);
    }

    /// A process runs a new program.
    ///
    /// The record's name, arguments and cgroup stand. `/proc` adds what the record can't carry
    /// (environment, v1 cgroups, long arguments) if the process is still the one that the record
    /// is about. For one that is already gone, what it declared before stands, since the
    /// environment is usually passed on.
    pub fn exec(&mut self, record: &Exec) {
        let (tgid, time) = (record.header.tgid, record.header.time);
        self.now = self.now.max(time);
        let start = StartTime::from_nanoseconds(record.start_time);
        let image = Arc::new(self.image_of_exec(record, start));
        if self.live(tgid, start).is_some() {
            self.change(Member { tgid, start, image });
        } else if self.any_live(tgid).is_some() {
            // Exit and fork were not told.
            self.insert(tgid, start, time, image);
        } else {
            let since = self.free_since(tgid);
            self.insert(tgid, start, since, image);
        }
    }

    /// A process ended.
    pub fn exit(&mut self, record: &Exit) {
        let (tgid, time) = (record.header.tgid, record.header.time);
        self.now = self.now.max(time);
        let start = StartTime::from_nanoseconds(record.start_time);
        if self.live(tgid, start).is_some() {
            self.retire(tgid, time);
            return;
        }
        let was_known = self
            .slots
            .get(&tgid)
            .is_some_and(|slot| slot.exited.iter().any(|one| one.start.matches(start)));
        if !was_known && self.any_live(tgid).is_none() {
            // Neither its start nor its program was told; its name still says something.
            let comm = text(&record.comm);
            let image = Image::named(&comm, &Placement::default(), &Arc::default(), None);
            let since = self.free_since(tgid);
            self.insert(tgid, start, since, Arc::new(image));
            self.retire(tgid, time);
        }
    }

    /// A live process runs another program.
    fn change(&mut self, member: Member) {
        let after = self.instances.join(&member, &mut self.losses);
        let slot = self.slots.get_mut(&member.tgid);
        let Some(live) = slot.and_then(|slot| slot.live.as_mut()) else {
            self.instances.leave(after);
            return;
        };
        let before = std::mem::replace(&mut live.instance, after);
        if live.image != member.image {
            self.instances.end(before, member.tgid, live.start);
        }
        live.start = member.start;
        live.image = member.image;
        self.instances.leave(before);
    }

    fn any_live(&self, tgid: u32) -> Option<&Live> {
        self.slots.get(&tgid)?.live.as_ref()
    }

    fn live(&self, tgid: u32, start: StartTime) -> Option<&Live> {
        self.any_live(tgid).filter(|live| live.start.matches(start))
    }

    fn image_of_exec(&mut self, record: &Exec, start: StartTime) -> Image {
        let tgid = record.header.tgid;
        let observed = observe::observe(&self.procfs, tgid, Some(start), &mut self.losses);
        let before = self.live(tgid, start).map(|live| Arc::clone(&live.image));
        let placement = self.placement_of(record, observed.as_ref(), before.as_deref());
        let (names, membership) = self.names_of(&placement);
        let declared = match (&observed, &before) {
            (Some(observed), _) if !observed.stat.is_zombie => observed.declared.clone(),
            (_, Some(before)) => before.declared().clone(),
            (_, None) => Declared::default(),
        };
        let told = prefix(&record.args, record.args_length);
        // The record is cut off; only the same command line may complete it.
        let args = observed
            .as_ref()
            .map(|observed| observed.args.as_slice())
            .filter(|whole| whole.starts_with(told))
            .unwrap_or(told);
        let linked = observed.as_ref().and_then(|one| one.executable.clone());
        let directory = observed.as_ref().and_then(|one| one.directory.as_deref());
        Image::new(&Source {
            declared: &declared,
            placement: &placement,
            names: &names,
            membership,
            executable: linked.or_else(|| told_executable(record, args)).as_deref(),
            args,
            directory,
            comm: &text(&record.comm),
        })
    }

    fn placement_of(
        &mut self,
        record: &Exec,
        observed: Option<&Observed>,
        before: Option<&Image>,
    ) -> Placement {
        if let Some(placement) = observed.and_then(|observed| observed.placement.clone()) {
            self.cgroups.learn(record.cgroup, &placement);
            return placement;
        }
        self.cgroups
            .find(record.cgroup, record.header.time, &mut self.losses)
            .or_else(|| before.map(|image| image.placement().clone()))
            .unwrap_or_default()
    }
}

/// The program's file name as the record tells it; `None` where the path may be cut off.
fn told_executable(record: &Exec, args: &[u8]) -> Option<String> {
    let path = prefix(&record.filename, record.filename_length);
    let path = path.split(|byte| *byte == 0).next()?;
    let is_whole = !path.is_empty() && path.len() + 1 < FILENAME;
    is_whole.then(|| image::executable_of(&String::from_utf8_lossy(path), args))
}

/// The used part of a fixed array; a length beyond it means all of it.
fn prefix(array: &[u8], length: u16) -> &[u8] {
    array.get(..usize::from(length)).unwrap_or(array)
}

/// A NUL-padded name.
fn text(padded: &[u8]) -> String {
    let name = padded.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
