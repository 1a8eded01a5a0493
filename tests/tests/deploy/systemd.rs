//! The unit, read by systemd itself.

use std::fs;

use crate::{deploy, read, text, tool};

const BINARY: &str = "/usr/local/bin/sonde";

/// The unit with a program that every machine has in place of the agent, which needn't be
/// installed where this runs.
fn unit() -> tempfile::TempDir {
    let unit = read(&deploy("systemd/sonde.service"));
    assert!(unit.contains(&format!("\nExecStart={BINARY} run ")));
    let starts = unit.lines().map(|line| {
        let start = line.starts_with("ExecStart=");
        if start {
            line.replace(BINARY, "/bin/true")
        } else {
            line.to_owned()
        }
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines: Vec<_> = starts.collect();
    fs::write(folder.path().join("sonde.service"), lines.join("\n")).expect("written");
    folder
}

#[test]
fn systemd_finds_nothing_in_the_unit() {
    let folder = unit();
    let file = folder.path().join("sonde.service");
    let verified = tool(
        "systemd-analyze",
        "systemd",
        &["verify", "--man=no", text(&file)],
    );
    // Unknown keys are warnings, with a status of success.
    assert!(
        verified.passed && verified.said.is_empty(),
        "{}",
        verified.said
    );
}

/// The score of systemd, from 0 (locked) to 10 (open), stays at "OK".
#[test]
fn the_unit_is_hardened() {
    let folder = unit();
    let file = folder.path().join("sonde.service");
    let arguments = [
        "security",
        "--offline=true",
        "--no-pager",
        "--threshold=42",
        text(&file),
    ];
    let scored = tool("systemd-analyze", "systemd", &arguments);
    assert!(scored.passed, "{}", scored.said);
}
