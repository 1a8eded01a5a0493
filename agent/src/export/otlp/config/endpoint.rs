//! An endpoint as it is written in a setting.

use std::{fmt, str::FromStr};

use http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

/// A URL with scheme http or https, or gRPC's old form `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Url {
        scheme: Scheme,
        authority: Authority,
        path: PathAndQuery,
    },
    HostPort(Authority),
}

/// Not an endpoint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", Endpoint::EXPECTED)]
pub struct EndpointError;

impl Endpoint {
    pub(super) const EXPECTED: &str = "a URL such as http://localhost:4318 or https://collector.example, without user and \
         password, or host:port for gRPC";

    /// Scheme and authority; the path means nothing to gRPC.
    pub(super) fn for_grpc(&self, insecure: bool) -> Uri {
        let (scheme, authority) = match &self.0 {
            Form::Url {
                scheme, authority, ..
            } => (scheme.clone(), authority),
            Form::HostPort(authority) if insecure => (Scheme::HTTP, authority),
            Form::HostPort(authority) => (Scheme::HTTPS, authority),
        };
        uri(scheme, authority.clone(), PathAndQuery::from_static("/"))
    }

    /// The URL itself, or with `path` under it. `None` for `host:port`.
    pub(super) fn for_http(&self, path: Option<&str>) -> Option<Uri> {
        let Form::Url {
            scheme,
            authority,
            path: base,
        } = &self.0
        else {
            return None;
        };
        let full = match path {
            None => base.clone(),
            Some(path) => {
                let slash = if base.path().ends_with('/') { "" } else { "/" };
                let query = base.query().map(|query| format!("?{query}"));
                let text = format!("{}{slash}{path}{}", base.path(), query.unwrap_or_default());
                text.parse()
                    .expect("a path with a plain path after it is a path")
            }
        };
        Some(uri(scheme.clone(), authority.clone(), full))
    }
}

fn uri(scheme: Scheme, authority: Authority, path: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(authority);
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).expect("scheme, authority and path make a whole URI")
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let parts = text
            .trim()
            .parse::<Uri>()
            .map_err(|_| EndpointError)?
            .into_parts();
        let authority = parts.authority.ok_or(EndpointError)?;
        // A password in a URL would end up in logs; headers are there for that.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(EndpointError);
        }
        match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => {
                let path = parts.path_and_query;
                Ok(Self(Form::Url {
                    scheme,
                    authority,
                    path: path.unwrap_or_else(|| PathAndQuery::from_static("/")),
                }))
            }
            None if authority.port().is_some() => Ok(Self(Form::HostPort(authority))),
            _ => Err(EndpointError),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Url {
                scheme,
                authority,
                path,
            } => write!(formatter, "{scheme}://{authority}{path}"),
            Form::HostPort(authority) => authority.fmt(formatter),
        }
    }
}
