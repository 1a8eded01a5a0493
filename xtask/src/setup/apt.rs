//! Installing Debian packages, and keeping what they bring from being started.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{sh, toolchain};

/// Whether this machine installs with apt.
pub(crate) fn here() -> bool {
    toolchain::on_path("apt-get").is_some()
}

/// Whether the package is installed.
pub(crate) fn installed(package: &str) -> bool {
    let status = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .output();
    status.is_ok_and(|output| output.stdout == b"installed")
}

/// Installs the packages, without the services that some of them would start.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if !sh::is_root() && toolchain::on_path("sudo").is_none() {
        bail!(
            "root is needed to install packages, and there is no sudo: run as root\n    \
             apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    }
    apt(&["update"])?;
    if !available(packages) {
        bail!(
            "the package archives of this machine can't install {}",
            packages.join(" ")
        );
    }
    let _quiet = NoServices::begin()?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)
}

/// Whether the archives have the packages and all that they depend on: other releases of Debian
/// and Ubuntu have other packages.
fn available(packages: &[&str]) -> bool {
    let mut trial = Command::new("apt-get");
    trial.args(["install", "--simulate", "--no-install-recommends"]);
    sh::succeeds(trial.args(packages))
}

fn apt(arguments: &[&str]) -> Result<()> {
    // Through env, since sudo drops variables.
    let mut command = sh::as_root("env");
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    // Without a terminal of its own dpkg leaves out its progress in percent.
    command.arg("--option=Dpkg::Use-Pty=0");
    sh::run(command.args(arguments))
}

/// Keeps a service that was installed for its program alone from starting with the machine.
pub(crate) fn disable(service: &str) -> Result<()> {
    if toolchain::on_path("systemctl").is_none() {
        return Ok(());
    }
    sh::output(sh::as_root("systemctl").args(["disable", "--quiet", service]))?;
    Ok(())
}

/// While this lives, installing a package starts no service: `policy-rc.d` is asked first and
/// says no (101, as Debian's invoke-rc.d(8) has it). A policy that is there already stays.
struct NoServices {
    ours: bool,
}

impl NoServices {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn begin() -> Result<Self> {
        if Path::new(Self::POLICY).exists() {
            return Ok(Self { ours: false });
        }
        let policy = tempfile::NamedTempFile::new().context("making a policy-rc.d")?;
        fs::write(policy.path(), "#!/bin/sh\nexit 101\n").context("writing a policy-rc.d")?;
        let mut install = sh::as_root("install");
        install
            .args(["--mode=755"])
            .arg(policy.path())
            .arg(Self::POLICY);
        sh::run(&mut install)?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = sh::run(sh::as_root("rm").arg(Self::POLICY))
        {
            eprintln!(
                "{} was put there by this set-up and is left: {error}",
                Self::POLICY
            );
        }
    }
}
