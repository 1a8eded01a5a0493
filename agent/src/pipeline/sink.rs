//! Where spans and log records go.

use crate::signal::Signal;

/// Takes signals one by one; never waits.
pub(super) enum Sink {
    /// Nobody asked for them.
    None,
    /// OTLP, `sonde trace`.
    To(Box<dyn FnMut(Signal) + Send>),
}

impl Sink {
    /// Whether it is worth making them.
    pub(super) fn wants_signals(&self) -> bool {
        matches!(self, Self::To(_))
    }

    pub(super) fn send(&mut self, signal: Signal) {
        if let Self::To(take) = self {
            take(signal);
        }
    }
}
