//! What is tried: a server, a way to it, and a version of HTTP.

use std::fmt;

/// A real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the programs'")]
pub enum Server {
    Nginx,
    Python,
    Node,
    Go,
}

/// What lies below HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Clear,
    /// TLS on TCP.
    Tls,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1
    Http1,
    /// HTTP/2
    Http2,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// Who answers.
    pub server: Server,
    /// Over what.
    pub transport: Transport,
    /// In which version.
    pub version: Version,
}

impl Case {
    /// All that there are.
    pub fn all() -> impl Iterator<Item = Self> {
        let servers = [Server::Nginx, Server::Python, Server::Node, Server::Go];
        let ways = [
            (Transport::Clear, Version::Http1),
            (Transport::Tls, Version::Http1),
            (Transport::Clear, Version::Http2),
            (Transport::Tls, Version::Http2),
        ];
        ways.into_iter().flat_map(move |(transport, version)| {
            servers.into_iter().map(move |server| Self {
                server,
                transport,
                version,
            })
        })
    }

    /// Whether the generator's own end can be read as well: its TLS is rustls, which the agent
    /// can't look into.
    #[must_use]
    pub fn observes_client(&self) -> bool {
        self.transport == Transport::Clear
    }

    /// As it is named on a command line: `nginx-tls-1.1`.
    #[must_use]
    pub fn name(&self) -> String {
        let version = self.protocol();
        format!("{}-{}-{version}", self.server, self.transport)
    }

    /// `network.protocol.version`
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        match self.version {
            Version::Http1 => "1.1",
            Version::Http2 => "2",
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::Python => "python",
            Self::Node => "node",
            Self::Go => "go",
        })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear => "clear",
            Self::Tls => "tls",
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server, transport, ..
        } = self;
        write!(f, "{server} {transport} HTTP/{}", self.protocol())
    }
}

impl std::str::FromStr for Case {
    type Err = String;

    /// By its [`name`](Case::name).
    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().find(|case| case.name() == text).ok_or_else(|| {
            let all: Vec<_> = Self::all().map(|case| case.name()).collect();
            format!("one of {}", all.join(", "))
        })
    }
}
