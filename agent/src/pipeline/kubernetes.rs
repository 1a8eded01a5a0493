//! Starts the watch on this node's pods, where there are any.

use std::{
    env,
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use http::Uri;

use crate::{
    config::{
        self,
        value::{ClusterName, Kubernetes as Mode, NodeName},
    },
    enrich::{
        host,
        kubernetes::{Access, Kubernetes, Pace, Settings},
        process::Processes,
    },
    metric::Resource,
};

/// Time in which pods that are known from the start give their services the right names at once.
const FIRST_LIST: Duration = Duration::from_secs(1);
/// What pods are usually given their node's name in (the downward API), besides the setting's own.
const NODE_NAME: &str = "NODE_NAME";
/// Where the kubelet says to pods that the API server is.
const SERVICE_HOST: &str = "KUBERNETES_SERVICE_HOST";
const SERVICE_PORT: &str = "KUBERNETES_SERVICE_PORT";

/// Starts to watch, and waits a moment for the pods that there are. To be called with as few
/// capabilities as the agent needs: the thread has those of its maker.
pub(super) fn start(
    config: &config::Kubernetes,
    processes: &mut Processes,
) -> anyhow::Result<Option<Kubernetes>> {
    let Some(settings) = settings(config)? else {
        return Ok(None);
    };
    tracing::info!(node = settings.node, "watching the pods of this node");
    let mut kubernetes =
        Kubernetes::start(settings).context("can't start the kubernetes thread")?;
    match kubernetes.first_list(Instant::now() + FIRST_LIST) {
        Some(pods) => processes.pods(pods),
        None => {
            tracing::info!("the pods aren't known yet; their services are renamed once they are");
        }
    }
    Ok(Some(kubernetes))
}

/// How pods are watched; `None` where they aren't.
fn settings(config: &config::Kubernetes) -> anyhow::Result<Option<Settings>> {
    let asked_for = match config.enabled {
        Mode::Off => return Ok(None),
        Mode::On => true,
        Mode::Auto => false,
    };
    let Some(access) = access(config)? else {
        anyhow::ensure!(
            !asked_for,
            "kubernetes.enabled is on, but this is no pod of a cluster, and neither \
             kubernetes.kubeconfig nor kubernetes.api-server is set"
        );
        return Ok(None);
    };
    let Some(node) = node_name(config) else {
        anyhow::ensure!(
            !asked_for,
            "kubernetes.enabled is on, but kubernetes.node-name isn't set"
        );
        tracing::warn!(
            "pods aren't watched: the name of this node isn't known (kubernetes.node-name, \
             K8S_NODE_NAME or NODE_NAME)"
        );
        return Ok(None);
    };
    Ok(Some(Settings {
        node,
        access,
        pace: Pace::default(),
        patience: Settings::PATIENCE,
    }))
}

/// The host as a node of its cluster, as far as that is known.
pub(super) fn node(config: &config::Kubernetes, host: Arc<Resource>) -> Arc<Resource> {
    let node = node_name(config).filter(|_| config.enabled != Mode::Off);
    let cluster = config.cluster_name.as_ref().map(ClusterName::as_str);
    if node.is_none() && cluster.is_none() {
        return host;
    }
    host::of_cluster(&host, node.as_deref(), cluster)
}

/// The setting, else what pods are usually given; outside of pods the variable means anything.
fn node_name(config: &config::Kubernetes) -> Option<String> {
    if let Some(name) = &config.node_name {
        return Some(name.as_str().to_owned());
    }
    variable(SERVICE_HOST)?;
    let name = NodeName::checked(&variable(NODE_NAME)?).ok()?;
    Some(name.as_str().to_owned())
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Who is asked: as the configuration says, else as a pod finds its cluster.
fn access(config: &config::Kubernetes) -> anyhow::Result<Option<Access>> {
    if let Some(kubeconfig) = &config.kubeconfig {
        return Ok(Some(Access::Kubeconfig(kubeconfig.clone())));
    }
    let token = config.account.join("token");
    let server = match &config.api_server {
        Some(server) => Some(server.get().clone()),
        None => in_cluster(&token)?,
    };
    Ok(server.map(|server| Access::Token {
        server,
        token,
        authorities: config.account.join("ca.crt"),
    }))
}

/// The API server of the cluster that this is a pod of, by the variables that the kubelet sets;
/// `None` where a token or one of them is missing.
fn in_cluster(token: &Path) -> anyhow::Result<Option<Uri>> {
    let (Some(host), Some(port)) = (variable(SERVICE_HOST), variable(SERVICE_PORT)) else {
        return Ok(None);
    };
    if !token.exists() {
        return Ok(None);
    }
    let server = match host.parse() {
        Ok(IpAddr::V6(address)) => format!("https://[{address}]:{port}"),
        _ => format!("https://{host}:{port}"),
    };
    let server = server
        .parse()
        .context("KUBERNETES_SERVICE_HOST and _PORT are no address")?;
    Ok(Some(server))
}
