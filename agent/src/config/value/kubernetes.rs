//! Settings about the Kubernetes API.

use http::Uri;

use super::{Invalid, Value};

/// The name of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName(String);

impl NodeName {
    /// The name as the API has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that somebody else than the configuration has said.
    ///
    /// # Errors
    /// It is none.
    pub fn checked(text: &str) -> Result<Self, Invalid> {
        Self::read(text)
    }
}

impl Value for NodeName {
    const EXPECTED: &'static str =
        "the name of a node: up to 253 lower case letters, digits, - or .";

    /// A subdomain name (RFC 1123), as the API requires.
    fn parse(text: &str) -> Option<Self> {
        let known = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
        };
        let is_name = (1..=253).contains(&text.len()) && text.bytes().all(known);
        is_name.then(|| Self(text.to_owned()))
    }

    fn render(&self) -> String {
        self.0.clone()
    }
}

/// What a cluster is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterName(String);

impl ClusterName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for ClusterName {
    const EXPECTED: &'static str = "a name of up to 253 characters";

    /// There is no rule for these: each provider has its own.
    fn parse(text: &str) -> Option<Self> {
        let is_name = (1..=253).contains(&text.len()) && text.trim() == text;
        (is_name && !text.contains(char::is_control)).then(|| Self(text.to_owned()))
    }

    fn render(&self) -> String {
        self.0.clone()
    }
}

/// Where an API server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiServer(Uri);

impl ApiServer {
    /// Its address.
    #[must_use]
    pub fn get(&self) -> &Uri {
        &self.0
    }
}

impl Value for ApiServer {
    const EXPECTED: &'static str = "an https URL, such as https://10.0.0.1:6443";

    /// Not http: a token would go in clear text.
    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let has_user = uri.authority()?.as_str().contains('@');
        let is_https = uri.scheme_str() == Some("https");
        (is_https && !has_user && uri.query().is_none()).then_some(Self(uri))
    }

    fn render(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_name_can_be_no_other_selector() {
        assert!(NodeName::parse("ip-10-0-0-1.eu-central-1.compute.internal").is_some());
        for text in ["", "a,metadata.name=b", "A", "a=b", "a b", &"a".repeat(254)] {
            assert_eq!(NodeName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn tokens_go_over_tls_only() {
        assert!(ApiServer::parse("https://[fd00::1]:6443").is_some());
        for text in [
            "http://a:6443",
            "a:6443",
            "https://u:p@a",
            "https://a/?b",
            "",
        ] {
            assert_eq!(ApiServer::parse(text), None, "{text}");
        }
    }
}
