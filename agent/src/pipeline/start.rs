//! From a configuration to everything that runs.

use std::{fs, path::Path, sync::Arc};

use super::{
    counts::SyscallReader, disk::BlockReader, drops::DropReader, hooks, kubernetes, paths, sampler,
    snapshot::Kernel as LoadedKernel,
};
use crate::{
    capability::{self, Held, KernelVersion, Lack},
    cli,
    clock::Clock,
    config::{
        Config, Paths,
        value::{Statistics, SyscallDurations},
    },
    enrich::{
        host,
        kubernetes::Kubernetes,
        listener::Listeners,
        process::{Limits as ProcessLimits, Processes},
    },
    kernel::{
        attach::{Programs, Settings},
        feature::Kernel,
        ring::Ring,
        sweep, sys,
    },
    metric::Resource,
    probe::{self, FAMILIES, Family},
    tls::{self, Tls},
};
use anyhow::Context as _;
use sonde_common::event::connection::TABLE_ENTRIES;

/// Every how many system calls one is timed when durations are sampled.
const SAMPLED: u32 = 64;

/// What has been started before there are threads.
pub(super) struct Started {
    pub(super) kernel: Option<LoadedKernel>,
    pub(super) clock: Clock,
    pub(super) host: Arc<Resource>,
    pub(super) processes: Processes,
    pub(super) listeners: Listeners,
    pub(super) tls: Option<Tls>,
    pub(super) kubernetes: Option<Kubernetes>,
}

impl Started {
    /// Reads who runs, loads and attaches the kernel side, and drops the capabilities that took.
    /// `listening` are the ports that it listens on already.
    pub(super) fn begin(config: &Config, listening: &[u16]) -> anyhow::Result<Self> {
        paths::check(&config.path)?;
        if let Some(warning) = paths::sysfs_warning(&config.path) {
            tracing::warn!("{warning}");
        }
        let root = sampler::root(config);
        let host = kubernetes::node(&config.kubernetes, host::resource(&root));
        let clock = Clock::read().context("can't read CLOCK_MONOTONIC")?;
        let mut processes = Processes::new(&root, Arc::clone(&host), ProcessLimits::default());
        let (kernel, tls) = attach(config, listening)?.unzip();
        let now = Clock::monotonic_now().context("can't read CLOCK_MONOTONIC")?;
        let reports = kernel.as_ref().map(|kernel| kernel.programs.reports());
        let hooks = hooks::summary(reports, &families(config));
        tracing::info!("sonde {}: {hooks}", env!("CARGO_PKG_VERSION"));
        let kubernetes = kubernetes::start(&config.kubernetes, &mut processes)?;
        // After attaching, so that a process which starts in between is seen by one of the two.
        while !processes.sweep(now, 1024) {}
        let listeners = Listeners::read(&root.procfs);
        sys::release_free_memory();
        Ok(Self {
            kernel,
            tls: tls.flatten(),
            kubernetes,
            clock,
            host,
            processes,
            listeners,
        })
    }

    /// Whether what a family needs is attached.
    pub(super) fn serves(&self, family: &Family) -> bool {
        self.kernel
            .as_ref()
            .is_some_and(|kernel| kernel.programs.serves(family))
    }

    /// Whether any probe is attached.
    pub(super) fn is_attached(&self) -> bool {
        self.kernel
            .as_ref()
            .is_some_and(|kernel| kernel.programs.any_attached())
    }
}

/// Families that add to what another one keeps, and that one: the requests inside TLS to the
/// connection, and the bytes of UDP to what the thread has used.
const NEEDS: [(&Family, &Family); 2] = [
    (&probe::tls::FAMILY, &probe::http::FAMILY),
    (&probe::udp::FAMILY, &probe::sched::FAMILY),
];

/// The families that are to be attached.
pub(super) fn families(config: &Config) -> Vec<&'static Family> {
    let families = FAMILIES.iter().copied();
    families
        .filter(|family| off(config, family).is_none())
        .collect()
}

/// The collector that is off, for which a family isn't to be attached.
pub(super) fn off(config: &Config, family: &Family) -> Option<&'static str> {
    let needed = NEEDS.iter().filter(|(needs, _)| needs.name == family.name);
    let needed = needed.map(|(_, needed)| needed.name);
    let mut collectors = [family.name].into_iter().chain(needed);
    collectors.find(|name| !config.collectors.is_on(name))
}

/// What the programs are told.
pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        ring_bytes: config.ring.size.bytes(),
        table_entries: TABLE_ENTRIES,
        syscall_period: match config.syscall.durations {
            SyscallDurations::Off => None,
            SyscallDurations::Sampled => Some(SAMPLED),
            SyscallDurations::All => Some(1),
        },
        statistics: config.probe.statistics != Statistics::Off,
        self_tgid: own_tgid(&config.path.procfs),
    }
}

/// The agent's process id as the kernel side sees it: that in the namespace of the host's procfs,
/// which is another one in a container.
fn own_tgid(procfs: &Path) -> u32 {
    fs::read_link(procfs.join("self"))
        .ok()
        .and_then(|target| target.to_str()?.parse().ok())
        .unwrap_or_else(std::process::id)
}

