//! The settings: each described once, for flags, environment, file, help and `print-config`.
//!
//! A setting has one name in three spellings: `web.listen-address` is the flag
//! `--web.listen-address`, the variable `SONDE_WEB_LISTEN_ADDRESS` and the file's key
//! `listen-address` under `web`.

use std::sync::LazyLock;

use super::{
    Config,
    collector::COLLECTORS,
    otlp,
    value::{Invalid, Value},
};

/// How many words a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One.
    One,
    /// One or more: a repeated flag, a list in the file, commas in the environment.
    Many,
    /// `true` or `false`; as a flag `--NAME` and `--no-NAME`.
    Switch,
}

/// Whether a reload can change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Taken over at once.
    Live,
    /// Fixed from the start of the agent to its end.
    Restart,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Dotted name: the flag without dashes and the path in the file.
    pub name: &'static str,
    /// Heading in the help.
    pub heading: &'static str,
    /// Placeholder of its value in the help.
    pub value_name: &'static str,
    /// What it does; one line without a final dot.
    pub help: &'static str,
    /// What holds where nobody sets it and it has no value of its own.
    pub default: Option<&'static str>,
    /// Somebody else's variable of the same meaning, mostly OpenTelemetry's; `SONDE_...` wins over
    /// it.
    pub otel: Option<&'static str>,
    /// How many words it takes.
    pub shape: Shape,
    /// Whether a reload can change it.
    pub reload: Reload,
    /// Never shown; no flag either, since command lines are for everyone to see.
    pub secret: bool,
    access: Access,
}

/// Where its value is kept.
#[derive(Debug)]
enum Access {
    Field {
        set: fn(&mut Config, &[String]) -> Result<(), Invalid>,
        get: fn(&Config) -> Vec<String>,
    },
    Collector(&'static str),
    Otlp {
        variable: &'static str,
        check: fn(&str) -> Result<(), Invalid>,
    },
}

impl Setting {
    /// Name of its environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        let name = self.name.to_ascii_uppercase();
        format!("SONDE_{}", name.replace(['.', '-'], "_"))
    }

    /// Whether there is a flag for it.
    #[must_use]
    pub fn has_flag(&self) -> bool {
        !self.secret
    }

    /// Its present value in the words that `set` takes; empty when it has none.
    #[must_use]
    pub fn get(&self, config: &Config) -> Vec<String> {
        match &self.access {
            Access::Field { get, .. } => get(config),
            Access::Collector(name) => vec![config.collectors.is_on(name).to_string()],
            Access::Otlp { variable, .. } => config.otlp.stored(variable).into_iter().collect(),
        }
    }

    /// Sets it from words; on an error `config` stays as it was. No words unset what may be unset
    /// (among it lists that are empty by default) and change nothing else.
    pub(super) fn set(&self, config: &mut Config, words: &[String]) -> Result<(), Invalid> {
        let last = words.last();
        match (&self.access, last) {
            (Access::Field { set, .. }, _) => set(config, words)?,
            (Access::Collector(name), Some(word)) => {
                config.collectors.switch(name, bool::read(word)?);
            }
            (Access::Otlp { variable, check }, Some(word)) => {
                check(word)?;
                config.otlp.store(variable, Some(word.clone()));
            }
            (Access::Otlp { variable, .. }, None) => config.otlp.store(variable, None),
            (Access::Collector(_), None) => {}
        }
        Ok(())
    }

    /// Whether `word` is one that the setting takes.
    pub fn check(&self, word: &str) -> Result<(), Invalid> {
        self.set(&mut Config::default(), &[word.to_owned()])
    }
}

fn one<T: Value>(slot: &mut T, words: &[String]) -> Result<(), Invalid> {
    if let Some(word) = words.last() {
        *slot = T::read(word)?;
    }
    Ok(())
}

fn many<T: Value>(slot: &mut Vec<T>, words: &[String]) -> Result<(), Invalid> {
    let values: Vec<_> = words
        .iter()
        .map(|word| T::read(word))
        .collect::<Result<_, _>>()?;
    T::check_all(&values)?;
    *slot = values;
    Ok(())
}

fn optional<T: Value>(slot: &mut Option<T>, words: &[String]) -> Result<(), Invalid> {
    *slot = words.last().map(|word| T::read(word)).transpose()?;
    Ok(())
}

