//! A compiler with `core` for BPF, and bpf-linker on an LLVM that is at least as new.

use anyhow::{Context as _, Result, anyhow, bail};

use super::{apt, say};
use crate::{
    sh,
    toolchain::{self, Core, Toolchain},
};

/// Debian's compiler for browsers: the newest that its stable releases have, `core` for BPF beside.
const COMPILER: &[&str] = &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];

/// The version of bpf-linker that was tried with the versions of aya in Cargo.toml.
const LINKER_VERSION: &str = "0.13.0";

/// What to do where Debian's packages aren't to be had.
const ELSEWHERE: &str = "\
the kernel side needs a Rust compiler with the sources of `core`, and bpf-linker 0.13 or later:
    rustup toolchain install nightly --component rust-src
    cargo binstall bpf-linker      # or a binary of github.com/aya-rs/bpf-linker/releases
then run this again";

/// Installs what is missing to build the kernel side.
pub(super) fn ensure() -> Result<()> {
    let compiler = ensure_compiler()?;
    ensure_linker(&compiler)
}

fn ensure_compiler() -> Result<Toolchain> {
    if toolchain::find().is_none() {
        if std::env::var_os(toolchain::OVERRIDE).is_some() {
            bail!(
                "{} names a toolchain that can't build for BPF",
                toolchain::OVERRIDE
            );
        }
        if !apt::here() {
            bail!("no compiler for BPF is here, and no apt-get: {ELSEWHERE}");
        }
        let missing: Vec<_> = COMPILER
            .iter()
            .copied()
            .filter(|package| !apt::installed(package))
            .collect();
        say(
            "get",
            format_args!("compiler for BPF: {}", missing.join(" ")),
        );
        // All of them, since their versions have to be the same.
        apt::install(COMPILER).map_err(|error| anyhow!("{error:#}; without them {ELSEWHERE}"))?;
    }
    let Some(found) = toolchain::find() else {
        bail!(
            "{} are installed, and yet the compiler that is used has no `core` for BPF: is \
             another rustc before /usr/bin on PATH?",
            COMPILER.join(" ")
        );
    };
    let core = match found.core {
        Core::Compiled => "core for BPF beside it",
        Core::Sources => "core for BPF from rust-src",
    };
    let release = found.version.lines().next().unwrap_or_default();
    say("ok", format_args!("{release} ({core})"));
    Ok(found)
}

fn ensure_linker(compiler: &Toolchain) -> Result<()> {
    if let Some(version) = linker_version() {
        say("ok", version);
        return Ok(());
    }
    if !apt::here() {
        bail!("no bpf-linker is here, and no apt-get: {ELSEWHERE}");
    }
    let llvm = llvm(compiler)?;
    let packages = linker_packages(llvm);
    let missing: Vec<_> = packages
        .iter()
        .map(String::as_str)
        .filter(|p| !apt::installed(p))
        .collect();
    if !missing.is_empty() {
        say(
            "get",
            format_args!("LLVM for bpf-linker: {}", missing.join(" ")),
        );
        apt::install(&missing).map_err(|error| anyhow!("{error:#}; without them {ELSEWHERE}"))?;
    }
    say(
        "get",
        format_args!("bpf-linker {LINKER_VERSION} (built here, about a minute)"),
    );
    let mut install = sh::cargo();
    install
        .args([
            "install",
            "bpf-linker",
            "--version",
            LINKER_VERSION,
            "--locked",
            "--force",
        ])
        .args([
            "--no-default-features",
            "--features",
            &format!("llvm-{llvm}"),
        ])
        .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"));
    sh::run(&mut install)?;
    match linker_version() {
        Some(version) => say("ok", version),
        None => bail!("bpf-linker was installed and yet doesn't start"),
    }
    Ok(())
}

/// The major version of the compiler's LLVM: bpf-linker reads what the compiler wrote, so its own
/// may not be older.
fn llvm(compiler: &Toolchain) -> Result<u32> {
    let mut lines = compiler.version.lines();
    let version = lines.find_map(|line| line.strip_prefix("LLVM version: "));
    let major = version.and_then(|version| version.split('.').next()?.parse().ok());
    major.with_context(|| format!("no LLVM version in: {}", compiler.version))
}

/// What bpf-linker is built from and linked with, on Debian.
fn linker_packages(llvm: u32) -> Vec<String> {
    let mut packages = vec![format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev")];
    packages.extend(["g++", "libxml2-dev", "libzstd-dev", "zlib1g-dev"].map(str::to_owned));
    packages
}

/// As bpf-linker tells it; none when it isn't there or doesn't start, for want of its LLVM say.
fn linker_version() -> Option<String> {
    let linker = toolchain::linker()?;
    let version = sh::output(std::process::Command::new(linker).arg("--version")).ok()?;
    Some(version.trim().to_owned())
}
