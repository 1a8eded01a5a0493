//! Calls of the kernel's own functions, which aya doesn't make.

/// Number that no helper has: in the programs' code it stands for `bpf_rdonly_cast`, until the agent has
/// put the call of that in its place. Where the kernel has none, such calls are never reached, and the
/// verifier takes them out.
pub const PLACEHOLDER: i32 = 0x5caf_f01d;
