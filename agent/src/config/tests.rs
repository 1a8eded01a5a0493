//! Tests over the registry, the layers and row 30 of the fault table.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use proptest::{prelude::*, sample::select};

use super::{setting::Shape, *};

/// Problems of a file with this text, as `FILE:LINE:COLUMN: ...` without the file.
fn problems(text: &str) -> Vec<String> {
    let problems = file::parse(Path::new("sonde.yaml"), text).expect_err("it is wrong");
    let strip = |problem: &Problem| {
        let line = problem.to_string();
        line.strip_prefix("sonde.yaml:")
            .expect("the file comes first")
            .to_owned()
    };
    problems.iter().map(strip).collect()
}

fn resolve(text: &str) -> Config {
    let directory = tempfile::tempdir().unwrap();
    sources(directory.path(), text).resolve().unwrap()
}

fn sources(directory: &Path, text: &str) -> Sources {
    let path = directory.join("sonde.yaml");
    fs::write(&path, text).unwrap();
    Sources {
        file: Some(path),
        ..Sources::default()
    }
}

fn flag(name: &str, word: &str) -> Assignment {
    let setting = setting::find(name).unwrap();
    Assignment {
        setting,
        words: vec![word.into()],
        origin: Origin::Flag(setting.name),
    }
}

#[test]
fn fault_30_wrong_key_names_the_nearest() {
    assert_eq!(
        problems("web:\n  lisen-address: [':1']\n"),
        ["2:3: unknown key \"lisen-address\" in \"web\"; did you mean \"listen-address\"?"]
    );
    assert_eq!(
        problems("collectors:\n  tcp: true\n"),
        ["1:1: unknown key \"collectors\"; did you mean \"collector\"?"]
    );
    assert_eq!(
        problems("listen-address: ':1'\n"),
        ["1:1: unknown key \"listen-address\"; did you mean \"web.listen-address\"?"]
    );
    assert_eq!(
        problems("log:\n  qqqqq: 1\n"),
        ["2:3: unknown key \"qqqqq\" in \"log\"; expected one of level, format"]
    );
}

#[test]
fn fault_30_suggestions_survive_common_slips() {
    for (section, slip, meant) in [
        ("web", "lisen", "listen-address"),
        ("web", "listen_address", "listen-address"),
        ("collector", "tpc", "tcp"),
        ("collector", "file-descriptors", "file_descriptors"),
        ("http", "maxRoutes", "max-routes"),
        ("otlp", "endpont", "endpoint"),
    ] {
        let line = &problems(&format!("{section}: {{{slip}: x}}\n"))[0];
        assert!(
            line.ends_with(&format!("did you mean {meant:?}?")),
            "{line}"
        );
    }
}

#[test]
fn fault_30_wrong_value_says_what_was_expected_and_found() {
    assert_eq!(
        problems("# why not\nsnapshot: {interval: fast}\n"),
        [
            "2:22: snapshot.interval: expected a duration from 100ms to 1h, such as 5s, found \"fast\""
        ]
    );
    assert_eq!(
        problems("collector:\n  syscall:\n    durations: some\n"),
        ["3:16: collector.syscall.durations: expected one of sampled, all, off, found \"some\""]
    );
    assert_eq!(
        problems("collector: {tcp: yes}\n"),
        ["1:18: collector.tcp: expected true or false, found \"yes\""]
    );
    assert_eq!(
        problems("web:\n  listen-address: [':1', 'nowhere']\n")[0]
            .split(':')
            .next(),
        Some("2")
    );
}

#[test]
fn fault_30_wrong_type_is_refused() {
    let expected = "1:6: log: expected a mapping with keys level, format, found a single value";
    assert_eq!(problems("log: info\n"), [expected]);
    assert_eq!(
        problems("log:\n  level: [info]\n"),
        ["2:10: log.level: expected one value, found a list"]
    );
    assert_eq!(
        problems("log:\n  level: {a: b}\n"),
        ["2:10: log.level: expected one value, found a mapping"]
    );
    assert_eq!(
        problems("web:\n  listen-address: []\n"),
        ["2:19: web.listen-address: expected a list of texts"]
    );
    assert!(problems("- a\n")[0].starts_with("1:1: here: expected a mapping with keys"));
    assert!(problems("just text\n")[0].contains("found a single value"));
}

#[test]
fn fault_30_duplicate_keys_are_refused() {
    let expected = "3:1: duplicate key \"log\", first on line 1";
    assert_eq!(
        problems("log:\n  level: info\nlog:\n  level: warn\n"),
        [expected]
    );
    let expected = "2:1: duplicate key \"log.level\", first on line 1";
    assert_eq!(
        problems("log: {level: info}\nlog.level: warn\n"),
        [expected]
    );
    let expected = "3:3: duplicate key \"syscall\", first on line 2";
    assert_eq!(
        problems("collector:\n  syscall: true\n  syscall: {enabled: true}\n"),
        [expected]
    );
}

