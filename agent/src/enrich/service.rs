//! What a service is called: the first rule that knows.

use std::{path::Path, sync::Arc};

use super::{container::Placement, declared::Declared, kubernetes::Pod, runtime::Names, script};

/// Longest `service.name`, in bytes.
const NAME_MAX: usize = 128;

/// Everything that is known of a process when its service is named. The arguments are looked at
/// and let go: only what a rule takes of them, a program's or script's name, is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    /// From the cgroup.
    pub(super) placement: &'a Placement,
    /// From the container runtime's files.
    pub(super) names: &'a Names,
    /// File name of the program.
    pub(super) executable: Option<&'a str>,
    /// Arguments, the program's name first.
    pub(super) args: &'a [String],
    /// Working directory.
    pub(super) directory: Option<&'a Path>,
    /// The kernel's short name of the process.
    pub(super) comm: &'a str,
}

/// A way of naming a service.
type Rule = fn(&Facts<'_>) -> Option<String>;

/// The rules for what nobody has declared, best first.
const RULES: &[Rule] = &[container, unit, script, executable, invoked];

/// The value of `service.name`: what its environment declares, then what its pod does, then what
/// the pod is called by OpenTelemetry's rules for Kubernetes, else what [`observed`] says.
pub(super) fn name(declared: &Declared, kubernetes: Option<&Pod>, observed: &Arc<str>) -> Arc<str> {
    let annotated = kubernetes.and_then(|pod| pod.declared().service_name.as_deref());
    declared
        .service_name
        .as_deref()
        .and_then(tidy)
        .or_else(|| annotated.and_then(tidy))
        .map(Arc::from)
        .or_else(|| kubernetes.map(|pod| Arc::clone(pod.service_name())))
        .unwrap_or_else(|| Arc::clone(observed))
}

/// What a service is called that nobody has given a name: what the first rule says, else the
/// kernel's name of the process, else `unknown`.
pub(super) fn observed(facts: &Facts<'_>) -> Arc<str> {
    RULES
        .iter()
        .find_map(|rule| rule(facts).and_then(|name| tidy(&name)))
        .or_else(|| tidy(facts.comm))
        .map_or_else(|| UNKNOWN.into(), Arc::from)
}

/// The name of a service that nothing is known of.
pub(super) const UNKNOWN: &str = "unknown";

/// A name fit for a label: no control characters, of bounded length; `None` when nothing is left.
pub(super) fn tidy(name: &str) -> Option<String> {
    let name = name.trim();
    let end = (0..=NAME_MAX.min(name.len()))
        .rev()
        .find(|end| name.is_char_boundary(*end))?;
    let tidy: String = name
        .get(..end)?
        .chars()
        .map(|c| if c.is_control() { '_' } else { c })
        .collect();
    (!tidy.is_empty()).then_some(tidy)
}

/// LXC's and systemd-nspawn's containers are whole systems; their services have units.
fn container(facts: &Facts<'_>) -> Option<String> {
    let container = facts.placement.container.as_ref()?;
    if container
        .runtime
        .is_some_and(|runtime| !runtime.is_application())
    {
        return None;
    }
    facts.names.container.as_deref().map(str::to_owned)
}

fn unit(facts: &Facts<'_>) -> Option<String> {
    facts.placement.unit.as_deref().map(str::to_owned)
}

fn script(facts: &Facts<'_>) -> Option<String> {
    script::name(facts.executable, facts.args, facts.directory)
}

/// Programs that are many: which one is meant is in their first argument.
const MULTI_CALL: &[&str] = &["busybox", "toybox", "coreutils"];

fn executable(facts: &Facts<'_>) -> Option<String> {
    let executable = facts.executable?;
    if MULTI_CALL.contains(&executable) {
        let applet = facts.args.first().map(|name| script::base_name(name));
        if let Some(applet) = applet.filter(|name| !name.is_empty()) {
            return Some(applet.to_owned());
        }
    }
    Some(executable.to_owned())
}

/// What a program without a file was started as: the kernel's name for it is that of the memory it
/// was started from, which may be another one each time, or a descriptor's number (fexecve(3)).
fn invoked(facts: &Facts<'_>) -> Option<String> {
    let is_descriptor = facts.comm.chars().all(|c| c.is_ascii_digit());
    if facts.executable.is_some() || !(is_descriptor || facts.comm.starts_with("memfd:")) {
        return None;
    }
    let name = script::base_name(facts.args.first()?);
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::container::{Container, Runtime};

    #[derive(Default)]
    struct Process {
        declared: Declared,
        placement: Placement,
        names: Names,
        executable: Option<&'static str>,
        args: Vec<String>,
        comm: &'static str,
    }

    impl Process {
        fn name(&self) -> String {
            let observed = observed(&Facts {
                placement: &self.placement,
                names: &self.names,
                executable: self.executable,
                args: &self.args,
                directory: None,
                comm: self.comm,
            });
            name(&self.declared, None, &observed).to_string()
        }
    }

    #[test]
    fn each_rule_gives_way_to_the_one_before_it() {
        let mut process = Process::default();
        assert_eq!(process.name(), "unknown");
        process.comm = "python3";
        assert_eq!(process.name(), "python3");
        process.executable = Some("python3.11");
        assert_eq!(process.name(), "python3.11");
        process.args = vec!["python3".into(), "/srv/cart.py".into()];
        assert_eq!(process.name(), "cart");
        process.placement = Placement::of_path("/system.slice/shop.service");
        assert_eq!(process.name(), "shop");
        process.placement.container = Some(Container {
            id: "1".into(),
            runtime: Some(Runtime::Docker),
        });
        process.names.container = Some("shop-cart-1".into());
        assert_eq!(process.name(), "shop-cart-1");
        process.declared.service_name = Some("cart".into());
        assert_eq!(process.name(), "cart");
    }

    #[test]
    fn services_of_a_system_container_have_their_units_names() {
        let process = Process {
            placement: Placement::of_path("/lxc.payload.c1/system.slice/nginx.service"),
            names: Names {
                container: Some("c1".into()),
                ..Names::default()
            },
            ..Process::default()
        };
        assert_eq!(process.name(), "nginx");
    }

    #[test]
    fn a_program_in_memory_is_called_as_it_was_started() {
        for comm in ["memfd:sealed-91", "5"] {
            let mut process = Process {
                args: vec!["/opt/shop/cart".into(), "--port=1".into()],
                comm,
                ..Process::default()
            };
            assert_eq!(process.name(), "cart");
            process.args.clear();
            assert_eq!(process.name(), comm);
        }
        // Whose link can't be read may call itself anything.
        let process = Process {
            args: vec!["sshd: root [priv]".into()],
            comm: "sshd",
            ..Process::default()
        };
        assert_eq!(process.name(), "sshd");
    }

    #[test]
    fn a_multi_call_program_is_called_by_its_applet() {
        let process = Process {
            executable: Some("busybox"),
            args: vec!["/bin/httpd".into(), "-f".into()],
            ..Process::default()
        };
        assert_eq!(process.name(), "httpd");
    }

    #[test]
    fn names_are_fit_for_labels() {
        assert_eq!(tidy(" a\nb\u{7f} ").as_deref(), Some("a_b_"));
        assert_eq!(tidy(" \n "), None);
        assert_eq!(tidy(&"é".repeat(100)).unwrap().len(), NAME_MAX);
    }
}
