//! Tests of the command line as a whole.

use std::{io, time::Duration};

use super::*;
use crate::config::{COLLECTORS, Config, setting};

fn parse(line: &str) -> Result<Command, clap::Error> {
    parse_with(line, &[])
}

fn parse_with(line: &str, environment: &[(&str, &str)]) -> Result<Command, clap::Error> {
    let arguments = line
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(OsString::from);
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    Command::parse(
        [OsString::from("sonde")].into_iter().chain(arguments),
        environment,
    )
}

fn sources(line: &str) -> Sources {
    match parse(line).unwrap() {
        Command::Run(sources)
        | Command::Check(sources, _)
        | Command::Trace(sources, ..)
        | Command::PrintConfig(sources) => sources,
        other => panic!("{other:?} has no sources"),
    }
}

fn config(line: &str) -> Config {
    sources(line).resolve().unwrap()
}

fn refused(line: &str) -> String {
    let error = parse(line).expect_err("it is wrong usage");
    assert_eq!(error.exit_code(), 2, "{line}");
    error.to_string()
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn clap_finds_nothing_wrong_with_the_command_line() {
    flags::command().debug_assert();
}

#[test]
fn every_command_is_reached() {
    assert!(matches!(parse("").unwrap(), Command::Run(_)));
    assert!(matches!(parse("run").unwrap(), Command::Run(_)));
    assert!(matches!(
        parse("check").unwrap(),
        Command::Check(_, ReportFormat::Text)
    ));
    assert!(matches!(
        parse("check --format json").unwrap(),
        Command::Check(_, ReportFormat::Json)
    ));
    assert!(matches!(
        parse("trace").unwrap(),
        Command::Trace(_, TraceFormat::Auto, _)
    ));
    assert!(matches!(
        parse("print-config").unwrap(),
        Command::PrintConfig(_)
    ));
    assert!(matches!(parse("validate x").unwrap(), Command::Validate(file) if file == *"x"));
    assert!(matches!(
        parse("completions fish").unwrap(),
        Command::Completions(_)
    ));
    assert!(matches!(parse("man").unwrap(), Command::Man));
}

#[test]
fn every_setting_with_a_flag_has_it_where_an_agent_runs() {
    let command = flags::command();
    let mut places = vec![&command];
    places.extend(
        command
            .get_subcommands()
            .filter(|found| matches!(found.get_name(), "run" | "check" | "trace" | "print-config")),
    );
    assert_eq!(places.len(), 5);
    for place in places {
        let longs: Vec<_> = place
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .collect();
        for setting in setting::all() {
            let has = longs.contains(&setting.name);
            assert_eq!(
                has,
                !setting.secret,
                "{} of {}",
                setting.name,
                place.get_name()
            );
        }
        for collector in COLLECTORS {
            assert!(
                longs.contains(&collector.off_switch),
                "{}",
                collector.off_switch
            );
        }
    }
}

#[test]
fn flags_change_what_they_name() {
    let config = config(
        "--web.listen-address :1 --web.listen-address [::1]:2 --snapshot.interval 100ms \
         --no-collector.disk --collector.syscall.durations off",
    );
    let addresses: Vec<_> = config
        .web
        .listen_addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(addresses, ["[::]:1", "[::1]:2"]);
    assert_eq!(config.snapshot.interval.get(), Duration::from_millis(100));
    assert!(!config.collectors.is_on("disk") && config.collectors.is_on("cpu"));
}

#[test]
fn the_last_switch_stands() {
    let on = |line| config(line).collectors.is_on("tcp");
    assert!(on("--no-collector.tcp --collector.tcp"));
    assert!(!on("--collector.tcp --no-collector.tcp"));
    assert!(!on("--collector.tcp check --no-collector.tcp"));
    assert!(on("--no-collector.tcp check --collector.tcp"));
    assert!(!on("--no-collector.tcp check"));
}

#[test]
fn flags_may_stand_before_and_after_the_command() {
    let config = config("--log.level debug --log.format json trace --log.level warn");
    assert_eq!(config.log.level.as_str(), "warn");
    assert_eq!(config.log.format.as_str(), "json");
}

#[test]
fn the_file_is_named_by_flag_or_variable() {
    let file = |line, environment: &[(&str, &str)]| match parse_with(line, environment).unwrap() {
        Command::Run(sources) => sources.file,
        other => panic!("{other:?} doesn't run"),
    };
    let variable = [("SONDE_CONFIG_FILE", "/b"), ("HOME", "/root")];
    assert_eq!(file("", &[]), None);
    assert_eq!(file("", &variable), Some("/b".into()));
    assert_eq!(file("--config.file /a", &variable), Some("/a".into()));
    assert_eq!(
        file("--config.file /a run --config.file /c", &variable),
        Some("/c".into())
    );
    assert_eq!(file("", &[("SONDE_CONFIG_FILE", "")]), None);
}

#[test]
fn only_variables_that_may_mean_settings_are_kept() {
    let environment = [
        ("SONDE_LOG_LEVEL", "warn"),
        ("OTEL_X", "1"),
        ("AWS_SECRET_KEY", "s"),
    ];
    let Command::Run(sources) = parse_with("", &environment).unwrap() else {
        panic!("it runs");
    };
    let names: Vec<_> = sources.environment.keys().map(String::as_str).collect();
    assert_eq!(names, ["OTEL_X", "SONDE_LOG_LEVEL"]);
}

#[test]
fn wrong_usage_is_told_with_what_was_expected() {
    let text = refused("--ring.size 3MiB");
    assert!(text.contains("'3MiB' for '--ring.size <SIZE>'"), "{text}");
    assert!(
        text.contains("a power of two from 256KiB to 1GiB"),
        "{text}"
    );
    let text = refused("--web.lisen-address :1");
    assert!(text.contains("'--web.listen-address'"), "{text}");
    assert!(refused("trace --status 5x").contains("expected a status such as 500"));
    assert!(refused("--otlp.headers a=b").contains("unexpected argument"));
    refused("chekc");
    refused("validate");
    refused("completions cmd");
}

#[test]
fn trace_takes_its_filters() {
    let line = "trace --service shop --service web* --status >=500,none --min-duration 100ms";
    let Command::Trace(_, _, filter) = parse(line).unwrap() else {
        panic!("it traces");
    };
    assert_eq!((filter.services.len(), filter.statuses.len()), (2, 2));
    assert_eq!(filter.min_duration, Duration::from_millis(100));
    assert!(filter.routes.is_empty());
}

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
