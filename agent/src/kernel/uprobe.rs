//! Uprobes: breakpoints in the code of a file, for every process that maps it.
//!
//! Neither tracefs nor kprobes is needed. A hit costs the same in both ways of making them; links
//! are made and let go of faster, and by anybody who has the program.

use std::{
    collections::HashMap,
    fmt,
    fs::{self, File},
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::Path,
    thread,
};

use aya::{
    Ebpf,
    maps::{Array, Map, MapData, MapError},
};
use aya_obj::Object;

use super::sys::{self, program::Target};

/// The PMU that uprobes are made with: `perf_event_open(2)`, `perf_uprobe_event_init` of
/// `kernel/events/core.c`.
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

    /// One breakpoint.
    fn attach(
        self,
        program: BorrowedFd<'_>,
        path: &str,
        offset: u64,
        moment: Moment,
    ) -> io::Result<Link> {
        let config = match moment {
            Moment::Entry => 0,
            Moment::Return => 1u64 << self.return_bit,
        };
        let event = sys::uprobe::uprobe_event(self.kind, config, path, offset)?;
        match sys::uprobe::link_perf_event(program, event.as_fd()) {
            // The link holds the event.
            Ok(link) => Ok(Link { _fd: link }),
            // Before 5.15 there are no such links.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                sys::uprobe::run_on_perf_event(program, event.as_fd())?;
                Ok(Link { _fd: event })
            }
            Err(error) => Err(error),
        }
    }
}

/// How breakpoints are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By links that hold many (6.6, `bpf_uprobe_multi_link_attach`): they take no capability.
    Links,
    /// One by one as perf events, which take `CAP_PERFMON`, or from 6.16 on and in what was released
    /// since then of older kernels `CAP_SYS_ADMIN`.
    PerfEvents(Pmu),
}

impl Way {
    /// Runs `program` whenever a process executes the instruction at one of these offsets in the
    /// file, or for [`Moment::Return`] whenever the function whose frame begins there returns. The
    /// file is taken as it is, whatever its name leads to by now.
    pub fn attach(
        self,
        program: BorrowedFd<'_>,
        file: &File,
        offsets: &[u64],
        moment: Moment,
    ) -> io::Result<Vec<Link>> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        match self {
            Self::Links => {
                let at_return = moment == Moment::Return;
                let link = sys::uprobe::link_uprobes(program, &path, offsets, at_return)?;
                Ok(vec![Link { _fd: link }])
            }
            Self::PerfEvents(pmu) => offsets
                .iter()
                .map(|offset| pmu.attach(program, &path, *offset, moment))
                .collect(),
        }
    }
}

/// Programs that are loaded to be attached to files.
pub struct Programs {
    /// How.
    pub way: Way,
    /// Their descriptors, by name.
    pub descriptors: HashMap<&'static str, OwnedFd>,
    /// Where they are told when a file was attached last.
    pub(super) attached: Option<Array<MapData, u64>>,
}

impl fmt::Debug for Programs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The map has no text.
        formatter
            .debug_struct("Programs")
            .field("way", &self.way)
            .field("descriptors", &self.descriptors)
            .finish_non_exhaustive()
    }
}

impl Programs {
    /// None so far.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self {
            way,
            descriptors: HashMap::new(),
            attached: None,
        }
    }

    /// Tells the programs that a file has just been attached: what moved on connections before was
    /// not seen. `now` is `CLOCK_MONOTONIC` in nanoseconds.
    pub fn set_attached(&mut self, now: u64) -> Result<(), MapError> {
        match &mut self.attached {
            Some(attached) => attached.set(0, now, 0),
            None => Ok(()),
        }
    }
}

/// Why programs can't be loaded for [`Way::Links`].
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The object is not as aya understands it.
    #[error("the object can't be read: {0}")]
    Parse(#[from] aya_obj::ParseError),
    /// What it refers to is missing.
    #[error("the object can't be linked: {0}")]
    Relocate(#[from] aya_obj::relocation::EbpfRelocationError),
    /// It has no such program.
    #[error("program {0} is not in the object")]
    Missing(&'static str),
    /// The kernel refused a program.
    #[error("{name} refused: {source}")]
    Refused {
        /// Which.
        name: &'static str,
        /// Why; the verifier's words are in the log.
        source: io::Error,
    },
}

/// Loads programs of an object for [`Way::Links`], with the maps that the others use. aya (0.14)
/// doesn't load any for this kind of attachment, so the last steps of its loader are done here.
pub fn load(
    object: &[u8],
    maps: &Ebpf,
    names: &[&'static str],
) -> Result<HashMap<&'static str, OwnedFd>, LoadError> {
    let mut object = Object::parse(object)?;
    let defined: Vec<_> = object.maps.drain().collect();
    let sections = object
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    let made = defined.iter().filter_map(|(name, map)| {
        let fd = data(maps.map(name)?)?.fd().as_fd().as_raw_fd();
        Some((name.as_str(), fd, map))
    });
    object.relocate_maps(made, &sections)?;
    object.relocate_calls(&sections)?;
    let load = |name: &&'static str| {
        let program = object.programs.get(*name);
        let program = program.ok_or(LoadError::Missing(name))?;
        let function = object.functions.get(&program.function_key());
        let function = function.ok_or(LoadError::Missing(name))?;
        let fd = sys::program::load(
            Target::Uprobes,
            name,
            &program.license,
            &function.instructions,
        );
        fd.map(|fd| (*name, fd))
            .map_err(|source| LoadError::Refused { name, source })
    };
    names.iter().map(load).collect()
}

/// What all kinds of maps that the programs use have in common.
fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::Queue(data)
        | Map::PerCpuHashMap(data)
        | Map::ProgramArray(data)
        | Map::RingBuf(data)
        | Map::SkStorage(data)
        | Map::Unsupported(data) => Some(data),
        _ => None,
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

/// An attachment: dropping it takes its breakpoints out of every process.
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
