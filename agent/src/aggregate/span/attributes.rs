//! A span's attributes (OpenTelemetry HTTP span conventions, the stable ones).

use std::sync::Arc;

use crate::{
    aggregate::{
        error_type::ErrorType,
        route::redacted,
        server::{Server, ip},
    },
    l7::exchange::{Exchange, Role},
    metric::{AttributeValue, Attributes},
};

/// Longest `url.path` in bytes.
const PATH: usize = 2_048;
/// Longest value that a peer is free to choose otherwise, in bytes.
const TEXT: usize = 256;

/// The attributes of an exchange's span.
#[must_use]
pub(super) fn of(exchange: &Exchange, route: &Arc<str>) -> Attributes {
    let (path, cut) = redacted(&exchange.path, PATH);
    let mut pairs = Vec::with_capacity(20);
    request(&mut pairs, exchange);
    ends(&mut pairs, exchange, &path);
    if exchange.role == Role::Server && !route.is_empty() {
        pairs.push(("http.route", Arc::clone(route).into()));
    }
    if !path.is_empty() {
        pairs.push(("url.path", path.into()));
    }
    if exchange.truncated || cut {
        pairs.push(("sonde.truncated", true.into()));
    }
    pairs.into_iter().collect()
}

type Pairs = Vec<(&'static str, AttributeValue)>;

fn request(pairs: &mut Pairs, exchange: &Exchange) {
    pairs.push(("http.request.method", exchange.method.as_str().into()));
    pairs.push(("network.protocol.version", exchange.version.into()));
    pairs.push(("url.scheme", exchange.scheme.into()));
    let original = exchange.method_original.as_deref();
    pairs.extend(original.map(|text| ("http.request.method_original", printable(text).into())));
    let agent = exchange.user_agent.as_deref();
    pairs.extend(agent.map(|text| ("user_agent.original", printable(text).into())));
    let status = exchange.status;
    pairs.extend(status.map(|status| ("http.response.status_code", status.into())));
    let error = ErrorType::of(exchange);
    pairs.extend(error.map(|error| ("error.type", error.attribute())));
    for (name, bytes) in [
        ("http.request.body.size", exchange.request_body),
        ("http.response.body.size", exchange.response_body),
    ] {
        let bytes = bytes.and_then(|bytes| i64::try_from(bytes).ok());
        pairs.extend(bytes.map(|bytes| (name, bytes.into())));
    }
}

/// Who talked to whom.
fn ends(pairs: &mut Pairs, exchange: &Exchange, path: &str) {
    let peer: Arc<str> = ip(exchange.tuple.remote).to_string().into();
    let server = match exchange.role {
        Role::Server => {
            pairs.push(("client.address", Arc::clone(&peer).into()));
            Server::answering(exchange)
        }
        Role::Client => {
            let server = Server::asked(exchange);
            if path.starts_with('/') {
                pairs.push(("url.full", full_url(exchange, &server, path).into()));
            }
            server
        }
    };
    pairs.push(("network.peer.address", peer.into()));
    pairs.push(("network.peer.port", exchange.tuple.remote_port.into()));
    pairs.push(("server.address", server.address.into()));
    pairs.push(("server.port", server.port.into()));
}

/// Without user information and query, which are not kept.
fn full_url(exchange: &Exchange, server: &Server, path: &str) -> String {
    let scheme = exchange.scheme;
    let host = if server.address.contains(':') {
        format!("[{}]", server.address)
    } else {
        server.address.to_string()
    };
    match (scheme, server.port) {
        ("http", 80) | ("https", 443) => format!("{scheme}://{host}{path}"),
        (_, port) => format!("{scheme}://{host}:{port}{path}"),
    }
}

/// Control characters replaced, cut to [`TEXT`].
fn printable(text: &str) -> String {
    let mut kept = String::with_capacity(text.len().min(TEXT));
    for character in text.chars() {
        let character = if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        };
        if kept.len() + character.len_utf8() > TEXT {
            break;
        }
        kept.push(character);
    }
    kept
}