/// A setting that is a field of [`Config`]. `Maybe` is one word that need not be there.
macro_rules! field {
    (
        $name:literal, $heading:expr, $value_name:literal, $reload:ident,
        $shape:ident: $($field:ident).+, $otel:expr, $help:literal
    ) => {
        Setting {
            name: $name,
            heading: $heading,
            value_name: $value_name,
            help: $help,
            default: None,
            otel: $otel,
            shape: field!(@shape $shape),
            reload: Reload::$reload,
            secret: false,
            access: field!(@$shape $($field).+),
        }
    };
    (@shape Many) => { Shape::Many };
    (@shape $one:ident) => { Shape::One };
    (@Maybe $($field:ident).+) => {
        Access::Field {
            set: |config, words| optional(&mut config.$($field).+, words),
            get: |config| config.$($field).+.iter().map(Value::render).collect(),
        }
    };
    (@One $($field:ident).+) => {
        Access::Field {
            set: |config, words| one(&mut config.$($field).+, words),
            get: |config| vec![config.$($field).+.render()],
        }
    };
    (@Many $($field:ident).+) => {
        Access::Field {
            set: |config, words| many(&mut config.$($field).+, words),
            get: |config| config.$($field).+.iter().map(Value::render).collect(),
        }
    };
}

const WEB: &str = "Web";
const PATHS: &str = "Where the host is";
const LOG: &str = "The agent's own log";
const COLLECT: &str = "Collectors (--no-collector.NAME switches one off)";
const LIMITS: &str = "Measuring and its limits";
const PRIVACY: &str = "What is kept of requests";
const KUBERNETES: &str = "Kubernetes";
const TRACES: &str = "Traces";
const OTLP: &str = "OTLP export (every OTEL_EXPORTER_OTLP_* variable works as well)";

/// Headings in the order of the help.
const HEADINGS: &[&str] = &[
    WEB, PATHS, LOG, COLLECT, LIMITS, PRIVACY, KUBERNETES, TRACES, OTLP,
];

