#[derive(clap::Args)]
pub(crate) struct Args {}
pub(crate) fn bench(_args: &Args) -> anyhow::Result<()> {
    Ok(())
}
