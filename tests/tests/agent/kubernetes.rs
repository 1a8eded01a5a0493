//! A service in a pod: named by the Kubernetes API, whenever that answers.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use sonde_tests::{
    agent::{Agent, PATIENCE},
    exposition::{Counts, Metrics},
    kubernetes::{
        ApiServer,
        manifest::{NODE, Pod, uid},
    },
    lab::{Lab, free_address},
    process::Process,
};

use crate::support::{METHOD, SERVER, SERVICE, counts, curl};

const CONTAINER: &str = "container_name";
const POD: &str = "k8s_pod_name";

/// A container's cgroup, as the kubelet and containerd make it; removed when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    /// In the hierarchy that this host has: cgroup2, or one of cgroup v1's.
    fn make(uid: &str, id: &str) -> Result<Self> {
        let mounts =
            ["", "unified", "systemd", "pids"].map(|name| Path::new("/sys/fs/cgroup").join(name));
        let mount = mounts
            .into_iter()
            .find(|mount| mount.join("cgroup.procs").exists())
            .context("no cgroup hierarchy")?;
        let uid = uid.replace('-', "_");
        let path = mount
            .join("kubepods.slice/kubepods-burstable.slice")
            .join(format!("kubepods-burstable-pod{uid}.slice"))
            .join(format!("cri-containerd-{id}.scope"));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    fn join(&self, id: u32) -> Result<()> {
        Ok(fs::write(self.0.join("cgroup.procs"), id.to_string())?)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The process in it has been killed and may still be on its way out.
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.0).is_err() && self.0.exists() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        // The slices, as far as nobody else has something in them.
        for slice in self.0.ancestors().skip(1).take(3) {
            let _ = fs::remove_dir(slice);
        }
    }
}

/// The agent, a cluster, and a server in a container of a pod.
struct Scene {
    agent: Agent,
    api: ApiServer,
    url: String,
    _server: Process,
    // After the process that is in it.
    _cgroup: Cgroup,
    lab: Lab,
}

fn container_id() -> String {
    format!("{:064x}", std::process::id())
}

fn pod() -> Pod {
    let pod = Pod::new(std::process::id(), "cart-5d4f8c7b9-x2x9k").of_deployment("cart");
    pod.running("containerd", &container_id())
}

impl Scene {
    /// What the agent finds: `prepare` says what the cluster has, and whether it answers.
    fn open(prepare: impl FnOnce(&mut ApiServer)) -> Result<Self> {
        let lab = Lab::open()?;
        let account = lab.path().join("account");
        fs::create_dir(&account)?;
        let mut api = ApiServer::start(&account)?;
        prepare(&mut api);
        let cgroup = Cgroup::make(&uid(std::process::id()), &container_id())?;
        let address = free_address()?;
        let mut command = lab.command("python3");
        command.args(["-m", "http.server", "--bind", "127.0.0.1"]);
        command
            .arg(address.port().to_string())
            .env_remove("OTEL_RESOURCE_ATTRIBUTES");
        let server = lab.serve(&mut command, address)?;
        cgroup.join(server.id())?;
        let agent = lab.agent(&[
            &format!("--kubernetes.api-server={}", api.url()),
            &format!("--kubernetes.account={}", account.display()),
            &format!("--kubernetes.node-name={NODE}"),
        ])?;
        Ok(Self {
            agent,
            api,
            url: format!("http://{address}/"),
            _server: server,
            _cgroup: cgroup,
            lab,
        })
    }

    fn ask(&self, times: u32) -> Result<()> {
        (0..times).try_for_each(|_| curl(&self.lab, &[&self.url]).map(drop))
    }

    /// Requests that were answered in this container, by the names of service and pod.
    fn answered(&self, metrics: &Metrics) -> Counts {
        let port = self.url.rsplit(':').next().unwrap_or_default();
        println!("{port}: {:?}", metrics.by(SERVER, &[], &[SERVICE, POD]));
        metrics.by(
            SERVER,
            &[("k8s_namespace_name", "shop")],
            &[SERVICE, POD, CONTAINER, METHOD],
        )
    }

    fn until(&self, expected: &Counts) -> Result<()> {
        let found = self
            .agent
            .settled(expected, |metrics| self.answered(metrics))?;
        ensure!(
            &found == expected,
            "{found:?} instead of {expected:?}\n{}",
            self.agent.log()
        );
        Ok(())
    }

    /// Waits until the API is watched, or isn't.
    fn until_up(&self, up: f64) -> Result<()> {
        self.agent.eventually("the watch", |metrics| {
            (metrics.sum("sonde_kubernetes_up", &[]) == Some(up)).then_some(())
        })
    }
}

fn of_cart(count: u64) -> Counts {
    counts(&[(["cart", "cart-5d4f8c7b9-x2x9k", "web", "GET"], count)])
}

#[test]
fn a_pod_that_is_known_from_the_start_names_its_service() -> Result<()> {
    let scene = Scene::open(|api| api.apply(pod().json()))?;
    scene.ask(5)?;
    scene.until(&of_cart(5))?;
    let metrics = scene.agent.metrics()?;
    let labels = [
        ("k8s_deployment_name", "cart"),
        ("container_id", &*container_id()),
    ];
    let info = metrics.by(
        "target_info",
        &labels,
        &["service_version", "k8s_node_name"],
    );
    assert_eq!(info.len(), 1, "{}", scene.agent.log());
    assert_eq!(
        info.keys().next().map(Vec::as_slice),
        Some(&["1.4".to_owned(), NODE.to_owned()][..])
    );
    Ok(())
}

#[test]
fn series_from_before_the_pod_was_known_go_on_under_its_name() -> Result<()> {
    let mut scene = Scene::open(ApiServer::go_away)?;
    scene.until_up(0.0)?;
    scene.ask(7)?;
    // By what the host tells: the program.
    let before = scene.agent.eventually("the first requests", |metrics| {
        let by_service = metrics.by(SERVER, &[("container_id", &container_id())], &[SERVICE]);
        by_service
            .values()
            .any(|count| *count == 7)
            .then_some(by_service)
    })?;
    assert_eq!(before, counts(&[(["http.server"], 7)]));
    scene.api.apply(pod().json());
    scene.api.come_back()?;
    scene.until(&of_cart(7))?;
    scene.ask(3)?;
    scene.until(&of_cart(10))?;
    let left = scene.agent.metrics()?;
    let left = left.by(SERVER, &[("container_id", &container_id())], &[SERVICE]);
    assert_eq!(left, BTreeMap::new(), "nothing is left under the old name");
    assert!(
        scene
            .agent
            .log()
            .contains("the Kubernetes API answers again")
    );
    // An outage changes nothing of what is known, and new pods are known after it.
    scene.until_up(1.0)?;
    scene.api.go_away();
    scene.until_up(0.0)?;
    scene.ask(2)?;
    scene.until(&of_cart(12))?;
    scene.api.apply(
        pod()
            .annotation("resource.opentelemetry.io/service.name", "basket")
            .json(),
    );
    scene.api.come_back()?;
    let expected = counts(&[(["basket", "cart-5d4f8c7b9-x2x9k", "web", "GET"], 12)]);
    let deadline = Instant::now() + PATIENCE;
    while scene.answered(&scene.agent.metrics()?) != expected {
        ensure!(
            Instant::now() < deadline,
            "not renamed:\n{}",
            scene.agent.log()
        );
        thread::sleep(Duration::from_millis(100));
    }
    let log = scene.agent.log();
    let warnings = log.matches("doesn't tell which pods there are").count();
    assert_eq!(warnings, 2, "once for each outage:\n{log}");
    Ok(())
}
