//! `cargo xtask vm`: the kernel-facing tests on Debian's kernels, each booted in QEMU.

mod archive;
mod console;
mod guest;
mod initramfs;
mod mirror;
mod modules;
mod qemu;

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, bail};

use crate::workspace;
use archive::Kernel;
use guest::{Guest, Report};

/// The series that are tried when none is named: the oldest that has what the kernel side needs
/// (ring buffer, BTF) and the long-term ones after it. Debian's newest is tried by name: it moves,
/// and what it brings must not turn a change red that has nothing to do with it.
const KERNELS: [&str; 3] = ["5.10", "6.1", "6.12"];

const TIMEOUT: u64 = 480;

/// One thread for all of a guest's CPUs: with one for each, a CPU may run what it has translated of
/// code that the kernel has patched meanwhile, as attaching does, and the guest panics (int3).
const ACCEL: &str = "tcg,thread=single";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Series such as 6.12, or `newest`
    #[arg(value_name = "KERNEL", default_values = KERNELS)]
    kernels: Vec<String>,
    /// Seconds after which a machine that still runs is taken for hung
    #[arg(long, default_value_t = TIMEOUT)]
    timeout: u64,
    /// What runs the guest's code: tcg emulates and works everywhere, kvm is faster where it works
    #[arg(long, default_value = ACCEL)]
    accel: String,
    /// Base address of a Debian mirror, for machines whose own apt sources name none
    #[arg(long, env = "SONDE_DEBIAN_MIRROR")]
    mirror: Option<String>,
    /// Only tests whose names have this in them; may be given several times
    #[arg(long, value_name = "FILTER", value_parser = guest::filter)]
    test: Vec<String>,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            kernels: KERNELS.map(str::to_owned).into(),
            timeout: TIMEOUT,
            accel: ACCEL.to_owned(),
            mirror: None,
            test: Vec::new(),
        }
    }
}

/// Boots each kernel and runs the guest's programs; an error when one failed on one of them.
pub(crate) fn vm(args: &Args) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("the kernel matrix runs on x86-64 only: it boots Debian's kernels for that");
    }
    let kernels = archive::kernels(&args.kernels, args.mirror.as_deref())?;
    let guest = Guest::build(&args.test)?;
    let mut failed = Vec::new();
    for kernel in &kernels {
        if !boot(kernel, &guest, args)? {
            failed.push(kernel.release.as_str());
        }
    }
    println!(
        "{} kernels passed, {} failed",
        kernels.len() - failed.len(),
        failed.len()
    );
    if !failed.is_empty() {
        bail!("failed on {}", failed.join(", "));
    }
    Ok(())
}

/// Runs one kernel, says how that went, and tells whether all was well.
fn boot(kernel: &Kernel, guest: &Guest, args: &Args) -> Result<bool> {
    let directory = workspace::target()?.join("vm").join(&kernel.release);
    fs::create_dir_all(&directory).context("making the directory of the logs")?;
    let initramfs = initramfs::build(kernel, guest, &directory)
        .with_context(|| format!("making the initramfs of {}", kernel.release))?;
    let machine = qemu::Machine {
        kernel: &kernel.image,
        initramfs: &initramfs,
        accel: &args.accel,
        directory: &directory,
    };
    let run = machine.run(Duration::from_secs(args.timeout))?;
    let report = Report::parse(&run.programs);
    let complaint = || {
        let line = console::complaint(&run.console)?;
        Some(format!("the kernel complained: {line}"))
    };
    match report
        .failure()
        .or(run.hung.then(|| "the machine hung".to_owned()))
        .or_else(complaint)
    {
        None => {
            println!(
                "ok   {}: booted in {:.1} s, {} tests passed, {:.1} s in all",
                kernel.release,
                report.booted.unwrap_or_default(),
                report.tests_passed,
                run.took.as_secs_f64(),
            );
            Ok(true)
        }
        Some(why) => {
            println!("FAIL {}: {why}", kernel.release);
            show_tail(
                "programs",
                &run.programs,
                &directory.join(qemu::PROGRAMS_LOG),
            );
            show_tail("kernel", &run.console, &directory.join(qemu::CONSOLE_LOG));
            Ok(false)
        }
    }
}

fn show_tail(what: &str, log: &str, path: &Path) {
    const LINES: usize = 60;
    let lines: Vec<_> = log.lines().collect();
    println!("---- {what}, last lines of {}", path.display());
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        println!("{line}");
    }
}
