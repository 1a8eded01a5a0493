//! Which compiler and linker build the kernel side on this machine.
//!
//! One home for this choice: the agent's build script builds with what is found here, and
//! `cargo xtask setup` installs until something is found here.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Names a rustup toolchain to build the kernel side with, instead of those that are looked for.
pub(crate) const OVERRIDE: &str = "SONDE_EBPF_TOOLCHAIN";

/// The kernel side's target: BPF in the byte order of this machine, which is where it runs.
pub(crate) const TARGET: &str = if cfg!(target_endian = "big") {
    "bpfeb-unknown-none"
} else {
    "bpfel-unknown-none"
};

/// Rustup's toolchains that are looked for, best first. Rustup takes a path for a name, and
/// `/usr` is where a distribution's packages put theirs.
const CANDIDATES: [&str; 2] = ["nightly", "/usr"];

/// A compiler that can build for BPF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// As rustup names it; none where there is no rustup and the compiler is the one on PATH.
    pub(crate) name: Option<String>,
    /// As `rustc --version --verbose` prints it.
    pub(crate) version: String,
    /// Where `core` for BPF comes from.
    pub(crate) core: Core,
}

/// Where the library `core` for BPF comes from, which rustup doesn't have in compiled form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Core {
    /// Compiled already, as Debian packages it.
    Compiled,
    /// From its sources, by cargo's build-std.
    Sources,
}

impl Toolchain {
    /// The value of `RUSTC_BOOTSTRAP` that the build needs, if it needs one.
    ///
    /// With `core` compiled, aya-ebpf alone uses one unstable feature (assembly for BPF) and is
    /// let to; with the sources, cargo needs build-std, which a stable compiler has to be allowed.
    pub(crate) fn bootstrap(&self) -> Option<&'static str> {
        match self.core {
            Core::Compiled => Some("aya_ebpf,sonde_ebpf"),
            Core::Sources if self.version.contains("nightly") => None,
            Core::Sources => Some("1"),
        }
    }

    /// The named toolchain, when it can build for BPF.
    fn probe(name: Option<&str>) -> Option<Self> {
        let sysroot = output(command(name, "rustc").args(["--print", "sysroot"]))?;
        let libraries = Path::new(&sysroot).join("lib/rustlib");
        let core = if libraries.join(TARGET).join("lib").is_dir() {
            Core::Compiled
        } else if libraries.join("src/rust/library/core").is_dir() {
            Core::Sources
        } else {
            return None;
        };
        Some(Self {
            name: name.map(str::to_owned),
            version: output(command(name, "rustc").args(["--version", "--verbose"]))?,
            core,
        })
    }
}

/// A program of the named toolchain, or the one on PATH.
pub(crate) fn command(toolchain: Option<&str>, program: &str) -> Command {
    let Some(name) = toolchain else {
        return Command::new(program);
    };
    let mut command = Command::new("rustup");
    command.args(["run", name, program]);
    command
}

/// The toolchain that builds the kernel side here; none when no installed one can.
pub(crate) fn find() -> Option<Toolchain> {
    if let Ok(name) = env::var(OVERRIDE) {
        return Toolchain::probe(Some(&name));
    }
    if on_path("rustup").is_none() {
        return Toolchain::probe(None);
    }
    CANDIDATES
        .into_iter()
        .find_map(|name| Toolchain::probe(Some(name)))
}

/// bpf-linker, on PATH or where `cargo install` puts it, which needn't be on PATH.
pub(crate) fn linker() -> Option<PathBuf> {
    on_path("bpf-linker").or_else(|| {
        let linker = cargo_home()?.join("bin/bpf-linker");
        linker.is_file().then_some(linker)
    })
}

/// The file that a program's name stands for on PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

fn cargo_home() -> Option<PathBuf> {
    let set = env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
