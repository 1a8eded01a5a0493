//! A server that speaks the Kubernetes API as far as pods and Jobs go: lists in pages, watches with
//! bookmarks, versions that are forgotten, tokens, TLS; and that fails when it is told to.
//!
//! It follows "Kubernetes API concepts": a list has a version, a watch tells what came after one,
//! and one that is forgotten is answered with 410, as a status or as an event.

mod answer;
pub mod manifest;
mod selector;
mod state;
mod tls;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::{Router, routing::get};
use serde_json::Value;
use tokio::{net::TcpListener, runtime::Runtime};

pub use self::state::{Asked, Fault};
use self::{state::State, tls::Authority};

/// A running server; stops when dropped.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    runtime: Option<Runtime>,
    account: PathBuf,
    authority: Authority,
}

impl ApiServer {
    /// Listens on a free port. `account` is where `token` and `ca.crt` are put, as a kubelet puts
    /// them into a pod.
    pub fn start(account: &Path) -> Result<Self> {
        let mut server = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            state: Arc::default(),
            runtime: None,
            account: account.to_owned(),
            authority: Authority::new()?,
        };
        server.replace_token("first")?;
        server.write("ca.crt", server.authority.pem())?;
        server.come_back()?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Ends all connections and listens no more.
    pub fn go_away(&mut self) {
        self.state().end_watches();
        if let Some(runtime) = self.runtime.take() {
            // Everything is dropped, whatever it waits for: the port is free afterwards.
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    /// Listens again, on the same port.
    pub fn come_back(&mut self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(self.address))?;
        self.address = listener.local_addr()?;
        let listener = tls::Listener::new(listener, self.authority.server(self.address.ip())?);
        let router = Router::new()
            .route("/api/v1/pods", get(answer::pods))
            .route(
                "/apis/batch/v1/namespaces/{namespace}/jobs/{name}",
                get(answer::job),
            )
            .with_state(Arc::clone(&self.state));
        runtime.spawn(async move { axum::serve(listener, router).await });
        self.runtime = Some(runtime);
        Ok(())
    }

    /// Takes another token from now on, and puts it where the agent finds it.
    pub fn replace_token(&self, token: &str) -> Result<()> {
        token.clone_into(&mut self.state().token);
        self.write("token", token)
    }

    /// Has a certificate of another authority from now on, which is put where the agent finds it.
    pub fn replace_authority(&mut self) -> Result<()> {
        self.go_away();
        self.authority = Authority::new()?;
        self.write("ca.crt", self.authority.pem())?;
        self.come_back()
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.account.join(file);
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds or changes a pod.
    pub fn apply(&self, pod: Value) {
        self.state().apply(pod);
    }

    /// Removes a pod.
    pub fn delete(&self, uid: &str) {
        self.state().delete(uid);
    }

    /// Adds a Job.
    pub fn add_job(&self, job: Value) {
        self.state().jobs.push(job);
    }

    /// Tells all watches the present version, though nothing has changed for them.
    pub fn bookmark(&self) {
        self.state().bookmark();
    }

    /// Forgets everything that led to the present state.
    pub fn forget(&self) {
        self.state().forget();
    }

    /// Breaks all watches off in the middle of a line.
    pub fn cut_watches(&self) {
        self.state().cut_watches();
    }

    /// Does this instead of answering the next request that is about `asked`.
    pub fn fail(&self, asked: Asked, fault: Fault) {
        self.state().faults.push_back((asked, fault));
    }

    /// Faults that haven't been used yet.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.state().faults.len()
    }

    /// Every request so far that was about `asked`: path and query.
    #[must_use]
    pub fn asked(&self, asked: Asked) -> Vec<String> {
        let state = self.state();
        let about = state.requests.iter().filter(|(about, _)| *about == asked);
        about.map(|(_, request)| request.clone()).collect()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.go_away();
    }
}
