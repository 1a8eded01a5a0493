//! Where a process was put: container, Kubernetes pod and systemd unit, read from cgroup paths.
//!
//! Runtimes name the cgroup after the container, so the path tells the container without asking
//! a daemon. The forms are those of runc's cgroupfs and systemd drivers, of the kubelet
//! (`pkg/kubelet/cm`), of Podman (`libpod-*`), LXC (`lxc.payload.*`) and systemd-nspawn.

mod component;

use std::sync::Arc;

use component::Component;
use procfs::ProcessCGroup;

/// What runs a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// Docker Engine.
    Docker,
    /// containerd, through its CRI plugin or nerdctl.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
    /// LXC, Incus, LXD, libvirt-lxc.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
}

impl Runtime {
    /// The value of `container.runtime.name`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::Nspawn => "systemd-nspawn",
        }
    }

    /// Whether its containers run one application rather than a whole system with its own units.
    #[must_use]
    pub const fn is_application(self) -> bool {
        !matches!(self, Self::Lxc | Self::Nspawn)
    }
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Container {
    /// Its id: 64 hexadecimal digits, or the name for LXC and systemd-nspawn.
    pub id: Arc<str>,
    /// What runs it, where the path tells.
    pub runtime: Option<Runtime>,
}

/// Kubernetes quality-of-service class of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Qos {
    /// Requests equal limits.
    Guaranteed,
    /// Some requests or limits.
    Burstable,
    /// None.
    BestEffort,
}

/// A Kubernetes pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pod {
    /// `metadata.uid`: a UUID, or 32 hexadecimal digits for a static pod.
    pub uid: Arc<str>,
    /// Its class.
    pub qos: Qos,
}

/// Where a process was put.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Placement {
    /// The innermost container.
    pub container: Option<Container>,
    /// The innermost pod.
    pub pod: Option<Pod>,
    /// The innermost systemd service unit without `.service`; inside the container if there is
    /// one, since the unit around it is the runtime's own.
    pub unit: Option<Arc<str>>,
    /// Containers on the way to the process.
    depth: usize,
}

impl Placement {
    /// What one path below a cgroup hierarchy's root tells.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        // The kernel appends this where the directory is gone (a zombie's, for example).
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        let mut placement = Self::default();
        let mut outer = None;
        let mut parent = "";
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match Component::parse(name, parent) {
                Component::Container {
                    container,
                    unit,
                    pod,
                } => {
                    outer = placement.container.replace(container);
                    placement.depth += 1;
                    placement.pod = pod.or(placement.pod);
                    if unit == component::Unit::Around {
                        placement.unit = None;
                    }
                }
                Component::Supervisor => {
                    if placement.nspawn() {
                        placement.container = outer.take();
                        placement.depth -= 1;
                        placement.unit = service(parent);
                    }
                }
                Component::Pod(pod) => placement.pod = Some(pod),
                Component::Service(unit) => placement.unit = Some(unit.into()),
                Component::Scope => placement.unit = None,
                Component::Other => {}
            }
            parent = name;
        }
        placement
    }

    /// What the lines of `/proc/PID/cgroup` tell together.
    ///
    /// In a hybrid set-up the hierarchies know different things: the line with the innermost
    /// container stands, else one with a unit; cgroup2 first, then systemd's own hierarchy.
    #[must_use]
    pub fn of_cgroups<'a>(cgroups: impl IntoIterator<Item = &'a ProcessCGroup>) -> Self {
        let mut lines: Vec<_> = cgroups.into_iter().collect();
        lines.sort_by_key(|line| match line {
            line if line.hierarchy == 0 => 0,
            line if line.controllers.iter().any(|name| name == "name=systemd") => 1,
            _ => 2,
        });
        let mut best = Self::default();
        for line in lines {
            let placement = Self::of_path(&line.pathname);
            if placement.weight() > best.weight() {
                best = placement;
            }
        }
        best
    }

    fn nspawn(&self) -> bool {
        self.container
            .as_ref()
            .is_some_and(|container| container.runtime == Some(Runtime::Nspawn))
    }

    fn weight(&self) -> (usize, bool, bool) {
        (self.depth, self.pod.is_some(), self.unit.is_some())
    }
}

fn service(name: &str) -> Option<Arc<str>> {
    name.strip_suffix(".service").map(Arc::from)
}

#[cfg(test)]
mod tests;
