//! What the kernel said while the programs ran.

/// How the lines start with which the kernel tells of something that should not be: `WARN`, `BUG`,
/// Oops. Not stalls, of which an emulated machine tells when its host is busy with others.
const COMPLAINTS: [&str; 4] = ["------------[ cut here ]", "WARNING: ", "BUG: ", "Oops"];

/// The first complaint of the kernel's log; the line that follows `cut here`, which says more.
pub(super) fn complaint(log: &str) -> Option<&str> {
    let mut lines = log.lines().map(text);
    let first = lines.find(|line| COMPLAINTS.iter().any(|start| line.starts_with(start)))?;
    if first.starts_with(COMPLAINTS[0]) {
        return lines.next().or(Some(first));
    }
    Some(first)
}

/// A line without its time: `[    1.234567] text`.
fn text(line: &str) -> &str {
    line.strip_prefix('[')
        .and_then(|line| line.split_once("] "))
        .map_or(line, |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_told_by_the_line_that_says_where() {
        let log = "[    0.100000] Linux version 5.10.0\n\
                   [    9.300000] ------------[ cut here ]------------\n\
                   [    9.300001] trace type BPF program uses run-time allocation\n\
                   [    9.300002] WARNING: CPU: 0 PID: 99 at kernel/bpf/verifier.c:10109\n";
        assert_eq!(
            complaint(log),
            Some("trace type BPF program uses run-time allocation")
        );
    }

    #[test]
    fn a_warning_without_a_mark_is_found() {
        let log = "[    9.300002] WARNING: CPU: 0 PID: 99 at kernel/bpf/core.c:1\n";
        assert!(complaint(log).is_some_and(|line| line.starts_with("WARNING: CPU")));
    }

    #[test]
    fn what_is_not_the_programs_fault_is_no_complaint() {
        let log = "[    0.100000] Linux version 6.1.0\n\
                   [    0.200000] rcu: INFO: rcu_preempt self-detected stall on CPU\n\
                   [    0.200000] Spectre V2 : WARNING: Unprivileged eBPF is enabled\n\
                   [    9.000000] mark_victim: Killed process 99 (eater)\n";
        assert_eq!(complaint(log), None);
    }
}
