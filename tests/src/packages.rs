//! Other people's programs and libraries in versions that Debian doesn't bring, out of the package
//! registries of their languages: which they are, and where `cargo xtask setup --all` puts them.
//!
//! xtask has this file as a module of its own: it uses nothing of its crate.

use std::{env, path::PathBuf};

/// Packages of `PyPI`, in one directory. All of them are built for `CPython` 3.11, Debian 12's.
pub const PYTHON: &[&str] = &[
    // gRPC's C core, with BoringSSL within that has no symbols.
    "grpcio==1.85.1",
    // libcurl, with BoringSSL within that has symbols.
    "curl_cffi==0.16.3",
    // libcurl, on a libssl.so.1.1.
    "pycurl==7.45.3",
    // Node.js 16, with OpenSSL 1.1.1 within.
    "nodejs-bin==16.15.1a4",
];

/// What Python is asked to import to see whether all of them are there.
pub const PYTHON_MODULES: &str = "import grpc, curl_cffi, pycurl, nodejs";

/// Versions of Go as modules of the Go module proxy: the first one with arguments in registers, the
/// first one with the next layout of the table of functions, one with the layout after that.
pub const GO: [&str; 3] = ["1.17.13", "1.18.10", GO_FOR_MODULES];

/// The one that builds programs with modules of other people's.
pub const GO_FOR_MODULES: &str = "1.24.9";

/// Where they are: a directory that stays between runs.
#[must_use]
pub fn directory() -> Option<PathBuf> {
    let cache = match env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(env::var_os("HOME")?).join(".cache"),
    };
    Some(cache.join("sonde/packages"))
}

/// What is to be in `PYTHONPATH` for the packages of [`PYTHON`].
#[must_use]
pub fn python() -> Option<PathBuf> {
    Some(directory()?.join("python"))
}

/// The Node.js that is among them.
#[must_use]
pub fn node() -> Option<PathBuf> {
    Some(python()?.join("nodejs/bin/node"))
}

/// A distribution of Go: what `GOROOT` is to be.
#[must_use]
pub fn go(version: &str) -> Option<PathBuf> {
    Some(directory()?.join("go").join(version))
}
