//! From a command line to a command.

use super::*;

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
