//! The command line.
pub mod check;
pub mod filter;
pub mod style;
pub mod trace;
