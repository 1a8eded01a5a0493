//! What the kernel refused, in words.

use std::{error::Error, io};

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
        other => chain(other),
    }
}

/// An error with its causes, on one line. aya's errors tell the call that failed, and often only
/// their source why.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The reasons why alternatives don't work, each once with the alternatives that it holds for.
#[must_use]
pub fn distinct<'a>(
    refused: impl IntoIterator<Item = &'a (&'static str, String)>,
) -> Vec<(Vec<&'static str>, &'a str)> {
    let mut reasons: Vec<(Vec<&'static str>, &str)> = Vec::new();
    for (alternative, reason) in refused {
        match reasons.iter_mut().find(|(_, known)| known == reason) {
            Some((alternatives, _)) if alternatives.contains(alternative) => {}
            Some((alternatives, _)) => alternatives.push(alternative),
            None => reasons.push((vec![alternative], reason)),
        }
    }
    reasons
}

fn name_of(error: &io::Error) -> String {
    // EACCES is the verifier's word, EPERM that of the capability checks.
    match error.raw_os_error() {
        Some(libc::EPERM) => "EPERM: CAP_BPF and CAP_PERFMON are needed".to_owned(),
        Some(libc::EACCES) => "by the verifier".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use aya::maps::MapError;

    use super::*;

    #[test]
    fn a_map_that_cannot_be_made_is_told_with_its_errno() {
        let error = ProgramError::MapError(MapError::CreateError {
            name: "CALL".to_owned(),
            io_error: io::Error::from_raw_os_error(libc::EPERM),
        });
        assert_eq!(
            explain(&error),
            "failed to create map `CALL`: Operation not permitted (os error 1)"
        );
    }

    #[test]
    fn equal_reasons_are_told_once() {
        let refused = [
            ("tp_btf", "no BTF".to_owned()),
            ("iter", "too old".to_owned()),
            ("raw_tp", "no BTF".to_owned()),
            ("tp_btf", "no BTF".to_owned()),
        ];
        assert_eq!(
            distinct(&refused),
            [
                (vec!["tp_btf", "raw_tp"], "no BTF"),
                (vec!["iter"], "too old")
            ]
        );
    }
}
