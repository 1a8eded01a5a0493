//! A span's attributes: OpenTelemetry's HTTP span conventions, the stable ones, and of a gRPC call
//! those of the RPC span conventions beside them.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{Operation, header, texts::Texts};
use crate::{
    aggregate::{error_type::ErrorType, route::redacted, rpc::SYSTEM, server::Server},
    l7::{
        exchange::{Exchange, Role},
        rpc::Rpc,
        transport::Transport,
    },
    metric::{AttributeValue, Attributes},
};

/// Longest `url.path` in bytes.
const PATH: usize = 2_048;
/// Longest value that a peer is free to choose otherwise, in bytes.
const TEXT: usize = 256;

type Pairs = Vec<(&'static str, AttributeValue)>;

/// The attributes of an exchange's span.
pub(super) fn of(
    exchange: &Exchange,
    error: Option<ErrorType>,
    operation: Operation<'_>,
    texts: &mut Texts,
) -> Attributes {
    // Written down in the order of their names, so that sorting them costs one look.
    let mut pairs = Vec::with_capacity(24);
    let peer = texts.address(exchange.tuple.remote);
    if exchange.role == Role::Server {
        pairs.push(("client.address", Arc::clone(&peer).into()));
    }
    pairs.extend(error.map(|error| ("error.type", error.attribute())));
    http(&mut pairs, exchange, texts);
    if exchange.role == Role::Server && !operation.route.is_empty() {
        pairs.push(("http.route", Arc::clone(operation.route).into()));
    }
    let queued = exchange.queued.map(u64::from).map(Duration::from_micros);
    pairs.extend(queued.map(|time| ("http.server.request.queue.duration", time.into())));
    pairs.push(("network.peer.address", peer.into()));
    pairs.push(("network.peer.port", exchange.tuple.remote_port.into()));
    let version = texts.fixed(exchange.version);
    pairs.push(("network.protocol.version", version.into()));
    if let Some(rpc) = exchange.rpc {
        call(&mut pairs, rpc, operation.method, texts);
    }
    let server = match exchange.role {
        Role::Server => Server::answering(exchange),
        Role::Client => Server::asked(exchange),
    };
    pairs.push(("server.address", Arc::clone(&server.address).into()));
    pairs.push(("server.port", server.port.into()));
    if let Some(rpc) = exchange.rpc {
        let count = |messages: Option<u32>| messages.map(i64::from);
        let (requests, responses) = (count(rpc.requests), count(rpc.responses));
        pairs.extend(requests.map(|count| ("sonde.rpc.request.messages", count.into())));
        pairs.extend(responses.map(|count| ("sonde.rpc.response.messages", count.into())));
    }
    let (path, cut) = redacted(&exchange.path, PATH);
    if exchange.truncated || cut {
        pairs.push(("sonde.truncated", true.into()));
    }
    tcp(&mut pairs, exchange.transport);
    url(&mut pairs, exchange, path, &server, texts);
    let agent = exchange.user_agent.as_ref();
    pairs.extend(agent.map(|text| ("user_agent.original", printable(text).into())));
    debug_assert!(pairs.is_sorted_by_key(|(name, _)| *name));
    pairs.into_iter().collect()
}

fn http(pairs: &mut Pairs, exchange: &Exchange, texts: &mut Texts) {
    let size = |bytes: Option<u64>| i64::try_from(bytes?).ok();
    let request = size(exchange.request_body);
    pairs.extend(request.map(|bytes| ("http.request.body.size", bytes.into())));
    pairs.extend(header::attributes(&exchange.request_headers));
    let method = exchange.method.as_str().map(|method| texts.fixed(method));
    pairs.extend(method.map(|method| ("http.request.method", method.into())));
    let original = exchange.method_original.as_ref();
    pairs.extend(original.map(|text| ("http.request.method_original", printable(text).into())));
    let response = size(exchange.response_body);
    pairs.extend(response.map(|bytes| ("http.response.body.size", bytes.into())));
    pairs.extend(header::attributes(&exchange.response_headers));
    let status = exchange.status;
    pairs.extend(status.map(|status| ("http.response.status_code", status.into())));
}

fn call(pairs: &mut Pairs, call: Rpc, method: Option<&Arc<str>>, texts: &mut Texts) {
    pairs.extend(method.map(|method| ("rpc.method", Arc::clone(method).into())));
    let status = call.status.map(|status| texts.fixed(status.as_str()));
    pairs.extend(status.map(|status| ("rpc.response.status_code", status.into())));
    let system = texts.fixed(SYSTEM);
    pairs.push(("rpc.system.name", system.into()));
}

/// Named as the metrics that count the same of a service's connections.
fn tcp(pairs: &mut Pairs, transport: Transport) {
    let retransmits = transport.retransmits().map(i64::from);
    pairs.extend(retransmits.map(|count| ("tcp.retransmits", count.into())));
    pairs.extend(transport.rtt().map(|time| ("tcp.rtt", time.into())));
}

fn url(
    pairs: &mut Pairs,
    exchange: &Exchange,
    path: Cow<'_, str>,
    server: &Server,
    texts: &mut Texts,
) {
    if exchange.role == Role::Client && path.starts_with('/') {
        let full = full_url(exchange.scheme, server, &path);
        pairs.push(("url.full", full.into()));
    }
    if !path.is_empty() {
        let path = match path {
            Cow::Borrowed(part) if part.len() == exchange.path.len() => Arc::clone(&exchange.path),
            other => other.into(),
        };
        pairs.push(("url.path", path.into()));
    }
    let scheme = texts.fixed(exchange.scheme);
    pairs.push(("url.scheme", scheme.into()));
}

/// Without user information and query, which are not kept.
fn full_url(scheme: &str, server: &Server, path: &str) -> String {
    let host = &server.address;
    let (open, close) = if host.contains(':') {
        ("[", "]")
    } else {
        ("", "")
    };
    match (scheme, server.port) {
        ("http", 80) | ("https", 443) => format!("{scheme}://{open}{host}{close}{path}"),
        (_, port) => format!("{scheme}://{open}{host}{close}:{port}{path}"),
    }
}

/// Control characters replaced, cut to [`TEXT`] bytes.
fn printable(text: &Arc<str>) -> Arc<str> {
    if text.len() <= TEXT && !text.contains(char::is_control) {
        return Arc::clone(text);
    }
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
    kept.into()
}
