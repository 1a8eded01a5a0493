//! The binary from outside: streams and exit codes.

use std::{
    fs,
    io::Read as _,
    process::{Command, Output, Stdio},
};

fn sonde(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.args(arguments).env_clear();
    command
}

fn run(arguments: &[&str]) -> Output {
    sonde(arguments).output().expect("the binary starts")
}

fn texts(output: &Output) -> (&str, &str) {
    let text = |bytes| str::from_utf8(bytes).expect("UTF-8");
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn fault_30_validate_says_ok_or_where_it_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sonde.yaml");
    let name = path.to_str().unwrap();
    fs::write(&path, "collector:\n  syscall: {durations: all}\n").unwrap();
    let output = run(&["validate", name]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(texts(&output), (format!("{name}: ok\n").as_str(), ""));

    fs::write(&path, "collector:\n  syscal: {durations: all}\n").unwrap();
    let output = run(&["validate", name]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "sonde: error: {name}:2:3: unknown key \"syscal\" in \"collector\"; did you mean \
         \"syscall\"?\n"
    );
    assert_eq!(texts(&output), ("", expected.as_str()));
}

#[test]
fn fault_30_an_agent_does_not_start_with_a_wrong_configuration() {
    for arguments in [&["run"][..], &["check"], &["trace"], &["print-config"], &[]] {
        let output = sonde(arguments)
            .env("SONDE_RING_SIZE", "1MB")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let (out, error) = texts(&output);
        assert_eq!(out, "");
        assert!(
            error.starts_with("sonde: error: SONDE_RING_SIZE: ring.size: expected"),
            "{error}"
        );
    }
}

#[test]
fn print_config_shows_what_the_environment_says() {
    let output = sonde(&["print-config"])
        .env("SONDE_COLLECTOR_TCP", "false")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(texts(&output).0.contains("\n  tcp: false\n"));
}

#[test]
fn wrong_usage_ends_with_2_and_help_with_0() {
    let output = run(&["--no.such.flag"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        texts(&output)
            .1
            .starts_with("error: unexpected argument '--no.such.flag'")
    );
    let output = run(&["--help"]);
    assert_eq!((output.status.code(), texts(&output).1), (Some(0), ""));
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    for arguments in [&["man"][..], &["completions", "bash"], &["--help"]] {
        let mut child = sonde(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let mut told = String::new();
        child
            .stderr
            .take()
            .expect("piped")
            .read_to_string(&mut told)
            .unwrap();
        assert_eq!(told, "", "{arguments:?}");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}
