//! Text to typed values and back: the words of flags, environment variables and the file.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

/// A word that is not what the setting takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct Invalid {
    /// What it takes, in words.
    pub expected: &'static str,
    /// What stood there.
    pub found: String,
}

/// A value with one spelling for flags, environment and file.
pub(super) trait Value: Sized {
    /// What is expected, for messages: "a duration such as 5s".
    const EXPECTED: &'static str;

    /// The value that `text` spells.
    fn parse(text: &str) -> Option<Self>;

    /// A spelling that `parse` takes back.
    fn render(&self) -> String;

    /// The value, or what is wrong with it.
    fn read(text: &str) -> Result<Self, Invalid> {
        Self::parse(text).ok_or_else(|| Invalid {
            expected: Self::EXPECTED,
            found: text.to_owned(),
        })
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

impl Value for NonZeroU32 {
    const EXPECTED: &'static str = "a whole number from 1 to 4294967295";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

impl Value for PathBuf {
    const EXPECTED: &'static str = "an absolute path";

    fn parse(text: &str) -> Option<Self> {
        let path = Self::from(text);
        (path.is_absolute() && !text.contains('\0')).then_some(path)
    }

    fn render(&self) -> String {
        self.to_string_lossy().into_owned()
    }
}

impl Value for Duration {
    const EXPECTED: &'static str = "a duration above zero, such as 5s, 100ms or 1m 30s";

    fn parse(text: &str) -> Option<Self> {
        let duration = humantime::parse_duration(text).ok()?;
        (!duration.is_zero()).then_some(duration)
    }

    fn render(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

/// How often something is done: from 100 ms to 1 h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(Duration);

impl Interval {
    /// Five seconds.
    pub(super) const FIVE_SECONDS: Self = Self(Duration::from_secs(5));

    /// The time between two runs.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Value for Interval {
    const EXPECTED: &'static str = "a duration from 100ms to 1h, such as 5s";

    fn parse(text: &str) -> Option<Self> {
        let bounds = Duration::from_millis(100)..=Duration::from_secs(3600);
        let duration = Duration::parse(text)?;
        bounds.contains(&duration).then_some(Self(duration))
    }

    fn render(&self) -> String {
        self.0.render()
    }
}

/// A number of bytes, such as `16MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// Units of [`Size`], the largest binary ones first so that `render` picks the longest that fits.
const UNITS: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Size {
    /// `count` times 2^20 bytes.
    pub(super) const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes, at least 1.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Value for Size {
    const EXPECTED: &'static str = "a size above zero, such as 16MiB, 512KiB or 1GB";

    fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        let (digits, unit) = text.split_at(end);
        let unit = unit.trim_start();
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let bytes = digits.parse::<u64>().ok()?.checked_mul(*factor)?;
        (bytes > 0).then_some(Self(bytes))
    }

    fn render(&self) -> String {
        let (unit, factor) = UNITS
            .iter()
            .find(|(_, factor)| self.0.is_multiple_of(*factor))
            .unwrap_or(&("B", 1));
        format!("{}{unit}", self.0 / factor)
    }
}

/// Size of the kernel's ring buffer: a power of two from 256 KiB to 1 GiB, hence a multiple of
/// every page size, as `bpf(2)` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSize(u32);

impl RingSize {
    /// 4 MiB.
    pub(super) const DEFAULT: Self = Self(4 << 20);

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.0
    }
}

impl Value for RingSize {
    const EXPECTED: &'static str = "a power of two from 256KiB to 1GiB, such as 4MiB";

    fn parse(text: &str) -> Option<Self> {
        let bytes = u32::try_from(Size::parse(text)?.bytes()).ok()?;
        (bytes.is_power_of_two() && (256 << 10..=1 << 30).contains(&bytes)).then_some(Self(bytes))
    }

    fn render(&self) -> String {
        Size(self.0.into()).render()
    }
}

/// A share from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(f64);

impl Ratio {
    /// All of it.
    pub(super) const ONE: Self = Self(1.0);

    /// The share; never NaN.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Value for Ratio {
    const EXPECTED: &'static str = "a number from 0 to 1, such as 0.1";

    fn parse(text: &str) -> Option<Self> {
        let share = text.parse().ok()?;
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    fn render(&self) -> String {
        self.0.to_string()
    }
}

/// Where the web server listens: `HOST:PORT` with an IP address or `localhost`, or `:PORT` for
/// every address of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress(SocketAddr);

impl ListenAddress {
    /// The default: port 9464 (the OpenTelemetry Prometheus exporter's), this host only.
    pub(super) const DEFAULT: Self = Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464));

    /// The socket address to bind; `[::]` takes IPv4 as well where the host has dual-stack
    /// sockets.
    #[must_use]
    pub const fn get(self) -> SocketAddr {
        self.0
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Value for ListenAddress {
    const EXPECTED: &'static str =
        "an IP address (or localhost) and a port, such as 127.0.0.1:9464, [::1]:9464 or :9464";

    fn parse(text: &str) -> Option<Self> {
        let named = |port: &str, ip: IpAddr| Some(SocketAddr::new(ip, port.parse().ok()?));
        let address = if let Some(port) = text.strip_prefix(':') {
            named(port, Ipv6Addr::UNSPECIFIED.into())
        } else if let Some(port) = text.strip_prefix("localhost:") {
            named(port, Ipv4Addr::LOCALHOST.into())
        } else {
            text.parse().ok()
        };
        address.map(Self)
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_take_binary_and_decimal_units_and_nothing_else() {
        assert_eq!(Size::parse("16MiB"), Some(Size::mebibytes(16)));
        assert_eq!(Size::parse("512 KiB"), Some(Size(512 << 10)));
        assert_eq!(Size::parse("1GB"), Some(Size(1_000_000_000)));
        let huge = "99999999999999GiB";
        for wrong in ["", "16", "MiB", "-1MiB", "1.5MiB", "16mib", "0B", huge] {
            assert_eq!(Size::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_are_above_zero_and_intervals_in_their_bounds() {
        assert_eq!(Duration::parse("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(Duration::parse("1m 30s"), Some(Duration::from_secs(90)));
        for wrong in ["", "5", "0s", "-5s", "fast"] {
            assert_eq!(Duration::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Interval::parse("99ms"), None);
        assert_eq!(Interval::parse("1h 1s"), None);
        assert_eq!(Interval::parse("5s"), Some(Interval::FIVE_SECONDS));
    }

    #[test]
    fn listen_addresses_take_the_forms_of_the_exporters() {
        let render = |text| ListenAddress::parse(text).map(|address| address.render());
        assert_eq!(render("127.0.0.1:9464").as_deref(), Some("127.0.0.1:9464"));
        assert_eq!(render("localhost:1").as_deref(), Some("127.0.0.1:1"));
        assert_eq!(render(":9464").as_deref(), Some("[::]:9464"));
        assert_eq!(render("[::1]:9464").as_deref(), Some("[::1]:9464"));
        for wrong in ["9464", "127.0.0.1", "example.com:80", ":99999", "::1:9464"] {
            assert_eq!(render(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ring_sizes_are_powers_of_two() {
        assert_eq!(RingSize::parse("4MiB"), Some(RingSize::DEFAULT));
        for wrong in ["3MiB", "128KiB", "2GiB", "8GiB"] {
            assert_eq!(RingSize::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ratios_are_numbers_from_0_to_1() {
        assert_eq!(Ratio::parse("0.25").map(Ratio::get), Some(0.25));
        for wrong in ["NaN", "-0.1", "1.1", "inf", "half"] {
            assert_eq!(Ratio::parse(wrong), None, "{wrong}");
        }
    }

    fn round_trips<T: Value + PartialEq + fmt::Debug>(value: &T) {
        assert_eq!(T::parse(&value.render()).as_ref(), Some(value));
    }

    proptest! {
        #[test]
        fn every_value_is_read_back_from_its_rendering(
            bytes in 1_u64..,
            nanoseconds in 1_u64..,
            share in 0.0..=1.0,
            address: std::net::IpAddr,
            port: u16,
        ) {
            round_trips(&Size(bytes));
            round_trips(&Duration::from_nanos(nanoseconds));
            round_trips(&Ratio(share));
            round_trips(&ListenAddress(SocketAddr::new(address, port)));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in ".{0,40}") {
            let _ = (Size::parse(&text), Duration::parse(&text), ListenAddress::parse(&text));
            let _ = (Ratio::parse(&text), PathBuf::parse(&text), RingSize::parse(&text));
        }
    }
}
