//! A cluster's API server, a node's `/proc`, and what the agent makes of both.

use std::{
    fs,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use sonde::{
    enrich::{
        host,
        kubernetes::{Access, Kubernetes, Pace, Settings, Update},
        process::{Limits, Processes},
    },
    metric::{Collector, Resource, Value},
    root::Root,
};
use sonde_tests::kubernetes::{ApiServer, manifest::NODE};
use tempfile::TempDir;

/// Time in which something must come about.
const PATIENCE: Duration = Duration::from_mins(1);
/// Time in which the client under test wants its answers, on a busy machine.
const ANSWER: Duration = Duration::from_secs(3);

pub(crate) struct Scene {
    pub(crate) api: ApiServer,
    pub(crate) kubernetes: Kubernetes,
    pub(crate) processes: Processes,
    /// Everything that has been told.
    pub(crate) updates: Vec<Update>,
    directory: TempDir,
}

/// A container's id.
pub(crate) fn id(number: u32) -> String {
    format!("{number:064x}")
}

/// The cgroup that the kubelet and a runtime make with systemd's help.
pub(crate) fn cgroup(uid: &str, id: &str) -> String {
    let uid = uid.replace('-', "_");
    format!(
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice/cri-containerd-{id}.scope\n"
    )
}

impl Scene {
    /// The watch has begun, on what `prepare` has put into the cluster.
    pub(crate) fn begin(prepare: impl FnOnce(&ApiServer)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for path in ["proc", "sys", "account"] {
            fs::create_dir(directory.path().join(path)).expect("a directory");
        }
        let account = directory.path().join("account");
        let api = ApiServer::start(&account).expect("a server");
        prepare(&api);
        let settings = Settings {
            node: NODE.to_owned(),
            access: Access::Token {
                server: api.url().parse().expect("a URL"),
                token: account.join("token"),
                authorities: account.join("ca.crt"),
            },
            pace: Pace {
                first: Duration::from_millis(20),
                longest: Duration::from_millis(100),
            },
            patience: ANSWER,
        };
        let root = Root {
            procfs: directory.path().join("proc"),
            sysfs: directory.path().join("sys"),
            rootfs: directory.path().to_owned(),
        };
        let processes = Processes::new(&root, host::resource(&root), Limits::default());
        Self {
            api,
            kubernetes: Kubernetes::start(settings).expect("a thread"),
            processes,
            updates: Vec::new(),
            directory,
        }
    }

    /// A process in a cgroup.
    pub(crate) fn process(&self, tgid: u32, cgroup: &str) {
        let path = self.directory.path().join("proc").join(tgid.to_string());
        fs::create_dir_all(&path).expect("a directory");
        let stat = format!("{tgid} (server) S 1 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 500 9 9\n");
        for (file, text) in [
            ("stat", &*stat),
            ("cmdline", "/bin/server\0"),
            ("environ", ""),
            ("cgroup", cgroup),
        ] {
            fs::write(path.join(file), text).expect("a file");
        }
    }

    /// Takes in what has been told so far.
    pub(crate) fn take(&mut self) {
        for update in self.kubernetes.updates() {
            self.updates.push(update.clone());
            self.processes.pods(update);
        }
    }

    /// Takes in what is told until `found` finds what it looks for.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut found: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.take();
            if let Some(found) = found(self) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "{what}: not within {PATIENCE:?}\n{:#?}\n{:#?}",
                self.updates,
                self.numbers()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until so many pods are known.
    pub(crate) fn until_pods(&mut self, count: usize) {
        self.until("pods", |scene| {
            (scene.processes.counters().pods == count).then_some(())
        });
    }

    /// Waits until it watches.
    pub(crate) fn until_up(&mut self) {
        self.until("the watch", |scene| {
            (scene.number("sonde.kubernetes.up", None) == 1).then_some(())
        });
    }

    /// Whose a process is.
    pub(crate) fn owner(&mut self, tgid: u32) -> Arc<Resource> {
        self.processes.owner(tgid)
    }

    /// The watch's own numbers: name, value of the only attribute, value.
    pub(crate) fn numbers(&self) -> Vec<(&'static str, String, u64)> {
        let mut collector = Collector::new(host::resource(&Root::default()), std::time::UNIX_EPOCH);
        self.kubernetes.collect(&mut collector);
        let families = collector.into_families().into_iter();
        families
            .flat_map(|family| {
                let name = family.descriptor.name;
                family.points.into_iter().map(move |point| {
                    let mut values = point.attributes.iter().map(|(_, value)| value.to_string());
                    let Value::Integer(number) = point.value else {
                        panic!("{name} is no whole number");
                    };
                    (name, values.next().unwrap_or_default(), number)
                })
            })
            .collect()
    }

    pub(crate) fn number(&self, name: &str, attribute: Option<&str>) -> u64 {
        let numbers = self.numbers();
        let of = numbers.iter().find(|(found, value, _)| {
            *found == name && attribute.is_none_or(|attribute| attribute == value)
        });
        of.expect("a metric").2
    }

    pub(crate) fn failures(&self, reason: &str) -> u64 {
        self.number("sonde.kubernetes.failures", Some(reason))
    }

    /// How often everything was listed.
    pub(crate) fn lists(&self) -> u64 {
        self.number("sonde.kubernetes.events", Some("listed"))
    }

    pub(crate) fn account(&self) -> std::path::PathBuf {
        self.directory.path().join("account")
    }
}

pub(crate) fn get(resource: &Resource, name: &str) -> Option<String> {
    resource.attributes.get(name).map(ToString::to_string)
}
