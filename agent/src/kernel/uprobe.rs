//! Uprobes: breakpoints in the code of a file, for every process that maps it.
//!
//! They are made with `perf_event_open(2)` on the PMU `uprobe` (`kernel/events/core.c`,
//! `perf_uprobe_event_init`), which takes `CAP_PERFMON` alone and neither tracefs nor kprobes.
//! Multi-uprobe links (6.6) were measured: a hit costs the same.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::Path,
    thread,
};

use super::sys;

/// The PMU that uprobes are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pmu {
    /// Its number, for `perf_event_attr.type`.
    kind: u32,
    /// Bit of `perf_event_attr.config` that asks for a uretprobe, below 64.
    return_bit: u32,
}

/// Why there are no uprobes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel has no such PMU (`CONFIG_UPROBE_EVENTS`), or sysfs isn't there.
    #[error("no uprobes in this kernel: can't read {file}: {source}")]
    Missing {
        /// The file in sysfs.
        file: String,
        /// Why it can't be read.
        source: io::Error,
    },
    /// A file of the PMU's has another form than `Documentation/ABI/testing` gives.
    #[error("{file} is not as the kernel documents it: {text:?}")]
    Malformed {
        /// The file in sysfs.
        file: String,
        /// What it holds.
        text: String,
    },
}

impl Pmu {
    /// As sysfs tells.
    pub fn read(sysfs: &Path) -> Result<Self, Error> {
        let directory = sysfs.join("bus/event_source/devices/uprobe");
        let number = |name: &str, prefix: &str| {
            let file = directory.join(name);
            let text = fs::read_to_string(&file).map_err(|source| Error::Missing {
                file: file.display().to_string(),
                source,
            })?;
            let number = text.trim().strip_prefix(prefix);
            number
                .and_then(|number| number.parse::<u32>().ok())
                .filter(|number| prefix.is_empty() || *number < u64::BITS)
                .ok_or_else(|| Error::Malformed {
                    file: file.display().to_string(),
                    text: text.clone(),
                })
        };
        Ok(Self {
            kind: number("type", "")?,
            return_bit: number("format/retprobe", "config:")?,
        })
    }

    /// Runs `program` whenever a process executes the instruction at `offset` of the file, or for
    /// [`Moment::Return`] whenever the function whose frame begins there returns. The file is
    /// taken as it is, whatever its name leads to by now.
    pub fn attach(
        self,
        program: BorrowedFd<'_>,
        file: &File,
        offset: u64,
        moment: Moment,
    ) -> io::Result<Link> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let config = match moment {
            Moment::Entry => 0,
            Moment::Return => 1u64 << self.return_bit,
        };
        let event = sys::uprobe_event(self.kind, config, &path, offset)?;
        match sys::link_perf_event(program, event.as_fd()) {
            // The link holds the event.
            Ok(link) => Ok(Link { _fd: link }),
            // Before 5.15 there are no such links.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                sys::run_on_perf_event(program, event.as_fd())?;
                Ok(Link { _fd: event })
            }
            Err(error) => Err(error),
        }
    }
}

/// When a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the instruction.
    Entry,
    /// When the function returns (uretprobe). The instruction is one at which the return address
    /// lies on top of the stack.
    Return,
}

/// One attachment: dropping it takes the breakpoint out of every process.
#[derive(Debug)]
pub struct Link {
    _fd: OwnedFd,
}

/// Detachments that wait at one time.
const AT_ONCE: usize = 32;

/// Detaches many. Each waits until no CPU can be in the program any more, some 100 ms in which
/// nothing is done: so they wait together.
pub fn detach(mut links: Vec<Link>) {
    while !links.is_empty() {
        let batch = links.split_off(links.len().saturating_sub(AT_ONCE));
        thread::scope(|scope| {
            for link in batch {
                // Where there can be no more threads the link is dropped here.
                let _ = thread::Builder::new().spawn_scoped(scope, move || drop(link));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pmu_is_read_from_sysfs() {
        let sysfs = tempfile::tempdir().unwrap();
        let read = || Pmu::read(sysfs.path());
        assert!(matches!(read(), Err(Error::Missing { .. })));
        let directory = sysfs.path().join("bus/event_source/devices/uprobe");
        fs::create_dir_all(directory.join("format")).unwrap();
        fs::write(directory.join("type"), "8\n").unwrap();
        fs::write(directory.join("format/retprobe"), "config:0\n").unwrap();
        let expected = Pmu {
            kind: 8,
            return_bit: 0,
        };
        assert_eq!(read().unwrap(), expected);
        fs::write(directory.join("format/retprobe"), "config1:0-3\n").unwrap();
        assert!(matches!(read(), Err(Error::Malformed { .. })));
    }
}
