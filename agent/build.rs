//! Builds the kernel side and hands its ELF to the agent as `OUT_DIR/sonde-ebpf`.

use std::{env, process::Command};

use anyhow::Result;
use aya_build::{Package, Toolchain};

/// The toolchain that `cargo xtask setup` links where rustup can't fetch rust-src.
const LINKED: &str = "sonde-ebpf";

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=../common/src");
    println!("cargo:rerun-if-env-changed=SONDE_EBPF_TOOLCHAIN");
    let chosen = env::var("SONDE_EBPF_TOOLCHAIN").ok();
    let linked = || has_toolchain(LINKED).then(|| LINKED.to_owned());
    let toolchain = chosen.or_else(linked);
    let nightly = toolchain.is_none() && has_toolchain("nightly");
    if !nightly && env::var_os("RUSTC_BOOTSTRAP").is_none() {
        // A stable compiler with core for BPF beside it: inline assembly for BPF is not stable
        // yet, and only the two crates that need it are let to use it.
        // SAFETY: build scripts are single-threaded here, before aya-build spawns anything.
        unsafe { env::set_var("RUSTC_BOOTSTRAP", "aya_ebpf,sonde_ebpf") };
    }
    let package = Package {
        name: "sonde-ebpf",
        root_dir: "../ebpf",
        no_default_features: false,
        features: &[],
    };
    let toolchain = match &toolchain {
        Some(name) => Toolchain::Custom(name),
        None => Toolchain::Nightly,
    };
    aya_build::build_ebpf([package], toolchain)
}

fn has_toolchain(name: &str) -> bool {
    Command::new("rustup")
        .args(["run", name, "rustc", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}
