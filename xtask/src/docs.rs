//! `cargo xtask docs`: writes the reference of the metrics from the code's own descriptors.

use anyhow::Result;

use crate::{sh, workspace};

/// The agent knows its metrics, so its own test writes the page where it would compare it.
pub(crate) fn docs() -> Result<()> {
    let test = ["test", "--package", "sonde", "--test", "reference"];
    sh::run(sh::cargo().args(test).env("SONDE_BLESS", "1"))?;
    println!("{}", workspace::root().join("docs/metrics.md").display());
    Ok(())
}
