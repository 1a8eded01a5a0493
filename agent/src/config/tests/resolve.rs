//! File, variables and flags together, and reloads.

use super::*;

#[test]
fn fault_30_on_reload_the_old_one_stays() {
    let directory = tempfile::tempdir().unwrap();
    let sources = sources(directory.path(), "log: {level: warn}\n");
    let running = sources.resolve().unwrap();
    fs::write(sources.file.as_ref().unwrap(), "log: {level: loud}\n").unwrap();
    let before = running.clone();
    let error = sources.reload(&running).unwrap_err();
    assert!(
        error.to_string().contains("log.level: expected one of off"),
        "{error}"
    );
    assert_eq!(running, before);
}

#[test]
fn reload_takes_live_settings_and_names_those_that_need_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let sources = sources(directory.path(), "otlp: {endpoint: 'http://old:4317'}\n");
    let running = sources.resolve().unwrap();
    let text = "log.level: debug\nweb.listen-address: ':1'\ncollector.tcp: false\n";
    fs::write(sources.file.as_ref().unwrap(), text).unwrap();
    let reloaded = sources.reload(&running).unwrap();
    assert_eq!(reloaded.changed, ["log.level"]);
    let restart: HashSet<_> = reloaded.needs_restart.iter().copied().collect();
    let expected = HashSet::from(["web.listen-address", "collector.tcp", "otlp.endpoint"]);
    assert_eq!(restart, expected);
    let mut expected = running;
    expected.log.level = value::LogLevel::Debug;
    assert_eq!(reloaded.config, expected);
}

#[test]
fn a_switch_with_settings_below_it_is_enabled_by_that_key() {
    let config =
        resolve("collector:\n  syscall: {enabled: false, durations: all}\n  http: false\n");
    assert!(!config.collectors.is_on("syscall") && !config.collectors.is_on("http"));
    assert_eq!(config.syscall.durations, value::SyscallDurations::All);
    // A mapping is no value of a switch that has nothing below it.
    assert_eq!(
        problems("collector: {http: {enabled: false}}\n"),
        ["1:19: collector.http: expected one value, found a mapping"]
    );
}

#[test]
fn opentelemetry_variables_stand_below_sonde_ones() {
    let both = [
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("SONDE_TRACE_SAMPLER", "always_on"),
    ];
    let resolve = |variables: &[(&str, &str)]| {
        let pairs = variables
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let environment = pairs.collect();
        Sources {
            environment,
            ..Sources::default()
        }
        .resolve()
    };
    assert_eq!(
        resolve(&both).unwrap().trace.sampler,
        value::Sampler::AlwaysOn
    );
    assert_eq!(
        resolve(&both[..1]).unwrap().trace.sampler,
        value::Sampler::AlwaysOff
    );
    assert_eq!(
        resolve(&[("SONDE_LOG_LEVEL", "")]).unwrap(),
        Config::default()
    );
    let error = resolve(&[("SONDE_LOG_LEVEL", "loud")])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("SONDE_LOG_LEVEL: log.level: expected one of"),
        "{error}"
    );
    let error = resolve(&[("OTEL_EXPORTER_OTLP_HEADERS", "hunter2")])
        .unwrap_err()
        .to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn the_exporter_reads_resolved_variables_by_their_names() {
    let config = resolve("otlp: {endpoint: 'http://here:4317'}\n");
    let environment = |name: &str| Some(format!("environment's {name}"));
    let read = |name: &str| config.otlp.variable(name, environment);
    assert_eq!(
        read("OTEL_EXPORTER_OTLP_ENDPOINT").as_deref(),
        Some("http://here:4317")
    );
    assert_eq!(read("OTEL_EXPORTER_OTLP_PROTOCOL"), None);
    let traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    assert_eq!(read(traces), environment(traces));
}

#[test]
fn misspelt_variables_are_found_and_those_of_kubernetes_are_not() {
    let names = [
        "SONDE_LOG_LEVL",
        "SONDE_LOG_LEVEL",
        "SONDE_PORT",
        "SONDE_SERVICE_HOST",
    ];
    let sources = Sources {
        environment: names
            .map(|name| (name.to_owned(), "warn".to_owned()))
            .into(),
        ..Sources::default()
    };
    assert_eq!(
        sources.misspelt_variables(),
        [("SONDE_LOG_LEVL", "SONDE_LOG_LEVEL".to_owned())]
    );
}
