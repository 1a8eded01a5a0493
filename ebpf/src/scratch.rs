//! Memory of one CPU for what doesn't fit the 512 bytes of a program's stack.

/// In which context a program runs: one may interrupt the other on the same CPU.
#[derive(Clone, Copy)]
pub(crate) enum Context {
    /// A system call.
    Task = 0,
    /// A change of a socket's state: a system call, or a softirq that interrupts one.
    State = 1,
}
