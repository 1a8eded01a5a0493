//! What loads programs that aya doesn't.

use std::{ffi::CStr, io, os::fd::OwnedFd};

use aya_obj::generated::bpf_insn;

use super::{bpf, owned};

/// Command of `enum bpf_cmd`.
const BPF_PROG_LOAD: libc::c_int = 5;
/// `BPF_PROG_TYPE_KPROBE` of `enum bpf_prog_type`, uprobes' too.
const BPF_PROG_TYPE_KPROBE: u32 = 2;
/// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
const BPF_PROG_TYPE_RAW_TRACEPOINT: u32 = 17;
/// `BPF_TRACE_UPROBE_MULTI` of `enum bpf_attach_type`.
pub(super) const BPF_TRACE_UPROBE_MULTI: u32 = 48;

/// What a program is to be attached to.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernel) enum Target {
    /// Many uprobes at once (6.6).
    Uprobes,
    /// A raw tracepoint, or nothing.
    RawTracepoint,
}

/// `union bpf_attr`, the part for `BPF_PROG_LOAD` up to `expected_attach_type`.
#[repr(C)]
#[derive(Default)]
struct ProgramAttributes {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

/// Loads a program. On failure the end of the verifier's log goes to the agent's own.
pub(in crate::kernel) fn load(
    target: Target,
    name: &str,
    license: &CStr,
    instructions: &[bpf_insn],
) -> io::Result<OwnedFd> {
    /// Bytes of the verifier's log that are asked for; a longer one is cut at its front (6.4).
    const LOG: usize = 64 << 10;
    let (kind, attach_type) = match target {
        Target::Uprobes => (BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI),
        Target::RawTracepoint => (BPF_PROG_TYPE_RAW_TRACEPOINT, 0),
    };
    let mut attributes = ProgramAttributes {
        kind,
        instruction_count: u32::try_from(instructions.len()).unwrap_or(u32::MAX),
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        attach_type,
        ..ProgramAttributes::default()
    };
    // The last byte stays NUL.
    for (to, from) in attributes.name.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    let refused = match bpf(BPF_PROG_LOAD, &mut attributes) {
        Ok(fd) => return owned(fd),
        Err(error) => error,
    };
    let mut log = vec![0u8; LOG];
    attributes.log_level = 1;
    attributes.log_size = u32::try_from(LOG).unwrap_or(0);
    attributes.log = log.as_mut_ptr() as u64;
    if let Ok(fd) = bpf(BPF_PROG_LOAD, &mut attributes) {
        return owned(fd);
    }
    let text = String::from_utf8_lossy(&log);
    tracing::debug!(name, log = text.trim_end_matches('\0'), "verifier");
    Err(refused)
}
