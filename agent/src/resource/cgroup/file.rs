//! A cgroup's files in the hierarchies that have it.

use std::path::PathBuf;

use super::{
    super::{
        Error,
        read::{self, Skipped},
    },
    hierarchy::{Controller, Hierarchies, Version},
    walk::Found,
};

/// Room for the longest of a cgroup's files but `io.stat`: `memory.stat` has about 3 KiB.
const MAX_FILE: usize = 8192;

/// Reads the files of one cgroup. What can't be used is counted, what isn't there is not.
pub(super) struct Files<'a> {
    pub(super) hierarchies: &'a Hierarchies,
    /// Below the top, with a `/` before each name; the top itself is `/`.
    pub(super) path: &'a str,
    pub(super) found: Found,
    pub(super) skipped: &'a mut Skipped,
}

impl Files<'_> {
    /// Which interface the controller has here; `None` where the cgroup isn't in its hierarchy.
    pub(super) fn version(&self, controller: Controller) -> Option<Version> {
        let (number, mount) = self.hierarchies.of(controller)?;
        self.found.is_in(number).then_some(mount.version)
    }

    fn path(&self, controller: Controller, name: &str) -> Option<PathBuf> {
        let (_, mount) = self.hierarchies.of(controller)?;
        let below = self.path.trim_start_matches('/');
        Some(mount.base.join(below).join(name))
    }

    /// A file of less than [`MAX_FILE`] bytes.
    pub(super) fn text(&mut self, controller: Controller, name: &str) -> Option<String> {
        let path = self.path(controller, name)?;
        let text = read::head::<MAX_FILE>(&path).and_then(|text| match text {
            Some(text) if text.len() >= MAX_FILE => Err(Error::TooLong {
                path,
                limit: MAX_FILE as u64,
            }),
            text => Ok(text),
        });
        self.skipped.or_skip(text)
    }

    /// A file of any length, within the bounds of [`read::text`].
    pub(super) fn long_text(&mut self, controller: Controller, name: &str) -> Option<String> {
        let path = self.path(controller, name)?;
        self.skipped.or_skip(read::text(&path))
    }

    /// A file that holds one number.
    pub(super) fn number(&mut self, controller: Controller, name: &str) -> Option<u64> {
        let text = self.text(controller, name)?;
        self.parse(text.trim())
    }

    /// A file that holds a limit; `None` where there is none (`max`, in version 1 also `-1`).
    pub(super) fn limit(&mut self, controller: Controller, name: &str) -> Option<u64> {
        let text = self.text(controller, name)?;
        match text.trim() {
            "max" | "-1" => None,
            number => self.parse(number),
        }
    }

    /// The values of these names in a file with a name and a number in each line.
    pub(super) fn fields<const N: usize>(
        &mut self,
        controller: Controller,
        file: &str,
        names: [&str; N],
    ) -> [Option<u64>; N] {
        let mut fields = [None; N];
        let Some(text) = self.text(controller, file) else {
            return fields;
        };
        for line in text.lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            let index = names.iter().position(|wanted| *wanted == name);
            if let Some(field) = index.and_then(|index| fields.get_mut(index)) {
                *field = self.parse(value.trim());
            }
        }
        fields
    }

    /// A number; anything else is counted.
    pub(super) fn parse(&mut self, text: &str) -> Option<u64> {
        let number = text.parse().ok();
        if number.is_none() {
            self.skipped.one();
        }
        number
    }
}
