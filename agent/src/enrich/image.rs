//! What is kept of a program that a process runs: enough to describe its service, and no more.

use std::{path::Path, sync::Arc};

use super::{
    container::Placement,
    declared::Declared,
    description::Description,
    kubernetes::Membership,
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
    /// Names of its container, as the runtime's files told them.
    names: Arc<Names>,
    /// What the service is called where nobody has given it a name.
    observed: Arc<str>,
    /// Its place in a pod that the Kubernetes API has told of.
    membership: Option<Membership>,
    /// Whether `service.instance.id` is left to the host's id.
    unnamed_instance: bool,
}

/// What an [`Image`] is made of.
#[derive(Clone, Debug)]
pub(super) struct Source<'a> {
    pub(super) declared: &'a Declared,
    pub(super) placement: &'a Placement,
    pub(super) names: &'a Arc<Names>,
    pub(super) membership: Option<Membership>,
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
        let observed = service::observed(&Facts {
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
        Self {
            identity: Attributes::none(),
            service: Vec::new(),
            executable: executable.map(Arc::from),
            command: command.map(Arc::from),
            declared: source.declared.clone(),
            placement: source.placement.clone(),
            names: Arc::clone(source.names),
            observed,
            membership: source.membership.clone(),
            unnamed_instance: true,
        }
        .described()
    }

    /// The same program, in a pod of which more is known now.
    pub(super) fn in_pod(&self, membership: Membership) -> Self {
        Self {
            identity: Attributes::none(),
            service: Vec::new(),
            executable: self.executable.clone(),
            command: self.command.clone(),
            declared: self.declared.clone(),
            placement: self.placement.clone(),
            names: Arc::clone(&self.names),
            observed: Arc::clone(&self.observed),
            membership: Some(membership),
            unnamed_instance: true,
        }
        .described()
    }

    /// With the attributes that follow from the rest.
    fn described(mut self) -> Self {
        let description = Description::of(&self);
        let unnamed_instance = description.instance.is_none();
        (self.identity, self.service) = description.attributes();
        self.unnamed_instance = unnamed_instance;
        self
    }

    /// Kernel threads are one service: their names change with what they do.
    pub(super) fn kernel() -> Self {
        Self::named("kernel", &Placement::default(), &Arc::default(), None)
    }

    /// Nothing is known.
    pub(super) fn unknown() -> Self {
        Self::named(
            service::UNKNOWN,
            &Placement::default(),
            &Arc::default(),
            None,
        )
    }

    /// Only a name is known, and perhaps a place.
    pub(super) fn named(
        name: &str,
        placement: &Placement,
        names: &Arc<Names>,
        membership: Option<Membership>,
    ) -> Self {
        Self::new(&Source {
            membership,
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

    pub(super) fn observed(&self) -> &Arc<str> {
        &self.observed
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
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
