//! One directory name of a cgroup path.

use super::{Container, Pod, Qos, Runtime};

/// What a directory of a cgroup path is.
pub(super) enum Component<'a> {
    /// A container's own.
    Container {
        /// Which.
        container: Container,
        /// What the units above it say about it.
        unit: Unit,
        /// The pod, where one directory tells both
        /// (`kubepods-burstable-pod<uid>.slice:cri-containerd:<id>`).
        pod: Option<Pod>,
    },
    /// systemd-nspawn's own processes, beside the container's `payload`.
    Supervisor,
    /// A pod's.
    Pod(Pod),
    /// A systemd service, without `.service`.
    Service(&'a str),
    /// A systemd scope: processes that something else than systemd started.
    Scope,
    /// Slices, delegated subgroups and anything else.
    Other,
}

/// How a container relates to the systemd units above it in the path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// They are the runtime's or a session's.
    Around,
    /// The unit was made for this container (Podman's `--cgroups=split`, as Quadlet does).
    Own,
}

impl<'a> Component<'a> {
    pub(super) fn parse(name: &'a str, parent: &str) -> Self {
        if is_monitor(name) {
            return scope(name);
        }
        if name == "supervisor" {
            return Self::Supervisor;
        }
        match (container(name, parent), pod(name, parent)) {
            (Some((container, unit)), pod) => {
                return Self::Container {
                    container,
                    unit,
                    pod,
                };
            }
            (None, Some(pod)) => return Self::Pod(pod),
            (None, None) => {}
        }
        if let Some(unit) = name.strip_suffix(".service") {
            // systemd puts `_` before names that could be a kernel file's (cg_escape).
            return Self::Service(unit.strip_prefix('_').unwrap_or(unit));
        }
        scope(name)
    }
}

/// A scope unit's, or anything else.
fn scope(name: &str) -> Component<'_> {
    match name.strip_suffix(".scope") {
        Some(_) => Component::Scope,
        None => Component::Other,
    }
}

/// Helpers of a runtime that stand beside the container and aren't in it.
fn is_monitor(name: &str) -> bool {
    ["libpod-conmon-", "crio-conmon-", "lxc.monitor"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// A pod's directory: `pod<uid>` (cgroupfs driver) or `...kubepods...-pod<uid_>.slice` (systemd
/// driver, where the uid's `-` became `_`).
fn pod(name: &str, parent: &str) -> Option<Pod> {
    let name = name.split(':').next().unwrap_or(name);
    let (prefix, uid) = match name.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?,
        None => ("", name.strip_prefix("pod")?),
    };
    if !prefix.is_empty() && !prefix.contains("kubepods") {
        return None;
    }
    let uid = uid.replace('_', "-");
    let digits = uid.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = uid.bytes().filter(|byte| *byte == b'-').count();
    let well_formed = digits == 32 && digits + dashes == uid.len() && matches!(dashes, 0 | 4);
    well_formed.then(|| Pod {
        uid: uid.into(),
        qos: qos(if prefix.is_empty() { parent } else { prefix }),
    })
}

/// The class that a pod slice's prefix or the directory above the pod tells.
fn qos(name: &str) -> Qos {
    if name.ends_with("besteffort") {
        Qos::BestEffort
    } else if name.ends_with("burstable") {
        Qos::Burstable
    } else {
        Qos::Guaranteed
    }
}

fn container(name: &str, parent: &str) -> Option<(Container, Unit)> {
    let found = |id: &str, runtime| {
        let id = id.into();
        Some((Container { id, runtime }, Unit::Around))
    };
    if let Some(id) = name.strip_prefix("libpod-payload-")
        && is_id(id)
    {
        let container = Container {
            id: id.into(),
            runtime: Some(Runtime::Podman),
        };
        return Some((container, Unit::Own));
    }
    if let Some(name) = name.strip_prefix("lxc.payload.") {
        return found(name, Some(Runtime::Lxc));
    }
    if matches!(parent, "lxc" | "lxc.payload") {
        return found(name, Some(Runtime::Lxc));
    }
    if let Some(machine) = machine(name) {
        let (id, runtime) = machine?;
        return found(&id, Some(runtime));
    }
    // `<slice>:<prefix>:<id>`: a systemd path given to a runtime on the cgroupfs driver.
    if let Some((rest, id)) = name.rsplit_once(':').filter(|(_, id)| is_id(id)) {
        let prefix = rest.rsplit(':').next().unwrap_or(rest);
        return found(id, by_prefix(prefix));
    }
    let stem = name.strip_suffix(".scope").unwrap_or(name);
    if let Some((prefix, id)) = stem.rsplit_once('-').filter(|(_, id)| is_id(id)) {
        return found(id, by_prefix(prefix));
    }
    // A Podman pod's own group is no container.
    if (is_id(stem) && parent != "libpod_parent") || is_ecs_task(stem) {
        return found(stem, by_parent(parent));
    }
    None
}

/// A machine of systemd-machined. `Some(None)` is a virtual machine: named like a container, but
/// no container.
#[expect(
    clippy::option_option,
    reason = "not a machine, a machine of another kind, a container"
)]
fn machine(name: &str) -> Option<Option<(String, Runtime)>> {
    if let Some(machine) = name
        .strip_prefix("systemd-nspawn@")
        .and_then(|rest| rest.strip_suffix(".service"))
    {
        return Some(Some((unescape(machine), Runtime::Nspawn)));
    }
    let machine = unescape(name.strip_prefix("machine-")?.strip_suffix(".scope")?);
    Some(match machine.split_once('-') {
        Some(("qemu" | "ch" | "xen" | "bhyve", _)) => None,
        Some(("lxc", rest)) => {
            // libvirt: lxc-<number>-<name>.
            let name = rest.split_once('-').map_or(rest, |(_, name)| name);
            Some((name.to_owned(), Runtime::Lxc))
        }
        _ => Some((machine, Runtime::Nspawn)),
    })
}

/// Undoes systemd's unit name escaping of `-` (systemd.unit(5), `\x2d`).
fn unescape(name: &str) -> String {
    name.replace("\\x2d", "-")
}

/// A full container id: SHA-256 sized, in hexadecimal.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Amazon ECS: `<32 hexadecimal digits>-<number>`.
fn is_ecs_task(text: &str) -> bool {
    text.split_once('-').is_some_and(|(task, number)| {
        task.len() == 32
            && task.bytes().all(|byte| byte.is_ascii_hexdigit())
            && number.len() >= 8
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn by_prefix(prefix: &str) -> Option<Runtime> {
    match prefix {
        "docker" => Some(Runtime::Docker),
        "cri-containerd" | "nerdctl" | "containerd" => Some(Runtime::Containerd),
        "crio" => Some(Runtime::CriO),
        "libpod" => Some(Runtime::Podman),
        _ => None,
    }
}

fn by_parent(parent: &str) -> Option<Runtime> {
    match parent {
        "docker" => Some(Runtime::Docker),
        "default" | "k8s.io" => Some(Runtime::Containerd),
        _ => None,
    }
}
