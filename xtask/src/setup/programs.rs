//! The programs that building and testing need, and the packages that bring them.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};

use super::{apt, say};
use crate::{sh, toolchain};

/// A program that has to be there.
pub(super) struct Program {
    /// Its name on PATH.
    name: &'static str,
    /// The Debian package that brings it.
    package: &'static str,
    /// The service that this package brings with it, which nobody asked for.
    service: Option<&'static str>,
}

const fn program(name: &'static str, package: &'static str) -> Program {
    Program {
        name,
        package,
        service: None,
    }
}

/// For `cargo build`: crates with C code in them are compiled and linked by the system's compiler.
pub(super) const BUILD: &[Program] = &[program("cc", "gcc")];

/// For the tests and benchmarks: other people's servers and clients, and the VM matrix.
pub(super) const TEST: &[Program] = &[
    Program {
        name: "nginx",
        package: "nginx-light",
        service: Some("nginx"),
    },
    Program {
        name: "promtool",
        package: "prometheus",
        service: Some("prometheus"),
    },
    Program {
        name: "prometheus-node-exporter",
        package: "prometheus-node-exporter",
        service: Some("prometheus-node-exporter"),
    },
    program("apache2", "apache2-bin"),
    program("bpftool", "bpftool"),
    program("bpftrace", "bpftrace"),
    program("busybox", "busybox-static"),
    program("c++", "g++"),
    program("chrt", "util-linux"),
    program("cpio", "cpio"),
    program("curl", "curl"),
    program("dpkg-deb", "dpkg"),
    program("fio", "fio"),
    program("go", "golang-go"),
    program("h2load", "nghttp2-client"),
    program("hypercorn", "python3-hypercorn"),
    program("ip", "iproute2"),
    program("iperf3", "iperf3"),
    program("java", "default-jdk-headless"),
    program("ldd", "libc-bin"),
    program("ldconfig", "libc-bin"),
    program("losetup", "mount"),
    program("node", "nodejs"),
    program("openssl", "openssl"),
    program("perl", "perl-base"),
    program("pip3", "python3-pip"),
    program("python3", "python3"),
    program("qemu-system-x86_64", "qemu-system-x86"),
    program("setpriv", "util-linux"),
    program("stress-ng", "stress-ng"),
    program("systemd-analyze", "systemd"),
    program("taskset", "util-linux"),
    program("unshare", "util-linux"),
    program("wget", "wget"),
    program("wrk", "wrk"),
    program("xz", "xz-utils"),
];

/// Directories of programs for root, which needn't be on a user's PATH.
const SBIN: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin"];

impl Program {
    fn is_there(&self) -> bool {
        let sbin = || {
            SBIN.iter()
                .any(|directory| Path::new(directory).join(self.name).is_file())
        };
        let there = toolchain::on_path(self.name).is_some() || sbin();
        // In a VM it has to run without libraries.
        there && (self.name != "busybox" || apt::installed(self.package) || is_static(self.name))
    }
}

fn is_static(program: &str) -> bool {
    toolchain::on_path(program).is_some_and(|file| !sh::succeeds(Command::new("ldd").arg(file)))
}

/// Installs those of the programs that are missing.
pub(super) fn ensure(programs: &[Program]) -> Result<()> {
    let (there, missing): (Vec<_>, Vec<_>) = programs.iter().partition(|p| p.is_there());
    if !there.is_empty() {
        let names: Vec<_> = there.iter().map(|program| program.name).collect();
        say("ok", names.join(" "));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|program| program.package).collect();
    if !apt::here() {
        let names: Vec<_> = missing.iter().map(|program| program.name).collect();
        bail!(
            "missing: {}; Debian's packages for them are {}",
            names.join(" "),
            packages.join(" ")
        );
    }
    say("get", packages.join(" "));
    apt::install(&packages)?;
    for program in missing {
        if let Some(service) = program.service {
            apt::disable(service)?;
        }
        if !program.is_there() {
            bail!(
                "{} is installed, but there is no {}",
                program.package,
                program.name
            );
        }
    }
    Ok(())
}

/// A command of cargo's that has to be there.
struct RustTool {
    /// Arguments of cargo that tell its version.
    version: &'static [&'static str],
    /// How it comes here when it isn't there.
    source: Source,
}

enum Source {
    /// A component of rustup's and, where there is no rustup, a Debian package.
    Component {
        component: &'static str,
        package: &'static str,
    },
    /// A crate, built here.
    Crate(&'static str),
}

const RUST_TOOLS: &[RustTool] = &[
    RustTool {
        version: &["fmt", "--version"],
        source: Source::Component {
            component: "rustfmt",
            package: "rustfmt-web",
        },
    },
    RustTool {
        version: &["clippy", "--version"],
        source: Source::Component {
            component: "clippy",
            package: "rust-web-clippy",
        },
    },
    RustTool {
        version: &["deny", "--version"],
        source: Source::Crate("cargo-deny"),
    },
    RustTool {
        version: &["fuzz", "--version"],
        source: Source::Crate("cargo-fuzz"),
    },
];

/// Installs those of cargo's tools that the checks use and that are missing.
pub(super) fn ensure_rust_tools() -> Result<()> {
    for tool in RUST_TOOLS {
        let mut found = sh::output(sh::cargo().args(tool.version));
        if found.is_err() {
            tool.source.install()?;
            found = sh::output(sh::cargo().args(tool.version));
        }
        say("ok", found?.trim());
    }
    // Clippy of the compiler that builds the kernel side, when that isn't the one used above.
    if let Some(toolchain) = toolchain::find()
        && toolchain.name.as_deref() == Some("/usr")
        && !Path::new("/usr/bin/cargo-clippy").exists()
    {
        say("get", "rust-web-clippy (for the kernel side)");
        apt::install(&["rust-web-clippy"])?;
    }
    Ok(())
}

impl Source {
    fn install(&self) -> Result<()> {
        match self {
            Self::Component { component, .. } if toolchain::on_path("rustup").is_some() => {
                say("get", format_args!("rustup component {component}"));
                sh::run(Command::new("rustup").args(["component", "add", component]))
            }
            Self::Component { package, .. } if apt::here() => {
                say("get", package);
                apt::install(&[package])
            }
            Self::Component { component, .. } => {
                bail!("missing: cargo {component}, which comes with the compiler's distribution")
            }
            Self::Crate(name) => {
                say("get", format_args!("{name} (built here, some minutes)"));
                let mut install = sh::cargo();
                // It runs for a second and is built for minutes: those are what to save on.
                install
                    .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
                    .env("CARGO_PROFILE_RELEASE_LTO", "off");
                sh::run(install.args(["install", name, "--locked"]))
            }
        }
    }
}
