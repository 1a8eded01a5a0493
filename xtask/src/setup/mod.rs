//! `cargo xtask setup`: finds what is there, installs what is missing, and says which is which.

mod apt;
mod kernel_side;
mod programs;
mod registries;

use anyhow::Result;

/// What is shown of each need: `ok` it was there, `get` it is being installed.
fn say(what: &str, detail: impl std::fmt::Display) {
    println!("{what:<4} {detail}");
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install also what the tests and benchmarks need
    #[arg(long)]
    all: bool,
}

pub(crate) fn setup(args: &Args) -> Result<()> {
    if args.all {
        test_needs()
    } else {
        build_needs()
    }
}

/// What `cargo build` needs.
pub(crate) fn build_needs() -> Result<()> {
    programs::ensure(programs::BUILD)?;
    kernel_side::ensure()
}

/// What `cargo xtask test` needs, which includes what a build needs.
pub(crate) fn test_needs() -> Result<()> {
    build_needs()?;
    programs::ensure(programs::TEST)?;
    registries::ensure()?;
    programs::ensure_rust_tools()
}
