//! `cargo xtask`: set-up, run, test, VM matrix and benchmarks of sonde.

fn main() {}