/// Loads and attaches, and begins to look for TLS libraries; `None` where nothing can be loaded: the resources are still read.
fn attach(
    config: &Config,
    listening: &[u16],
) -> anyhow::Result<Option<(LoadedKernel, Option<Tls>)>> {
    let families = families(config);
    if families.is_empty() {
        return Ok(None);
    }
    let version = KernelVersion::current().context("can't read the kernel's version")?;
    let held = Held::read(&config.path.procfs).context("can't read capabilities")?;
    warn_of(&held, &held.lacks(version));
    let kernel = Kernel::probe(&config.path.procfs, &config.path.sysfs);
    let loaded = match Programs::attach(&kernel, &families, &settings(config)) {
        Ok(mut programs) => {
            programs.own_listeners(listening)?;
            let tls = watch_tls(config, &mut programs, &held, version)?;
            Some((ready(programs, &kernel, &config.path)?, tls))
        }
        Err(error) => {
            let error = cli::problems(&error).join("; ");
            tracing::error!(
                error,
                "no kernel program can be loaded: no requests, connections, \
                system calls or processes are seen; `sonde check` says why"
            );
            None
        }
    };
    drop_capabilities(&held, version)?;
    Ok(loaded)
}

/// Names the capabilities that are missing, and what is lost without them.
fn warn_of(held: &Held, lacks: &[Lack]) {
    if let Some(text) = capability::explain(held, lacks) {
        tracing::warn!("{text}");
    }
    for lack in lacks.iter().filter(|lack| !lack.need.essential) {
        let missing = capability::names(&lack.missing, " and ");
        let (purpose, lost) = (lack.need.purpose, lack.need.lost);
        tracing::warn!("{missing} is missing, to {purpose}; lost without: {lost}");
    }
}

/// Starts the thread that looks for TLS libraries, where they can be watched.
fn watch_tls(
    config: &Config,
    programs: &mut Programs,
    held: &Held,
    version: KernelVersion,
) -> anyhow::Result<Option<Tls>> {
    let Some(programs) = programs.take_uprobes() else {
        return Ok(None);
    };
    // The thread alone keeps what attaching takes: capabilities belong to threads.
    let kept = capability::needed_to_attach_uprobes(held, version, programs.way);
    let settings = tls::Settings {
        procfs: config.path.procfs.clone(),
        rootfs: config.path.rootfs.clone(),
        own: own_tgid(&config.path.procfs),
        programs,
    };
    let prepare = move || match capability::drop_to(&kept) {
        Ok(dropped) => tracing::debug!(?kept, ?dropped, "capabilities of the tls thread"),
        Err(error) => tracing::warn!(%error, "the tls thread keeps all capabilities"),
    };
    let tls = Tls::start(settings, prepare).context("can't start the tls thread")?;
    Ok(Some(tls))
}

fn ready(mut programs: Programs, kernel: &Kernel, paths: &Paths) -> anyhow::Result<LoadedKernel> {
    for unserved in hooks::unserved(programs.reports()) {
        let (hooks, reason) = (unserved.hooks, unserved.reason);
        tracing::warn!(hooks, reason, "hooks are not served: {}", unserved.lost);
    }
    if programs.is_attached("tcp_file_sweep")
        && let Err(error) = sweep::find_listeners(programs.ebpf())
    {
        tracing::warn!(%error, "accept queues of sockets that listen already are not told");
    }
    let ring = Ring::take(programs.ebpf_mut())?;
    Ok(LoadedKernel {
        programs,
        ring,
        syscalls: SyscallReader::default(),
        blocks: BlockReader::new(&paths.sysfs),
        drops: DropReader::new(kernel, &paths.procfs),
        detached: false,
    })
}

/// Lets go of what loading took, on the only thread there is so far.
fn drop_capabilities(held: &Held, version: KernelVersion) -> anyhow::Result<()> {
    let kept = capability::needed_after_attach(held, version);
    let dropped = capability::drop_to(&kept).context("can't drop capabilities")?;
    tracing::debug!(?kept, ?dropped, "capabilities");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Command;

    #[test]
    fn a_family_without_the_one_that_it_adds_to_is_left_out() {
        let config = |switch: &str| {
            let arguments = ["sonde", "trace", switch].map(Into::into);
            let Ok(Command::Trace(sources, ..)) = Command::parse(arguments, []) else {
                panic!("good usage");
            };
            sources.resolve().unwrap()
        };
        let names = |switch: &str| -> Vec<&str> {
            let families = families(&config(switch));
            families.iter().map(|family| family.name).collect()
        };
        let all = names("--collector.http");
        assert!(all.contains(&"tls") && all.contains(&"udp"));
        let without = |left_out: [&str; 2]| {
            let kept = all.iter().copied();
            kept.filter(|name| !left_out.contains(name))
                .collect::<Vec<_>>()
        };
        assert_eq!(names("--no-collector.http"), without(["http", "tls"]));
        assert_eq!(names("--no-collector.sched"), without(["sched", "udp"]));
        let why = |switch: &str| off(&config(switch), &probe::udp::FAMILY);
        assert_eq!(why("--no-collector.sched"), Some("sched"));
        assert_eq!(why("--no-collector.udp"), Some("udp"));
        assert_eq!(why("--no-collector.tcp"), None);
    }
}
