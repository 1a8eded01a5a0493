//! Configuration: file, environment and flags, resolved in this order.
