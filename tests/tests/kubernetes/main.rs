//! The watch on pods against a server that speaks the Kubernetes API, over TLS, and what it makes
//! of services. Needs no privileges.

mod protocol;
mod scene;
mod trouble;
mod workloads;
