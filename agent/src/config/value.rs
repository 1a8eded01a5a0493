//! Text to typed values and back: the words of flags, environment variables and the file.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

mod http;
mod kubernetes;
mod word;

pub use self::http::{FieldName, Route};
pub use self::kubernetes::{ApiServer, ClusterName, NodeName};
pub use self::word::{
    Kubernetes, LogFormat, LogLevel, Sampler, Statistics, SyscallDurations, UsageBy,
};

/// A word that is not what the setting takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct Invalid {
    /// What it takes, in words.
    pub expected: Cow<'static, str>,
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

    /// What is wrong with several of them together, each of which is right by itself.
    fn check_all(_: &[Self]) -> Result<(), Invalid> {
        Ok(())
    }

    /// The value, or what is wrong with it.
    fn read(text: &str) -> Result<Self, Invalid> {
        Self::parse(text).ok_or_else(|| Invalid {
            expected: Self::EXPECTED.into(),
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
        let bounds = Duration::from_millis(100)..=Duration::from_hours(1);
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
    /// 8 MiB: a third of a second of a saturated host.
    pub(super) const DEFAULT: Self = Self(8 << 20);

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

#[cfg(test)]
mod tests;
