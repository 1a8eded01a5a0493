//! `node_exporter` beside sonde on the same host: what both count, and how well they agree.
//!
//! [`table`] names every metric of its default collectors and ours; `docs/node_exporter.md` is written
//! from it ([`document`]), and so is what a test compares ([`compare`]) under a load of other
//! people's making ([`load`]).

pub mod compare;
pub mod document;
pub mod load;
mod read;
mod row;
pub mod table;

pub use self::{
    read::{Moment, NodeExporter},
    row::{Collector, Labels, Ours, Pair, Row},
};
