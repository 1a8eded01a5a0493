//! A short run of each fuzz target, from the corpus in the repository.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::{sh, workspace};

/// Time for each target, without the build.
const SECONDS: u32 = 10;
/// Longest that one input may take, and most memory in MiB.
const LIMITS: [&str; 2] = ["-timeout=60", "-rss_limit_mb=2048"];
/// No sanitizer: `unsafe` is outside of what is fuzzed, and a stable compiler does without.
/// Several units of code, since the build is what takes the time.
const BUILD: [&str; 6] = [
    "--fuzz-dir",
    "fuzz",
    "--sanitizer",
    "none",
    "--codegen-units",
    "16",
];

/// Builds all targets and runs each; an error when one can't be built or finds something, whose
/// input is then in `fuzz/artifacts`.
pub(super) fn fuzz() -> Result<()> {
    let build = workspace::target()?.join("fuzz");
    sh::run(
        sh::cargo()
            .args(["fuzz", "build"])
            .args(BUILD)
            .arg("--target-dir")
            .arg(&build),
    )?;
    let targets = sh::output(sh::cargo().args(["fuzz", "list", "--fuzz-dir", "fuzz"]))?;
    ensure!(!targets.trim().is_empty(), "no fuzz targets");
    for target in targets.lines().map(str::trim) {
        // What is found new goes to the first directory, not into the repository. It is empty, so
        // that the time is not spent on reading what earlier runs have found.
        let grown = build.join("found").join(target);
        if grown.exists() {
            fs::remove_dir_all(&grown).with_context(|| format!("emptying {}", grown.display()))?;
        }
        fs::create_dir_all(&grown).with_context(|| format!("making {}", grown.display()))?;
        let seeds = workspace::root().join("fuzz/corpus").join(target);
        ensure!(seeds.is_dir(), "no corpus in {}", seeds.display());
        println!("{target}: {SECONDS} s");
        sh::run(
            sh::cargo()
                .args(["fuzz", "run"])
                .args(BUILD)
                .arg("--target-dir")
                .arg(&build)
                .arg(target)
                .args([grown, seeds])
                .arg("--")
                .arg(format!("-max_total_time={SECONDS}"))
                .args(LIMITS)
                .args(["-seed=1", "-verbosity=0", "-print_final_stats=1"]),
        )?;
    }
    Ok(())
}
