//! Tests over the registry, the layers and row 30 of the fault table.

mod document;
mod properties;
mod registry;
mod resolve;
mod secret;

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

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

/// Words other than the defaults for each setting.
fn other_words(setting: &setting::Setting) -> Vec<String> {
    let words: &[&str] = match setting.name {
        "web.listen-address" => &["[::1]:80", "0.0.0.0:9464"],
        "path.procfs" | "path.sysfs" | "path.rootfs" => &["/host: #x"],
        "log.format" => &["json"],
        "collector.sched.by" => &["process"],
        "log.level" | "collector.syscall.durations" | "probe.statistics" => &["off"],
        "snapshot.interval" | "http.request-timeout" => &["1m 30s"],
        "ring.size" => &["16MiB"],
        "http.max-routes"
        | "http.max-routes-per-method"
        | "http.max-path-names"
        | "http.max-connections" => &["17"],
        "http.routes" => &["/users/{id}", "/files/*"],
        "http.capture-request-headers" => &["x-request-id", "accept"],
        "http.capture-response-headers" => &["server"],
        "http.masked-headers" => &["x-session"],
        "kubernetes.enabled" => &["on"],
        "kubernetes.node-name" => &["node-1.example"],
        "kubernetes.cluster-name" => &["arn:aws:eks/Prod_1"],
        "kubernetes.kubeconfig" | "kubernetes.account" => &["/etc/kubernetes/x"],
        "kubernetes.api-server" => &["https://10.0.0.1:6443/"],
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
