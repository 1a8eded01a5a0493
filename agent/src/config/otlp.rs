//! The `otlp` section: OpenTelemetry's own exporter variables, kept under their names.
//!
//! The exporter reads its configuration by variable name, from here first. The variables of one
//! signal (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, ...) exist in the environment only, and win over
//! the general ones as the OpenTelemetry protocol exporter specification says.

use std::{collections::BTreeMap, path::PathBuf};

use super::value::{Invalid, Size, Value};

/// One variable that has a setting too.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) setting: &'static str,
    pub(super) name: &'static str,
    pub(super) value_name: &'static str,
    pub(super) help: &'static str,
    pub(super) default: Option<&'static str>,
    pub(super) secret: bool,
    pub(super) check: fn(&str) -> Result<(), Invalid>,
}

/// OpenTelemetry protocol exporter specification, section "Configuration Options".
pub(super) const VARIABLES: &[Variable] = &[
    Variable {
        setting: "otlp.endpoint",
        name: "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name: "URL",
        help: "Where metrics, traces and logs are sent; nothing is sent without it",
        default: None,
        secret: false,
        check: |text| Url::read(text).map(drop),
    },
    Variable {
        setting: "otlp.protocol",
        name: "OTEL_EXPORTER_OTLP_PROTOCOL",
        value_name: "PROTOCOL",
        help: "grpc or http/protobuf",
        default: Some("http/protobuf"),
        secret: false,
        check: |text| Protocol::read(text).map(drop),
    },
    Variable {
        setting: "otlp.headers",
        name: "OTEL_EXPORTER_OTLP_HEADERS",
        value_name: "HEADERS",
        help: "Headers of each request, as name=value,name=value",
        default: None,
        secret: true,
        check: |text| Headers::read(text).map(drop),
    },
    Variable {
        setting: "otlp.timeout",
        name: "OTEL_EXPORTER_OTLP_TIMEOUT",
        value_name: "MILLISECONDS",
        help: "Longest that one request may take, in milliseconds",
        default: Some("10000"),
        secret: false,
        check: |text| std::num::NonZeroU32::read(text).map(drop),
    },
    Variable {
        setting: "otlp.compression",
        name: "OTEL_EXPORTER_OTLP_COMPRESSION",
        value_name: "METHOD",
        help: "gzip or none",
        default: Some("none"),
        secret: false,
        check: |text| Compression::read(text).map(drop),
    },
    Variable {
        setting: "otlp.certificate",
        name: "OTEL_EXPORTER_OTLP_CERTIFICATE",
        value_name: "FILE",
        help: "Certificates that the receiver's is checked against, PEM",
        default: None,
        secret: false,
        check: |text| PathBuf::read(text).map(drop),
    },
    Variable {
        setting: "otlp.client-certificate",
        name: "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        value_name: "FILE",
        help: "The agent's certificate for mutual TLS, PEM",
        default: None,
        secret: false,
        check: |text| PathBuf::read(text).map(drop),
    },
    Variable {
        setting: "otlp.client-key",
        name: "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        value_name: "FILE",
        help: "The agent's private key for mutual TLS, PEM",
        default: None,
        secret: false,
        check: |text| PathBuf::read(text).map(drop),
    },
];

/// Declares a check for texts that are passed on as they are.
macro_rules! text {
    ($name:ident, $expected:literal, $accepts:expr) => {
        struct $name(String);

        impl Value for $name {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Option<Self> {
                let accepts: fn(&str) -> bool = $accepts;
                accepts(text).then(|| Self(text.to_owned()))
            }

            fn render(&self) -> String {
                self.0.clone()
            }
        }
    };
}

text!(Url, "a URL such as http://localhost:4317", |text| {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
});
text!(Protocol, "grpc or http/protobuf", |text| matches!(
    text,
    "grpc" | "http/protobuf"
));
text!(Compression, "gzip or none", |text| matches!(
    text,
    "gzip" | "none"
));
text!(
    Headers,
    "name=value pairs with commas between them",
    |text| {
        let named = |pair: &str| {
            pair.split_once('=')
                .is_some_and(|(name, _)| !name.trim().is_empty())
        };
        text.split(',').all(named)
    }
);

/// What the file, the environment and the flags say about OTLP.
#[derive(Clone, PartialEq)]
pub struct Otlp {
    /// Bytes kept while the receiver is away.
    pub queue_size: Size,
    variables: BTreeMap<&'static str, String>,
}

impl Otlp {
    /// The value of an `OTEL_...` variable: the resolved one where there is a setting for it, else
    /// what `environment` says. Hand this to the exporter in place of `std::env::var`.
    pub fn variable(
        &self,
        name: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        if VARIABLES.iter().any(|variable| variable.name == name) {
            self.stored(name)
        } else {
            environment(name).filter(|value| !value.is_empty())
        }
    }

    pub(super) fn stored(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    pub(super) fn store(&mut self, name: &'static str, value: Option<String>) {
        match value {
            Some(value) => self.variables.insert(name, value),
            None => self.variables.remove(name),
        };
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            queue_size: Size::mebibytes(16),
            variables: BTreeMap::new(),
        }
    }
}

impl std::fmt::Debug for Otlp {
    /// Names only: values may be secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Otlp")
            .field("queue_size", &self.queue_size)
            .field("variables", &self.variables.keys())
            .finish()
    }
}
