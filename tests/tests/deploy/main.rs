//! What `deploy/` holds works: each file is read by the tool that it is for, or by its schema.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

mod container;
mod contract;
mod grafana;
mod kubernetes;
mod prometheus;
mod systemd;

/// A file or folder of `deploy/`.
fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a tool did.
struct Outcome {
    passed: bool,
    /// Both of its outputs.
    said: String,
}

/// Runs a tool that `cargo xtask setup` installs.
fn tool(name: &str, package: &str, arguments: &[&str]) -> Outcome {
    let output = match Command::new(name).args(arguments).output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{name} is missing: install the Debian package {package}")
        }
        Err(error) => panic!("{name}: {error}"),
    };
    let said = [output.stdout, output.stderr].concat();
    Outcome {
        passed: output.status.success(),
        said: String::from_utf8_lossy(&said).into_owned(),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the paths of this project are UTF-8")
}
