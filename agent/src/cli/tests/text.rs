//! What is written: help, completions, the manual, errors.

use super::*;

#[test]
fn a_wrong_duration_is_told_what_is_accepted() {
    let error = parse("trace --min-duration abc").expect_err("no duration");
    assert_eq!(error.exit_code(), 2);
    let told = error.to_string();
    assert!(
        told.contains("expected a duration with its unit, such as 100ms"),
        "{told}"
    );
}

#[test]
fn help_reads_well() {
    let help = parse("--help").expect_err("help ends the command");
    assert_eq!(help.exit_code(), 0);
    let help = help.to_string();
    for line in [
        "Usage: sonde [OPTIONS] [COMMAND]",
        "  check         Say what works on this host: kernel, hooks, capabilities, and what is lost",
        "Collectors (--no-collector.NAME switches one off):",
        "      --web.listen-address <ADDRESS>",
        "          Where /metrics is served; repeatable",
        "          [default: 127.0.0.1:9464] [env: SONDE_WEB_LISTEN_ADDRESS]",
        "          [default: on] [env: SONDE_COLLECTOR_RUN_QUEUE]",
        "          [env: SONDE_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT]",
        "          [default: http/protobuf] [env: SONDE_OTLP_PROTOCOL or OTEL_EXPORTER_OTLP_PROTOCOL]",
    ] {
        assert!(
            help.lines().any(|found| found == line),
            "{line:?} isn't in\n{help}"
        );
    }
    for setting in setting::all().iter().filter(|setting| setting.has_flag()) {
        assert!(
            help.contains(&format!("env: {}", setting.variable())),
            "{}",
            setting.name
        );
    }
    assert!(
        help.lines().all(|line| line.chars().count() <= 100),
        "{help}"
    );
    let headings = help
        .lines()
        .filter(|line| *line == "Collectors (--no-collector.NAME switches one off):");
    assert_eq!(headings.count(), 1);
}

#[test]
fn short_help_of_a_command_shows_its_own_arguments() {
    let help = parse("trace -h")
        .expect_err("help ends the command")
        .to_string();
    assert!(
        help.contains("--min-duration") && !help.contains("--web.listen-address"),
        "{help}"
    );
    let help = parse("trace --help")
        .expect_err("help ends the command")
        .to_string();
    assert!(
        help.contains("--min-duration") && help.contains("--web.listen-address"),
        "{help}"
    );
}

#[test]
fn completions_know_the_flags_in_each_shell() {
    use clap_complete::Shell;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let script = written(|out| completions(shell, out));
        for word in ["web.listen-address", "no-collector.tcp", "print-config"] {
            assert!(
                script.contains(word),
                "{word} isn't in the script for {shell}"
            );
        }
    }
}

#[test]
fn the_manual_page_has_every_setting_once_and_every_command() {
    let page = written(man);
    assert!(
        page.lines().any(|line| line.starts_with(".TH sonde 8")),
        "{page}"
    );
    for setting in setting::all().iter().filter(|setting| setting.has_flag()) {
        let entry = format!("\n\\fB\\-\\-{}\\fR", setting.name.replace('-', "\\-"));
        assert_eq!(
            page.matches(&format!("{entry}\n")).count()
                + page.matches(&format!("{entry} ")).count(),
            1,
            "{}",
            setting.name
        );
    }
    for name in [
        "run",
        "check",
        "trace",
        "print-config",
        "validate",
        "completions",
        "man",
    ] {
        assert!(page.contains(&format!(".SS \"sonde {name}\"\n")), "{name}");
    }
}

#[test]
fn print_config_and_validate_write_what_they_promise() {
    let text = written(|out| print_config(&sources("print-config --log.level debug"), out));
    assert!(
        text.contains("log:\n  format: text\n  level: debug\n"),
        "{text}"
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sonde.yaml");
    std::fs::write(&file, &text).unwrap();
    assert_eq!(
        written(|out| validate(&file, out)),
        format!("{}: ok\n", file.display())
    );
    std::fs::write(&file, "logs: 1\nring: {size: 1}\n").unwrap();
    let error = validate(&file, &mut Vec::new()).unwrap_err();
    let name = file.display();
    assert_eq!(
        error_lines(&error),
        format!(
            "sonde: error: {name}:1:1: unknown key \"logs\"; did you mean \"log\"?\n\
             sonde: error: {name}:2:14: ring.size: expected a power of two from 256KiB to 1GiB, \
             such as 4MiB, found \"1\"\n"
        )
    );
}

#[test]
fn errors_are_told_with_their_causes_on_one_line() {
    let error = validate(std::path::Path::new("/no/such/file"), &mut Vec::new()).unwrap_err();
    assert_eq!(
        error_lines(&error),
        "sonde: error: can't read the configuration file /no/such/file: No such file or directory \
         (os error 2)\n"
    );
}

#[test]
fn a_reader_that_went_away_is_no_fault() {
    assert!(is_closed_pipe(&Failure::Write(
        io::ErrorKind::BrokenPipe.into()
    )));
    assert!(!is_closed_pipe(&Failure::Write(
        io::ErrorKind::StorageFull.into()
    )));
}
