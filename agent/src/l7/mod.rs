//! Byte streams to requests: one file per protocol over one connection model.

pub mod exchange;
