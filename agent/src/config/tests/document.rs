//! What a file may say, and what is said of one that is wrong.

use super::*;

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
fn fault_30_routes_and_header_names_are_checked_where_they_stand() {
    assert_eq!(
        problems("http:\n  routes:\n    - /users/{id}\n    - /a/{b\n    - users\n"),
        [
            "4:7: http.routes: expected at most one {name} in a segment, its name of letters, \
             digits and _, found \"/a/{b\"",
            "5:7: http.routes: expected a route that begins with /, such as /users/{id}, found \
             \"users\"",
        ]
    );
    for name in ["':path'", "a b", "''", "caf\u{e9}", &"x".repeat(65)] {
        let problems = problems(&format!("http:\n  masked-headers: [x-a, {name}]\n"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        let start = "2:25: http.masked-headers: expected the name of a header field, such as";
        assert!(problems[0].starts_with(start), "{problems:?}");
    }
}

#[test]
fn fault_30_a_route_that_stands_twice_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let text = "http:\n  routes: ['/a/{b}', /x, '/a/{c}']\n";
    let error = sources(directory.path(), text).resolve().unwrap_err();
    let error = error.to_string();
    let expected = "sonde.yaml:2:11: http.routes: expected other routes than /a/{b}, found \
                    \"/a/{c}\"";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn header_names_are_taken_in_any_case() {
    let config = resolve("http: {capture-request-headers: [X-Request-ID]}\n");
    let names = config.http.capture_request_headers;
    assert_eq!(
        names.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        ["x-request-id"]
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
