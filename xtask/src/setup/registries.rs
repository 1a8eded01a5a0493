//! What the tests run of other people's that comes out of the package registries of Python and Go.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::say;
use crate::{
    packages::{self, GO, GO_FOR_MODULES, PYTHON, PYTHON_MODULES},
    sh, workspace,
};

/// Fetches what is missing.
pub(super) fn ensure() -> Result<()> {
    ensure_python()?;
    for version in GO {
        ensure_go(version)?;
    }
    ensure_go_modules()
}

const NO_HOME: &str = "HOME is not set";

fn ensure_python() -> Result<()> {
    let directory = packages::python().context(NO_HOME)?;
    if !python_works(&directory) {
        say("get", PYTHON.join(" "));
        // Another Python's may be there.
        if directory.exists() {
            fs::remove_dir_all(&directory)
                .with_context(|| format!("emptying {}", directory.display()))?;
        }
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--only-binary=:all:"]);
        sh::run(pip.arg("--target").arg(&directory).args(PYTHON)).context(
            "these packages are built for CPython 3.11, which is Debian 12's: is python3 another one?",
        )?;
        if !python_works(&directory) {
            bail!("{} are installed, and can't be used", PYTHON.join(" "));
        }
    }
    say("ok", PYTHON.join(" "));
    Ok(())
}

fn python_works(directory: &Path) -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", PYTHON_MODULES]);
    let node = packages::node();
    sh::succeeds(python.env("PYTHONPATH", directory))
        && node.is_some_and(|node| sh::succeeds(Command::new(node).arg("--version")))
}

/// A distribution of Go, as the module `golang.org/toolchain`. The go command can fetch and use one
/// by itself (`GOTOOLCHAIN`) since 1.21; Debian 12's is older.
fn ensure_go(version: &str) -> Result<()> {
    let link = packages::go(version).context(NO_HOME)?;
    if !go_works(&link) {
        say("get", format_args!("Go {version}"));
        let root = download_go(version)?;
        for directory in ["bin", "pkg/tool"] {
            make_executable(&root.join(directory))?;
        }
        let parent = link.parent().context("it is in a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        // It may lead to a module cache that has been emptied.
        let _ = fs::remove_file(&link);
        symlink(&root, &link).with_context(|| format!("making {}", link.display()))?;
        if !go_works(&link) {
            bail!("Go {version} is in {} and doesn't start", root.display());
        }
    }
    say("ok", format_args!("Go {version}"));
    Ok(())
}

fn go_works(root: &Path) -> bool {
    // Whatever flags the user has set for a newer one.
    let mut go = go(root);
    sh::succeeds(go.arg("version").env("GOENV", "off").env("GOFLAGS", ""))
}

fn go(root: &Path) -> Command {
    let mut go = Command::new(root.join("bin/go"));
    go.env("GOROOT", root).env("GOTOOLCHAIN", "local");
    go
}

fn download_go(version: &str) -> Result<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Download {
        #[serde(rename = "Dir")]
        directory: PathBuf,
    }
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let module = format!("golang.org/toolchain@v0.0.1-go{version}.linux-{machine}");
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", &module]);
    let told = sh::output(go.current_dir("/"))?;
    let download: Download = serde_json::from_str(&told).context("go mod download -json")?;
    Ok(download.directory)
}

/// Modules have no executable files: the go command makes those of a distribution so itself.
fn make_executable(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            make_executable(&path)?;
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// The modules of other people's that the tests' programs in Go are built with.
fn ensure_go_modules() -> Result<()> {
    let root = packages::go(GO_FOR_MODULES).context(NO_HOME)?;
    let programs = workspace::root().join("tests/tests/agent/programs/calls");
    sh::run(go(&root).args(["mod", "download"]).current_dir(programs))?;
    say("ok", "modules of Go programs");
    Ok(())
}