fn field_settings() -> impl Iterator<Item = Setting> {
    [
        field!("web.listen-address", WEB, "ADDRESS", Restart, Many: web.listen_addresses, None,
            "Where /metrics is served; repeatable"),
        field!("path.procfs", PATHS, "DIR", Restart, One: path.procfs, None,
            "Mount point of procfs"),
        field!("path.sysfs", PATHS, "DIR", Restart, One: path.sysfs, None,
            "Mount point of sysfs"),
        field!("path.rootfs", PATHS, "DIR", Restart, One: path.rootfs, None,
            "The host's root directory, seen from the agent"),
        field!("log.level", LOG, "LEVEL", Live, One: log.level, None,
            "Least severe level that is written: off, error, warn, info, debug, trace"),
        field!("log.format", LOG, "FORMAT", Restart, One: log.format, None,
            "text or json"),
        field!("snapshot.interval", LIMITS, "DURATION", Restart, One: snapshot.interval, None,
            "Time between two snapshots: how fresh metrics are"),
        field!("collector.syscall.durations", LIMITS, "WHICH", Restart,
            One: syscall.durations, None,
            "Syscalls to time: sampled, all or off; counts and errors are exact in each case"),
        field!("collector.sched.by", LIMITS, "WHAT", Restart, One: sched.by, None,
            "Whose CPU time, memory, waiting and I/O is told: of each service, or of each process \
             (500 of a service, 2,000 in all)"),
        field!("probe.statistics", LIMITS, "WHEN", Restart, One: probe.statistics, None,
            "When the kernel counts and times the runs of sonde's programs: start (the first 2 s), \
             always (costs every run two readings of the clock) or off"),
        field!("ring.size", LIMITS, "SIZE", Restart, One: ring.size, None,
            "Kernel ring buffer for events; what doesn't fit is counted as dropped"),
        field!("http.max-routes", LIMITS, "COUNT", Restart, One: http.max_routes, None,
            "Routes per service; further ones share an overflow series"),
        field!("http.max-routes-per-method", LIMITS, "COUNT", Restart,
            One: http.max_routes_per_method, None,
            "How many of a service's routes one method may have"),
        field!("http.max-path-names", LIMITS, "COUNT", Restart, One: http.max_path_names, None,
            "Different names in one place of a service's paths; with more they become {name}"),
        field!("http.routes", LIMITS, "ROUTE", Restart, Many: http.routes, None,
            "Routes to use as they stand, such as /users/{id} or /files/*; the most specific one \
             that fits a path wins; repeatable"),
        field!("http.max-connections", LIMITS, "COUNT", Restart, One: http.max_connections, None,
            "HTTP connections followed at a time; further ones are counted as given up"),
        field!("http.request-timeout", LIMITS, "DURATION", Restart, One: http.request_timeout, None,
            "Age at which a request without an answer is counted as timed out"),
        field!("http.capture-request-headers", PRIVACY, "NAME", Restart,
            Many: http.capture_request_headers, None,
            "Header fields of requests that spans have, by name; none unless named; repeatable"),
        field!("http.capture-response-headers", PRIVACY, "NAME", Restart,
            Many: http.capture_response_headers, None,
            "Header fields of answers that spans have, by name; none unless named; repeatable"),
        field!("http.masked-headers", PRIVACY, "NAME", Restart, Many: http.masked_headers, None,
            "Header fields whose values are masked where they are captured, besides those that \
             carry credentials (authorization, cookie, set-cookie, x-api-key, ...); repeatable"),
        field!("kubernetes.enabled", KUBERNETES, "WHEN", Restart, One: kubernetes.enabled, None,
            "Whether the Kubernetes API is asked about this node's pods: auto (in a pod, or where \
             it is said whom to ask), on or off"),
        field!("kubernetes.node-name", KUBERNETES, "NAME", Restart, Maybe: kubernetes.node_name,
            Some("K8S_NODE_NAME"),
            "Name of this node in the cluster; NODE_NAME of the environment where it isn't said"),
        field!("kubernetes.cluster-name", KUBERNETES, "NAME", Restart,
            Maybe: kubernetes.cluster_name, Some("K8S_CLUSTER_NAME"),
            "Name of the cluster, which nothing on a node tells"),
        field!("kubernetes.kubeconfig", KUBERNETES, "FILE", Restart, Maybe: kubernetes.kubeconfig,
            None, "A kubeconfig whose current context says whom to ask, outside of the cluster"),
        field!("kubernetes.api-server", KUBERNETES, "URL", Restart, Maybe: kubernetes.api_server,
            None, "The API server, instead of the one that a pod finds in its environment"),
        field!("kubernetes.account", KUBERNETES, "DIR", Restart, One: kubernetes.account, None,
            "Directory with the token and the ca.crt of a service account; both are read again as \
             they are replaced"),
        field!("trace.sampler", TRACES, "SAMPLER", Live, One: trace.sampler,
            Some("OTEL_TRACES_SAMPLER"),
            "Which requests become spans: always_on, always_off, traceidratio, or one of them with \
             parentbased_ before it"),
        field!("trace.sampler-arg", TRACES, "RATIO", Live, One: trace.sampler_arg,
            Some("OTEL_TRACES_SAMPLER_ARG"),
            "The share that traceidratio keeps"),
        field!("otlp.queue-size", OTLP, "SIZE", Restart, One: otlp.queue_size, None,
            "Bytes kept while the receiver is away; the oldest are dropped and counted beyond"),
    ]
    .into_iter()
}

fn collector_settings() -> impl Iterator<Item = Setting> {
    COLLECTORS.iter().map(|collector| Setting {
        name: collector.switch,
        heading: COLLECT,
        value_name: "BOOL",
        help: collector.help,
        default: None,
        otel: None,
        shape: Shape::Switch,
        reload: Reload::Restart,
        secret: false,
        access: Access::Collector(collector.name),
    })
}

fn otlp_settings() -> impl Iterator<Item = Setting> {
    otlp::VARIABLES.iter().map(|variable| Setting {
        name: variable.setting,
        heading: OTLP,
        value_name: variable.value_name,
        help: variable.help,
        default: variable.default,
        otel: Some(variable.name),
        shape: Shape::One,
        reload: Reload::Restart,
        secret: variable.secret,
        access: Access::Otlp {
            variable: variable.name,
            check: variable.check,
        },
    })
}

static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let settings = collector_settings()
        .chain(otlp_settings())
        .chain(field_settings());
    let mut settings: Vec<_> = settings.collect();
    settings.sort_by_key(|setting| HEADINGS.iter().position(|known| *known == setting.heading));
    settings
});

/// Every setting, those of one heading together.
#[must_use]
pub fn all() -> &'static [Setting] {
    &SETTINGS
}

/// The setting called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    all().iter().find(|setting| setting.name == name)
}
