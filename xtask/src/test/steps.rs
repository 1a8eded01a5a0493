//! The checks themselves, cheapest first.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Step, fuzz};
use crate::{sh, toolchain, vm, workspace};

pub(super) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the formatting is rustfmt's",
        blocked: never,
        run: formatting,
    },
    Step {
        name: "deny",
        about: "licences, banned crates and sources of the dependencies",
        blocked: never,
        run: || sh::run(sh::cargo().args(["deny", "check", "licenses", "bans", "sources"])),
    },
    Step {
        name: "clippy",
        about: "no warning in what runs in user space",
        blocked: never,
        run: clippy,
    },
    Step {
        name: "clippy-ebpf",
        about: "no warning in what runs in the kernel",
        blocked: no_ebpf_clippy,
        run: clippy_ebpf,
    },
    Step {
        name: "unit",
        about: "unit and property tests, without root",
        blocked: never,
        run: unit,
    },
    Step {
        name: "fuzz",
        about: "some seconds of each fuzz target",
        blocked: never,
        run: fuzz::fuzz,
    },
    Step {
        name: "build",
        about: "the release build",
        blocked: never,
        run: || sh::run(sh::cargo().args(["build", "--release", "--package", "sonde"])),
    },
    Step {
        name: "integration",
        about: "the agent with real programs on this machine's kernel",
        blocked: no_root,
        run: integration,
    },
    Step {
        name: "vm",
        about: "the kernel-facing tests on other kernels",
        blocked: never,
        run: || vm::vm(&vm::Args::default()),
    },
];

fn never() -> Option<String> {
    None
}

fn no_root() -> Option<String> {
    if sh::is_root() || sh::succeeds(Command::new("sudo").args(["--non-interactive", "true"])) {
        return None;
    }
    Some("loading kernel programs needs root: run as root, or allow sudo without a password".into())
}

fn formatting() -> Result<()> {
    sh::run(sh::cargo().args(["fmt", "--all", "--check"]))?;
    let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
    sh::run(sh::cargo().args(fuzz))
}

fn clippy() -> Result<()> {
    let packages = ["--workspace", "--exclude", "sonde-ebpf", "--all-targets"];
    sh::run(
        sh::cargo()
            .arg("clippy")
            .args(packages)
            .args(["--", "--deny", "warnings"]),
    )
}

fn no_ebpf_clippy() -> Option<String> {
    let toolchain = toolchain::find()?;
    let mut version = toolchain::command(toolchain.name.as_deref(), "cargo");
    if sh::succeeds(version.args(["clippy", "--version"])) {
        return None;
    }
    let name = toolchain.name.unwrap_or_default();
    Some(format!(
        "the toolchain of the kernel side ({name}) has no clippy: install it there"
    ))
}

fn clippy_ebpf() -> Result<()> {
    let toolchain = toolchain::find().context("no compiler for BPF: run `cargo xtask setup`")?;
    let mut clippy = toolchain::command(toolchain.name.as_deref(), "cargo");
    clippy
        .current_dir(workspace::root())
        .args([
            "clippy",
            "--package",
            "sonde-ebpf",
            "--release",
            "--target",
            toolchain::TARGET,
        ])
        // Of its own: another compiler's results would be thrown away, and those of this one next.
        .arg("--target-dir")
        .arg(workspace::target()?.join("clippy-ebpf"))
        .env("CARGO_ENCODED_RUSTFLAGS", bpf_flags());
    if let Some(value) = toolchain.bootstrap() {
        clippy.env("RUSTC_BOOTSTRAP", value);
    }
    if toolchain.core == toolchain::Core::Sources {
        clippy.args(["-Z", "build-std=core"]);
    }
    sh::run(clippy.args(["--", "--deny", "warnings"]))
}

/// As aya-build gives them to the compiler, so that the same code is looked at.
fn bpf_flags() -> String {
    format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH)
}

fn unit() -> Result<()> {
    let packages = [
        "--workspace",
        "--exclude",
        "sonde-ebpf",
        "--exclude",
        "sonde-tests",
    ];
    sh::run(sh::cargo().arg("test").args(packages))
}

/// One test at a time: they count what the whole machine does, and each loads it. The agent is the
/// release build; the tests themselves have no need of one.
fn integration() -> Result<()> {
    let mut test = sh::cargo();
    test.args(["test", "--package", "sonde-tests", "--", "--test-threads=1"]);
    if !sh::is_root() {
        // Built by the user, run by root.
        let host = host()?.to_uppercase().replace('-', "_");
        test.env(format!("CARGO_TARGET_{host}_RUNNER"), "sudo --preserve-env");
    }
    sh::run(&mut test)
}

/// The target that this machine's compiler builds for.
fn host() -> Result<String> {
    let version = sh::output(Command::new("rustc").args(["--version", "--verbose"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc --version --verbose names no host")
}
