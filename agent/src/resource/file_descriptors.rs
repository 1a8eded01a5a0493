//! Open files of the whole host against the limit, `/proc/sys/fs/file-nr`.

use std::time::Instant;

use super::{Error, Registration, Resource, Root, Use, method::amount, read};
use crate::metric::{Descriptor, Unit};

const NAME: &str = "file_descriptors";

static OPEN: Descriptor = amount(
    "system.file_descriptor.open",
    "Open files of all processes (/proc/sys/fs/file-nr, first value less the second)",
    Unit::Count("{file}"),
);
static LIMIT: Descriptor = amount(
    "system.file_descriptor.limit",
    "Most files that all processes together may have open (/proc/sys/fs/file-nr, third value)",
    Unit::Count("{file}"),
);

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[&OPEN, &LIMIT],
    saturation: &[],
    errors: &[],
    open: |_| Box::new(FileDescriptors),
};

#[derive(Debug)]
struct FileDescriptors;

impl Resource for FileDescriptors {
    fn sample(&mut self, root: &Root, _now: Instant) -> Result<Option<Use>, Error> {
        let path = root.procfs.join("sys/fs/file-nr");
        let Some(text) = read::text(&path)? else {
            return Ok(None);
        };
        let Some([allocated, free, limit]) = read::numbers(&text) else {
            return Err(read::malformed(&path, "three numbers"));
        };
        let mut report = Use::new(NAME);
        let open = allocated.saturating_sub(free);
        report.count(&OPEN, [], open);
        report.count(&LIMIT, [], limit);
        let share = (limit > 0).then(|| open as f64 / limit as f64);
        report.utilization(None, share);
        Ok(Some(report))
    }
}