#[test]
fn fault_30_not_yaml_is_refused_with_its_place() {
    let found = problems("log:\n  level: info\n bad: [\n");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("3:"), "{found:?}");
    assert!(found[0].contains("not YAML"), "{found:?}");
}

#[test]
fn fault_30_every_problem_is_told_at_once() {
    let text = "log: {level: loud}\nwob: 1\nring: {size: 3MiB}\n";
    let lines: Vec<_> = problems(text)
        .iter()
        .map(|line| line[..2].to_owned())
        .collect();
    assert_eq!(lines, ["1:", "2:", "3:"]);
}

#[test]
fn fault_30_an_empty_file_means_the_defaults() {
    for text in ["", "# nothing\n", "web:\nlog: ~\n", "log:\n  level:\n"] {
        assert_eq!(resolve(text), Config::default(), "{text:?}");
    }
}

#[test]
fn fault_30_a_file_that_cannot_be_read_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let error = |path: PathBuf| {
        let error = validate(&path).expect_err("it can't be read");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        std::error::Error::source(&error).map(ToString::to_string)
    };
    let missing = error(directory.path().join("missing.yaml")).unwrap();
    assert!(missing.contains("No such file"), "{missing}");
    assert!(
        error(directory.path().to_owned())
            .unwrap()
            .contains("directory")
    );
    let large = directory.path().join("large.yaml");
    fs::write(&large, vec![b'#'; 2 << 20]).unwrap();
    assert!(error(large).unwrap().contains("1 MiB"));
    let binary = directory.path().join("binary.yaml");
    fs::write(&binary, b"log:\n  level: \xff\n").unwrap();
    let message = validate(&binary).unwrap_err().to_string();
    assert!(message.ends_with("binary.yaml:2:10: expected UTF-8 text, found other bytes"));
}

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
fn printing_redacts_secrets_and_shows_nothing_unset() {
    let config = resolve("otlp: {headers: 'authorization=hunter2'}\n");
    let text = to_yaml(&config);
    assert!(text.contains("  headers: REDACTED\n"), "{text}");
    assert!(
        !text.contains("hunter2") && !text.contains("endpoint"),
        "{text}"
    );
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn printing_redacts_a_password_in_a_url() {
    let printed = |url: &str| to_yaml(&resolve(&format!("otlp.endpoint: {url}\n")));
    let text = printed("https://me:hunter2@there:4317/a@b");
    assert!(
        text.contains("endpoint: \"https://REDACTED@there:4317/a@b\"\n"),
        "{text}"
    );
    assert!(printed("https://there/a@b").contains("endpoint: \"https://there/a@b\"\n"));
}

#[test]
fn debugging_shows_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let mut sources = sources(directory.path(), "");
    let name = "SONDE_OTLP_HEADERS".to_owned();
    sources
        .environment
        .insert(name.clone(), "authorization=hunter2".into());
    sources
        .flags
        .push(flag("otlp.headers", "authorization=hunter2"));
    let shown = format!("{sources:?}");
    assert!(
        shown.contains(&name) && !shown.contains("hunter2"),
        "{shown}"
    );
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

#[test]
fn every_setting_has_its_own_flag_variable_and_key() {
    let mut names = HashSet::new();
    let mut variables = HashSet::new();
    for setting in setting::all() {
        let name = setting.name;
        assert!(names.insert(name), "{name} stands twice");
        assert!(
            variables.insert(setting.variable()),
            "{}",
            setting.variable()
        );
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        assert!(name.contains('.') && name.chars().all(word), "{name}");
        assert!(
            !setting.help.ends_with('.'),
            "{name}'s help ends with a dot"
        );
        assert_eq!(
            setting.shape == Shape::Switch,
            COLLECTORS.iter().any(|c| c.switch == name)
        );
    }
}

/// Words other than the defaults for each setting.
fn other_words(setting: &setting::Setting) -> Vec<String> {
    let words: &[&str] = match setting.name {
        "web.listen-address" => &["[::1]:80", "0.0.0.0:9464"],
        "path.procfs" | "path.sysfs" | "path.rootfs" => &["/host: #x"],
        "log.format" => &["json"],
        "log.level" | "collector.syscall.durations" | "probe.statistics" => &["off"],
        "snapshot.interval" | "http.request-timeout" => &["1m 30s"],
        "ring.size" => &["16MiB"],
        "http.max-routes" | "http.max-connections" => &["17"],
        "trace.sampler" => &["traceidratio"],
        "trace.sampler-arg" => &["0.125"],
        "otlp.queue-size" => &["1kB"],
        "otlp.endpoint" => &["https://collector:4318/x?y=#z"],
        "otlp.protocol" => &["http/protobuf"],
        "otlp.headers" => &["a=b,c=d"],
        "otlp.timeout" => &["2500"],
        "otlp.compression" => &["gzip"],
        "otlp.certificate" | "otlp.client-certificate" | "otlp.client-key" => &["/a b.pem"],
        name if COLLECTORS.iter().any(|collector| collector.switch == name) => {
            let other = !Config::default()
                .collectors
                .is_on(&name["collector.".len()..]);
            return vec![other.to_string()];
        }
        name => panic!("{name} has no words here"),
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn with_other_words(chosen: &[&setting::Setting]) -> Config {
    let mut config = Config::default();
    for setting in chosen {
        setting.set(&mut config, &other_words(setting)).unwrap();
        assert_eq!(
            setting.get(&config),
            other_words(setting),
            "{}",
            setting.name
        );
    }
    config
}

#[test]
fn every_setting_is_set_by_variable_file_and_flag() {
    for setting in setting::all() {
        let words = other_words(setting);
        let expected = with_other_words(&[setting]);
        assert_ne!(
            expected,
            Config::default(),
            "{} changes nothing",
            setting.name
        );
        let from_variable = Sources {
            environment: BTreeMap::from([(setting.variable(), words.join(", "))]),
            ..Sources::default()
        };
        // A comma separates only where there may be many.
        assert_eq!(
            from_variable.resolve().unwrap(),
            expected,
            "{}",
            setting.name
        );
        let from_flag = Sources {
            flags: vec![Assignment {
                setting,
                words,
                origin: Origin::Flag(setting.name),
            }],
            ..Sources::default()
        };
        assert_eq!(from_flag.resolve().unwrap(), expected, "{}", setting.name);
        if !setting.secret {
            assert_eq!(resolve(&to_yaml(&expected)), expected, "{}", setting.name);
        }
    }
}

proptest! {
    #[test]
    fn what_is_printed_resolves_to_the_same(
        chosen in proptest::sample::subsequence(setting::all().iter().collect::<Vec<_>>(), 0..=10)
    ) {
        let chosen: Vec<_> = chosen.into_iter().filter(|setting| !setting.secret).collect();
        let config = with_other_words(&chosen);
        prop_assert_eq!(resolve(&to_yaml(&config)), config);
    }

    #[test]
    fn the_highest_layer_that_speaks_wins(
        levels in proptest::array::uniform3(proptest::option::of(select(
            vec!["off", "error", "warn", "debug", "trace"],
        )))
    ) {
        let [file, variable, argument] = levels;
        let directory = tempfile::tempdir().unwrap();
        let text = file.map(|level| format!("log.level: {level}\n")).unwrap_or_default();
        let mut sources = sources(directory.path(), &text);
        if let Some(level) = variable {
            sources.environment.insert("SONDE_LOG_LEVEL".into(), level.into());
        }
        sources.flags.extend(argument.map(|level| flag("log.level", level)));
        let expected = argument.or(variable).or(file).unwrap_or("info");
        prop_assert_eq!(sources.resolve().unwrap().log.level.as_str(), expected);
    }

    #[test]
    fn no_file_makes_it_panic(text in "[-a-z0-9:\\[\\]{},&*#'\". \n]{0,200}") {
        let _ = file::parse(Path::new("x"), &text);
    }

    #[test]
    fn a_reload_changes_what_is_live_and_tells_of_the_rest(
        chosen in proptest::sample::subsequence(setting::all().iter().collect::<Vec<_>>(), 0..=10)
    ) {
        let chosen: Vec<_> = chosen.into_iter().filter(|setting| !setting.secret).collect();
        let wanted = with_other_words(&chosen);
        let directory = tempfile::tempdir().unwrap();
        let running = Config::default();
        let reloaded = sources(directory.path(), &to_yaml(&wanted)).reload(&running).unwrap();
        for setting in setting::all() {
            let is_live = setting.reload == setting::Reload::Live;
            let expected = if is_live { &wanted } else { &running };
            prop_assert_eq!(setting.get(&reloaded.config), setting.get(expected));
            let is_chosen = chosen.iter().any(|other| other.name == setting.name);
            let lists = [&reloaded.changed, &reloaded.needs_restart];
            let listed = lists.map(|list| list.contains(&setting.name));
            prop_assert_eq!(listed, [is_chosen && is_live, is_chosen && !is_live]);
        }
    }
}
