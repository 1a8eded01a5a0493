//! `sonde check`: tries everything that a run would do, and tells what came of it.

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;

use super::{paths, start};
use crate::{
    capability::{Held, KernelVersion},
    cli::{
        self, ReportFormat,
        check::{Btf, CgroupMode, HookLine, Outcome, Refusal, Report, TlsLine, lack_lines},
        style::Style,
    },
    config::Config,
    kernel::{
        attach::{self, HookReport, Programs},
        feature::Kernel,
    },
    probe::{FAMILIES, Family, tls},
    tls::survey,
};

/// Families of which one must work for the agent to do its main job.
const MAIN_JOB: [&str; 4] = ["http", "tcp", "syscall", "process"];

/// Says what works on this host: every program is loaded and attached for a moment.
pub fn check(config: &Config, format: ReportFormat) -> anyhow::Result<ExitCode> {
    paths::check(&config.path)?;
    if let Some(warning) = paths::sysfs_warning(&config.path) {
        eprintln!("sonde: warning: {warning}");
    }
    let kernel = Kernel::probe(&config.path.procfs, &config.path.sysfs);
    let version = KernelVersion::current().context("can't read the kernel's version")?;
    let held = Held::read(&config.path.procfs).context("can't read capabilities")?;
    let families = start::families(config);
    let (mut hooks, refused) = match Programs::attach(&kernel, &families, &start::settings(config))
    {
        Ok(programs) => (lines(programs.reports()), None),
        Err(error) => (untried(&families), Some(cli::problems(&error).join("; "))),
    };
    hooks.extend(switched_off(config));
    let tls_libraries = if works(tls::FAMILY.name, &hooks) {
        let found = survey(&config.path.procfs, &config.path.rootfs);
        found.iter().map(TlsLine::from).collect()
    } else {
        Vec::new()
    };
    let main_job = MAIN_JOB.iter().any(|family| works(family, &hooks));
    let report = Report {
        btf: match &kernel.btf {
            Ok(_) => Btf::Found(
                config
                    .path
                    .sysfs
                    .join("kernel/btf/vmlinux")
                    .display()
                    .to_string(),
            ),
            Err(error) => Btf::Missing(error.to_string()),
        },
        kernel: kernel.release,
        lockdown: kernel.lockdown,
        cgroup: cgroup_mode(&config.path.sysfs),
        refused,
        hooks,
        tls_libraries,
        capabilities: lack_lines(&held, version),
        main_job,
    };
    print!("{}", report.render(format, Style::of_stdout())?);
    Ok(ExitCode::from(report.exit_code()))
}

/// Whether all that a family needs is served, and anything at all.
fn works(family: &str, hooks: &[HookLine]) -> bool {
    let of_family = || hooks.iter().filter(|line| line.family == family);
    let served = |line: &HookLine| matches!(line.outcome, Outcome::Works { .. });
    of_family().any(served) && of_family().all(|line| served(line) || !line.required)
}

fn lines(reports: &[HookReport]) -> Vec<HookLine> {
    let line = |report: &HookReport| HookLine {
        family: report.family,
        hook: report.hook.name,
        required: report.hook.required,
        outcome: match &report.outcome {
            attach::Outcome::Attached(attach) => Outcome::Works {
                alternative: attach.via.as_str().to_owned(),
            },
            attach::Outcome::Skipped { reasons } => Outcome::Missing {
                refused: reasons
                    .iter()
                    .map(|(alternative, reason)| Refusal {
                        alternative: (*alternative).to_owned(),
                        reason: reason.clone(),
                    })
                    .collect(),
                lost: report.hook.lost,
            },
        },
    };
    reports.iter().map(line).collect()
}

fn switched_off(config: &Config) -> impl Iterator<Item = HookLine> {
    let off = |family: &&'static Family| Some((*family, start::off(config, family)?));
    let families = FAMILIES.iter().filter_map(off);
    families.flat_map(|(family, collector)| {
        family.hooks.iter().map(move |hook| HookLine {
            family: family.name,
            hook: hook.name,
            required: hook.required,
            outcome: Outcome::Off { collector },
        })
    })
}

/// Nothing could be loaded at all, so no alternative was tried.
fn untried(families: &[&'static Family]) -> Vec<HookLine> {
    families
        .iter()
        .flat_map(|family| family.hooks.iter().map(move |hook| (family.name, hook)))
        .map(|(family, hook)| HookLine {
            family,
            hook: hook.name,
            required: hook.required,
            outcome: Outcome::Missing {
                refused: Vec::new(),
                lost: hook.lost,
            },
        })
        .collect()
}

/// By the files that each hierarchy has: cgroups(7).
fn cgroup_mode(sysfs: &Path) -> CgroupMode {
    let base = sysfs.join("fs/cgroup");
    if base.join("cgroup.controllers").exists() {
        CgroupMode::V2
    } else if base.join("unified/cgroup.controllers").exists() {
        CgroupMode::Hybrid
    } else if base.join("memory").exists() || base.join("cpu").exists() {
        CgroupMode::V1
    } else {
        CgroupMode::None
    }
}
