//! What is kept of a program that a process runs: enough to describe its service, and no more.

use std::{path::Path, sync::Arc};

use super::{
    container::Placement,
    declared::Declared,
    runtime::Names,
    script,
    service::{self, Facts},
};
use crate::metric::{AttributeValue, Attributes, Resource};

/// A described program. Forked processes share their parent's.
///
/// # Privacy
///
/// Of the arguments only the first (the program's name) is kept, and only if it has no white
/// space: a process that writes its title there may say anything. Of the environment only the
/// five attributes of [`Declared`] are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Image {
    identity: Attributes,
    /// Attributes of the service, besides those of the process and the host.
    service: Vec<(&'static str, AttributeValue)>,
    executable: Option<Arc<str>>,
    command: Option<Arc<str>>,
    /// From the environment: what a short-lived program of the same process inherits.
    declared: Declared,
    /// Where the process was put when this was made.
    placement: Placement,
    /// Whether `service.instance.id` is left to the host's id.
    unnamed_instance: bool,
}

/// What an [`Image`] is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) declared: &'a Declared,
    pub(super) placement: &'a Placement,
    pub(super) names: &'a Names,
    pub(super) executable: Option<&'a str>,
    /// Arguments with their NULs, as in `/proc/PID/cmdline`.
    pub(super) args: &'a [u8],
    pub(super) directory: Option<&'a Path>,
    pub(super) comm: &'a str,
}

impl Image {
    /// Describes a program.
    pub(super) fn new(source: &Source<'_>) -> Self {
        let args = arguments(source.args);
        let executable = source.executable.and_then(service::tidy);
        let name = service::name(&Facts {
            declared: source.declared,
            placement: source.placement,
            names: source.names,
            executable: executable.as_deref(),
            args: &args,
            directory: source.directory,
            comm: source.comm,
        });
        let command = args
            .first()
            .filter(|name| !name.contains(char::is_whitespace))
            .and_then(|name| service::tidy(name));
        let (identity, service) = describe(&name, source);
        Self {
            unnamed_instance: !service.iter().any(|(key, _)| *key == "service.instance.id"),
            identity,
            service,
            executable: executable.map(Arc::from),
            command: command.map(Arc::from),
            declared: source.declared.clone(),
            placement: source.placement.clone(),
        }
    }

    /// Kernel threads are one service: their names change with what they do.
    pub(super) fn kernel() -> Self {
        Self::named("kernel", &Placement::default(), &Names::default())
    }

    /// Nothing is known.
    pub(super) fn unknown() -> Self {
        Self::named(service::UNKNOWN, &Placement::default(), &Names::default())
    }

    /// Only a name is known, and perhaps a place.
    pub(super) fn named(name: &str, placement: &Placement, names: &Names) -> Self {
        Self::new(&Source {
            declared: &Declared::default(),
            placement,
            names,
            executable: None,
            args: &[],
            directory: None,
            comm: name,
        })
    }

    /// What tells this program's service instance apart.
    pub(super) fn identity(&self) -> &Attributes {
        &self.identity
    }

    pub(super) fn declared(&self) -> &Declared {
        &self.declared
    }

    pub(super) fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The resource of an instance whose main process is `tgid`.
    pub(super) fn resource(&self, tgid: Option<u32>, host: &Resource) -> Resource {
        let process = [
            ("process.pid", tgid.map(|tgid| i64::from(tgid).into())),
            (
                "process.executable.name",
                self.executable.clone().map(AttributeValue::from),
            ),
            (
                "process.command",
                self.command.clone().map(AttributeValue::from),
            ),
        ];
        let instance = self
            .unnamed_instance
            .then(|| {
                ["host.id", "host.name"]
                    .iter()
                    .find_map(|key| host.attributes.get(key))
            })
            .flatten()
            .map(|id| ("service.instance.id", id.clone()));
        let attributes = host
            .attributes
            .iter()
            .cloned()
            .chain(self.service.iter().cloned())
            .chain(instance)
            .chain(
                process
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .collect();
        Resource {
            attributes,
            identity: self.identity.clone(),
        }
    }
}

/// The identity and the other attributes of a service.
fn describe(
    name: &Arc<str>,
    source: &Source<'_>,
) -> (Attributes, Vec<(&'static str, AttributeValue)>) {
    let declared = source.declared;
    let container = source.placement.container.as_ref();
    let text = |value: &Option<Arc<str>>| value.clone().map(AttributeValue::from);
    let id = container.map(|container| Arc::clone(&container.id));
    let runtime = container.and_then(|container| container.runtime);
    let identity = [
        ("service.name", Some(Arc::clone(name).into())),
        ("service.namespace", text(&declared.service_namespace)),
        ("service.instance.id", text(&declared.service_instance_id)),
        ("container.id", text(&id)),
        ("k8s.namespace.name", text(&source.names.namespace)),
        ("k8s.pod.name", text(&source.names.pod)),
    ];
    let pod = source.placement.pod.as_ref();
    let instance = declared.service_instance_id.clone().or_else(|| id.clone());
    let more = [
        ("service.instance.id", text(&instance)),
        ("service.version", text(&declared.service_version)),
        (
            "deployment.environment.name",
            text(&declared.deployment_environment),
        ),
        ("container.name", text(&source.names.container)),
        (
            "container.runtime.name",
            runtime.map(|runtime| runtime.as_str().into()),
        ),
        ("k8s.container.name", text(&source.names.k8s_container)),
        ("k8s.pod.uid", pod.map(|pod| Arc::clone(&pod.uid).into())),
    ];
    let identity: Vec<_> = identity
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
    let more = more
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    let service = identity.iter().cloned().chain(more).collect();
    (identity.into_iter().collect(), service)
}

/// The arguments of a NUL-separated area; bytes that aren't UTF-8 are replaced.
fn arguments(area: &[u8]) -> Vec<String> {
    let end = area
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    if end == 0 {
        return Vec::new();
    }
    area[..end]
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

/// File name of the program that an exec record's path names.
///
/// For a script, whose path the kernel puts behind the interpreter's among the arguments, it is
/// the interpreter's; for a path that names an open file, the first argument has to do.
pub(super) fn executable_of(path: &str, area: &[u8]) -> String {
    let args = arguments(area);
    let is_link = path.starts_with("/proc/self/") || path.starts_with("/dev/fd/");
    let program = match args.split_first() {
        Some((first, rest)) if is_link || first != path && rest.iter().any(|one| one == path) => {
            first
        }
        _ => path,
    };
    script::base_name(program).to_owned()
}
