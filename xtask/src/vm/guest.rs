//! What is run inside a machine, and how it is told what came of it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{sh, workspace};

/// The test binaries that go into the guest: package, target, and name there.
const TESTS: [(&str, &str, &str); 1] = [("sonde-tests", "kernel", "kernel-tests")];

/// The command lines that are run in the guest, in order. All have to exit with 0.
const COMMANDS: [&str; 3] = [
    "uname -r",
    // Which hooks this kernel has, for the log; it fails when the main job can't run.
    "sonde check",
    // One test at a time: they count what the whole machine does.
    "kernel-tests --test-threads=1 $TESTS",
];

/// Marks the lines of `init` among those of the programs.
const MARK: &str = "@sonde-vm";

/// A file that is copied into the guest.
pub(super) struct GuestFile {
    pub(super) host: PathBuf,
    pub(super) guest: String,
}

/// The programs of a guest, the same for every kernel.
pub(super) struct Guest {
    pub(super) files: Vec<GuestFile>,
    /// Which tests are run, separated by spaces; all, if empty.
    tests: String,
}

/// A filter as the command line takes it: parts of tests' names, nothing that a shell would see to.
pub(super) fn filter(text: &str) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_name) {
        Ok(text.to_owned())
    } else {
        Err("letters, digits, `_` and `:` are in the names of tests".to_owned())
    }
}

impl Guest {
    /// Builds the agent and its kernel-facing tests.
    pub(super) fn build(tests: &[String]) -> Result<Self> {
        sh::run(sh::cargo().args(["build", "--release", "--package", "sonde"]))?;
        let file = |host, name: &str| GuestFile {
            host,
            guest: format!("/bin/{name}"),
        };
        let mut files = vec![file(workspace::agent()?, "sonde")];
        for (package, target, name) in TESTS {
            files.push(file(test_binary(package, target)?, name));
        }
        Ok(Self {
            files,
            tests: tests.join(" "),
        })
    }

    /// The script that the kernel starts.
    pub(super) fn init(&self) -> String {
        let run = |(index, command): (usize, &&str)| {
            format!(
                "echo '{MARK} start {index}'\n{command} </dev/null\necho \"{MARK} end {index} $?\"\n"
            )
        };
        let commands: String = COMMANDS.iter().enumerate().map(run).collect();
        let tests = &self.tests;
        // QEMU is told to end rather than to reboot.
        format!("{INIT}TESTS='{tests}'\n{commands}sync\nreboot -f\n")
    }
}

/// Brings up what a Linux program expects. `SONDE` names the agent for the tests.
const INIT: &str = "#!/bin/sh
export PATH=/bin HOME=/tmp TMPDIR=/tmp RUST_BACKTRACE=1 NO_COLOR=1 SONDE=/bin/sonde SONDE_VM=1
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp /run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
exec >/dev/ttyS1 2>&1
ip link set lo up
for module in $(cat /modules/order); do insmod $module; done
cd /tmp
read up idle </proc/uptime
echo \"@sonde-vm booted $up\"
";

/// The executable of a test target, built for release.
fn test_binary(package: &str, target: &str) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        target: Option<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let mut build = sh::cargo();
    build.args([
        "test",
        "--release",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    build
        .args(["--package", package, "--test", target])
        .stderr(std::process::Stdio::inherit());
    let messages = sh::output(&mut build)?;
    let mut messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let executable = messages.find_map(|message: Message| {
        message
            .executable
            .filter(|_| message.target.is_some_and(|t| t.name == target))
    });
    executable.with_context(|| format!("cargo built no test {target} of {package}"))
}

/// What a guest told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Report {
    /// Seconds from the kernel's start to that of the first program.
    pub(super) booted: Option<f64>,
    /// Exit codes, by command.
    codes: Vec<Option<i32>>,
    pub(super) tests_passed: u64,
    tests_failed: u64,
}

impl Report {
    /// From the lines of the programs' serial port.
    pub(super) fn parse(log: &str) -> Self {
        let mut report = Self {
            codes: vec![None; COMMANDS.len()],
            ..Self::default()
        };
        for line in log.lines() {
            // A program may have left a line unfinished before a mark.
            let mark = line.find(MARK).map(|at| line[at + MARK.len()..].trim());
            match mark
                .map(|mark| mark.split(' ').collect::<Vec<_>>())
                .as_deref()
            {
                Some(["booted", seconds]) => report.booted = seconds.parse().ok(),
                Some(["end", index, code]) => {
                    let index = index.parse::<usize>().ok();
                    if let Some(slot) = index.and_then(|index| report.codes.get_mut(index)) {
                        *slot = code.parse().ok();
                    }
                }
                _ => report.add_tests(line),
            }
        }
        report
    }

    /// Counts in a test binary's last line: "test result: ok. 3 passed; 0 failed; ...".
    fn add_tests(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ") else {
            return;
        };
        let words: Vec<_> = counts
            .split([' ', ';'])
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let count = pair[0].parse::<u64>().unwrap_or(0);
            match pair[1] {
                "passed" => self.tests_passed += count,
                "failed" => self.tests_failed += count,
                _ => {}
            }
        }
    }

    /// What went wrong, if something did.
    pub(super) fn failure(&self) -> Option<String> {
        if self.booted.is_none() {
            return Some("it didn't boot".to_owned());
        }
        let mut commands = COMMANDS.iter().zip(&self.codes);
        let (command, code) = commands.find(|(_, code)| **code != Some(0))?;
        let code = match code {
            Some(code) => format!("exited with {code}"),
            None => "didn't end".to_owned(),
        };
        let tests = match self.tests_failed {
            0 => String::new(),
            failed => format!(", {failed} tests failed, {} passed", self.tests_passed),
        };
        Some(format!("`{command}` {code}{tests}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "@sonde-vm booted 2.90
@sonde-vm start 0
6.1.0-56-cloud-amd64
@sonde-vm end 0 0
@sonde-vm end 1 0
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
@sonde-vm end 2 0
";

    #[test]
    fn a_run_where_all_ended_well() {
        let report = Report::parse(GOOD);
        assert_eq!(report.failure(), None);
        assert_eq!((report.booted, report.tests_passed), (Some(2.9), 12));
    }

    #[test]
    fn a_failed_test_is_told_with_its_numbers() {
        let log = GOOD
            .replace("ok. 12 passed; 0 failed", "FAILED. 11 passed; 1 failed")
            .replace("end 2 0", "end 2 101");
        let failure = Report::parse(&log).failure().unwrap();
        assert!(
            failure.contains("exited with 101, 1 tests failed, 11 passed"),
            "{failure}"
        );
    }

    #[test]
    fn a_machine_that_stops_in_a_program_has_failed() {
        let cut = GOOD.split("@sonde-vm end 1").next().unwrap();
        assert_eq!(
            Report::parse(cut).failure().unwrap(),
            "`sonde check` didn't end"
        );
        assert_eq!(Report::parse("").failure().unwrap(), "it didn't boot");
    }

    #[test]
    fn a_mark_after_an_unfinished_line_is_found() {
        let log = GOOD.replace("@sonde-vm end 0 0", "no newline@sonde-vm end 0 0");
        assert_eq!(Report::parse(&log).failure(), None);
    }
}
