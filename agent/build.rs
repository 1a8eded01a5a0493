//! Builds the kernel side and hands its ELF to the agent as `OUT_DIR/sonde-ebpf`.

#[path = "build/strip.rs"]
mod strip;
#[path = "build/toolchain.rs"]
mod toolchain;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use aya_build::Package;

fn main() -> Result<()> {
    for path in ["../common", "../Cargo.lock", "../Cargo.toml"] {
        println!("cargo:rerun-if-changed={path}");
    }
    for name in [toolchain::OVERRIDE, "RUSTC_BOOTSTRAP"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    // aya-build builds nothing then, so no toolchain has to be there.
    let skipped = env::var("AYA_BUILD_SKIP").is_ok_and(|skip| skip == "1" || skip == "true");
    let name = if skipped { None } else { prepare()? };
    let toolchain = match &name {
        Some(name) => aya_build::Toolchain::Custom(name),
        // Without rustup aya-build takes the compiler on PATH, whatever is said here.
        None => aya_build::Toolchain::default(),
    };
    let package = Package {
        name: "sonde-ebpf",
        root_dir: "../ebpf",
        no_default_features: false,
        features: &[],
    };
    let output = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set")?);
    let object = output.join(package.name);
    aya_build::build_ebpf([package], toolchain)?;
    if skipped {
        return Ok(());
    }
    strip::strip(&object)
}

/// Finds what builds the kernel side, sets the environment up for it, and names its toolchain.
fn prepare() -> Result<Option<String>> {
    const MISSING: &str = "needed for the kernel side; run `cargo xtask setup`, which installs it";
    let toolchain = toolchain::find()
        .with_context(|| format!("no Rust compiler with `core` for BPF found, {MISSING}"))?;
    let linker = toolchain::linker().with_context(|| format!("no bpf-linker found, {MISSING}"))?;
    let mut set = vec![
        ("PATH", path_with(&linker)),
        // aya-build shows all that cargo says as warnings: then only warnings.
        ("CARGO_TERM_QUIET", "true".into()),
    ];
    if let Some(value) = toolchain.bootstrap()
        && env::var_os("RUSTC_BOOTSTRAP").is_none()
    {
        set.push(("RUSTC_BOOTSTRAP", value.into()));
    }
    for (name, value) in set {
        // SAFETY: this process has one thread so far, so nothing reads the environment meanwhile.
        unsafe { env::set_var(name, value) };
    }
    Ok(toolchain.name)
}

/// PATH with the directory of `program` before everything else.
fn path_with(program: &Path) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let directory = program.parent().map(Path::to_path_buf);
    let directories = directory.into_iter().chain(env::split_paths(&path));
    // Fails only for a directory with a colon in its name, which can't be on PATH.
    env::join_paths(directories).unwrap_or(path)
}
