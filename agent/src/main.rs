//! The `sonde` command.
fn main() {}
