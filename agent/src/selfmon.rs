//! The agent's own numbers.
