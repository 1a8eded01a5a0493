//! What the kernel refused, in words.

use std::io;

use aya::programs::ProgramError;

/// How the lines start that the verifier ends its log with.
const STATISTICS: [&str; 4] = [
    "processed ",
    "stack depth ",
    "verification time ",
    "max_states",
];

/// One line that says what the kernel refused, and why.
pub(super) fn explain(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            tracing::debug!(%log, "verifier");
            // The line before the statistics is the complaint.
            let complaint = log
                .lines()
                .rev()
                .map(str::trim)
                .find(|line| {
                    !line.is_empty() && !STATISTICS.iter().any(|start| line.starts_with(start))
                })
                .unwrap_or_default();
            format!("refused ({}): {complaint}", name_of(io_error))
        }
        ProgramError::SyscallError(error) => {
            format!("{} failed ({})", error.call, name_of(&error.io_error))
        }
        other => other.to_string(),
    }
}

fn name_of(error: &io::Error) -> String {
    // EACCES is the verifier's word, EPERM that of the capability checks.
    match error.raw_os_error() {
        Some(libc::EPERM) => "EPERM: CAP_BPF and CAP_PERFMON are needed".to_owned(),
        Some(libc::EACCES) => "by the verifier".to_owned(),
        _ => error.to_string(),
    }
}
