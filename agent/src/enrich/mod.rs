//! Whose is it: from a process to its service, container and host.
//!
//! [`process::Processes`] answers for every process id; the rules for names are in `service`,
//! where a process was put is read in [`container`].

mod cgroup;
pub mod charge;
pub mod container;
pub mod counter;
pub mod declared;
mod description;
pub mod host;
mod image;
mod instance;
pub mod kubernetes;
pub mod listener;
mod observe;
pub mod process;
mod runtime;
mod script;
mod service;
pub mod start;

pub use instance::Renewed;
