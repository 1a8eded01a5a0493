//! Bytes that were not seen: see the rules of the connection module.

mod framing;
mod messages;
mod next_head;

use super::*;

fn paths(exchanges: &[Exchange]) -> Vec<(&str, Option<u16>)> {
    exchanges.iter().map(|e| (&*e.path, e.status)).collect()
}

/// Any bytes without a line end.
fn filler(length: usize) -> String {
    "x".repeat(length)
}
