//! Settings that are one of a few words.

use super::Value;

/// Declares an enum whose variants have one word each.
macro_rules! words {
    (
        $(#[$meta:meta])* $name:ident, $expected:literal,
        $($(#[$doc:meta])* $variant:ident = $word:literal,)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// The word that stands for it on the command line and in the file.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl Value for $name {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Option<Self> {
                match text {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn render(&self) -> String {
                self.as_str().to_owned()
            }
        }
    };
}

words! {
    /// When the kernel counts and times the runs of the agent's programs (BPF statistics).
    Statistics, "one of start, always, off",
    /// For the first moments of a run: what a run of each program costs is known then.
    Start = "start",
    /// As long as the agent runs. The clock is read twice more for each run of a program.
    Always = "always",
    /// Never.
    Off = "off",
}

words! {
    /// What has series of its own of what processes use.
    UsageBy, "one of service, process",
    /// Each service.
    Service = "service",
    /// Each process, and of each service the processes that have ended.
    Process = "process",
}

words! {
    /// Whether this node's pods are watched.
    Kubernetes, "one of auto, on, off",
    /// In a pod of a cluster, or where it is said whom to ask.
    Auto = "auto",
    /// Yes; that it can't be is an error.
    On = "on",
    /// No.
    Off = "off",
}

words! {
    /// How much the agent says about itself.
    LogLevel, "one of off, error, warn, info, debug, trace",
    /// Nothing.
    Off = "off",
    /// What stops something from working.
    Error = "error",
    /// What is lost or given up.
    Warn = "warn",
    /// What an operator wants to see once.
    Info = "info",
    /// How decisions were made.
    Debug = "debug",
    /// Everything.
    Trace = "trace",
}

words! {
    /// How log lines are written.
    LogFormat, "text or json",
    /// For people.
    Text = "text",
    /// One JSON object per line.
    Json = "json",
}

words! {
    /// Which syscalls are timed. Counts and errors are exact in each case.
    SyscallDurations, "one of sampled, all, off",
    /// A share of them, chosen in the kernel.
    Sampled = "sampled",
    /// Every one.
    All = "all",
    /// None: the cheapest, since nothing runs at syscall entry.
    Off = "off",
}

words! {
    /// Which requests become spans: the values of `OTEL_TRACES_SAMPLER` in the OpenTelemetry SDK
    /// configuration specification.
    Sampler, "one of always_on, always_off, traceidratio, parentbased_always_on, \
              parentbased_always_off, parentbased_traceidratio",
    /// All.
    AlwaysOn = "always_on",
    /// None.
    AlwaysOff = "always_off",
    /// The share of trace ids in `trace.sampler-arg`.
    TraceIdRatio = "traceidratio",
    /// As the caller's `traceparent` says, all where there is none.
    ParentBasedAlwaysOn = "parentbased_always_on",
    /// As the caller's `traceparent` says, none where there is none.
    ParentBasedAlwaysOff = "parentbased_always_off",
    /// As the caller's `traceparent` says, a share where there is none.
    ParentBasedTraceIdRatio = "parentbased_traceidratio",
}

impl From<LogLevel> for tracing_subscriber::filter::LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
