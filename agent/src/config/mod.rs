//! Configuration: defaults, file, environment and flags, resolved in this order.
//!
//! [`setting::all`] is the registry: every setting stands there once, and flags, variables, the
//! file's keys, the help and `sonde print-config` follow from it. To add one, add a field below
//! and a line there.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

pub mod collector;
mod error;
mod file;
mod layer;
mod otlp;
mod print;
pub mod setting;
mod suggest;
#[cfg(test)]
mod tests;
pub mod value;
mod yaml;

use self::value::{
    ApiServer, ClusterName, FieldName, Interval, ListenAddress, LogFormat, LogLevel, NodeName,
    Ratio, RingSize, Route, Sampler, Statistics, SyscallDurations, UsageBy,
};
pub use self::{
    collector::{COLLECTORS, Collector, Collectors},
    error::{Error, Origin, Problem},
    layer::{Assignment, Reloaded, Sources, validate},
    otlp::Otlp,
    print::to_yaml,
    yaml::Position,
};

/// Everything that can be set, resolved and checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The web server.
    pub web: Web,
    /// Where the host's file systems are.
    pub path: Paths,
    /// The agent's own log.
    pub log: Log,
    /// Which collectors run.
    pub collectors: Collectors,
    /// The syscall family.
    pub syscall: Syscall,
    /// What processes use.
    pub sched: Sched,
    /// Snapshots.
    pub snapshot: Snapshot,
    /// The kernel programs.
    pub probe: Probe,
    /// The kernel's ring buffer.
    pub ring: Ring,
    /// The HTTP family.
    pub http: Http,
    /// This node's pods.
    pub kubernetes: Kubernetes,
    /// Spans.
    pub trace: Trace,
    /// The OTLP exporter.
    pub otlp: Otlp,
}

/// The web server.
#[derive(Clone, Debug, PartialEq)]
pub struct Web {
    /// At least one.
    pub listen_addresses: Vec<ListenAddress>,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen_addresses: vec![ListenAddress::DEFAULT],
        }
    }
}

/// Where the host's file systems are; all absolute.
#[derive(Clone, Debug, PartialEq)]
pub struct Paths {
    /// Usually `/proc`.
    pub procfs: PathBuf,
    /// Usually `/sys`.
    pub sysfs: PathBuf,
    /// Usually `/`; the mount point of the host's root in a container.
    pub rootfs: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
        }
    }
}

/// The agent's own log.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Least severe level that is written.
    pub level: LogLevel,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Text,
        }
    }
}

/// The syscall family.
#[derive(Clone, Debug, PartialEq)]
pub struct Syscall {
    /// Which syscalls are timed.
    pub durations: SyscallDurations,
}

impl Default for Syscall {
    fn default() -> Self {
        Self {
            durations: SyscallDurations::Sampled,
        }
    }
}

/// What processes use.
#[derive(Clone, Debug, PartialEq)]
pub struct Sched {
    /// What has series of its own.
    pub by: UsageBy,
}

impl Default for Sched {
    fn default() -> Self {
        Self {
            by: UsageBy::Service,
        }
    }
}

/// Snapshots.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Time between two.
    pub interval: Interval,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            interval: Interval::FIVE_SECONDS,
        }
    }
}

/// The kernel programs.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// When their runs are counted and timed.
    pub statistics: Statistics,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            statistics: Statistics::Start,
        }
    }
}

/// The kernel's ring buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring {
    /// Its size.
    pub size: RingSize,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            size: RingSize::DEFAULT,
        }
    }
}

/// The HTTP family.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Routes per service, beyond which they share an overflow series.
    pub max_routes: NonZeroU32,
    /// Routes of one method, per service.
    pub max_routes_per_method: NonZeroU32,
    /// Different names in one place of a service's paths before they are values.
    pub max_path_names: NonZeroU32,
    /// Routes that are given.
    pub routes: Vec<Route>,
    /// Connections followed at a time.
    pub max_connections: NonZeroU32,
    /// Age at which a request without an answer is given up.
    pub request_timeout: Duration,
    /// Header fields of requests that spans have.
    pub capture_request_headers: Vec<FieldName>,
    /// Header fields of answers that spans have.
    pub capture_response_headers: Vec<FieldName>,
    /// Header fields whose values are masked, besides those that carry credentials anyway.
    pub masked_headers: Vec<FieldName>,
}

const MAX_ROUTES: NonZeroU32 = NonZeroU32::new(200).expect("above zero");
const MAX_ROUTES_PER_METHOD: NonZeroU32 = NonZeroU32::new(150).expect("above zero");
const MAX_PATH_NAMES: NonZeroU32 = NonZeroU32::new(50).expect("above zero");
const MAX_CONNECTIONS: NonZeroU32 = NonZeroU32::new(100_000).expect("above zero");

impl Default for Http {
    fn default() -> Self {
        Self {
            max_routes: MAX_ROUTES,
            max_routes_per_method: MAX_ROUTES_PER_METHOD,
            max_path_names: MAX_PATH_NAMES,
            routes: Vec::new(),
            max_connections: MAX_CONNECTIONS,
            request_timeout: Duration::from_mins(1),
            capture_request_headers: Vec::new(),
            capture_response_headers: Vec::new(),
            masked_headers: Vec::new(),
        }
    }
}

/// This node's pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Kubernetes {
    /// Whether they are watched.
    pub enabled: value::Kubernetes,
    /// `spec.nodeName` of this node's pods.
    pub node_name: Option<NodeName>,
    /// `k8s.cluster.name` of everything.
    pub cluster_name: Option<ClusterName>,
    /// A kubeconfig, whose current context is used.
    pub kubeconfig: Option<PathBuf>,
    /// The API server, where it isn't the one that a pod finds in its environment.
    pub api_server: Option<ApiServer>,
    /// Directory with `token` and `ca.crt`, as a pod has it.
    pub account: PathBuf,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            enabled: value::Kubernetes::Auto,
            node_name: None,
            cluster_name: None,
            kubeconfig: None,
            api_server: None,
            // Where the kubelet puts it.
            account: "/var/run/secrets/kubernetes.io/serviceaccount".into(),
        }
    }
}

/// Spans.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Which requests become spans.
    pub sampler: Sampler,
    /// The share for the samplers with `traceidratio`.
    pub sampler_arg: Ratio,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            sampler: Sampler::ParentBasedAlwaysOn,
            sampler_arg: Ratio::ONE,
        }
    }
}
