//! `cargo xtask vm`
#[derive(clap::Args, Default)]
pub(crate) struct Args {}
pub(crate) fn vm(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("not there yet")
}
