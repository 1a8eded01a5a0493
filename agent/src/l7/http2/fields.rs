//! The header fields that are looked at. Of all others nothing is kept, not even in the dynamic
//! table.

use std::sync::Arc;

use super::hpack::Digest;
use crate::l7::{
    exchange::{Method, TraceParent},
    headers::{Selection, VALUES_MAX, Wanted},
    http1::{PATH_MAX, TEXT_MAX, Target, without_userinfo},
    rpc::RpcStatus,
    text::Interner,
    traceparent,
};

/// Names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Method,
    Path,
    Scheme,
    Authority,
    Status,
    Host,
    UserAgent,
    TraceParent,
    ContentType,
    GrpcStatus,
    Other,
}

impl Name {
    fn of(name: &[u8]) -> Self {
        match name {
            b":method" => Self::Method,
            b":path" => Self::Path,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b":status" => Self::Status,
            b"host" => Self::Host,
            b"user-agent" => Self::UserAgent,
            b"traceparent" => Self::TraceParent,
            b"content-type" => Self::ContentType,
            b"grpc-status" => Self::GrpcStatus,
            _ => Self::Other,
        }
    }
}

/// What was read out of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Method(Method, Option<Arc<str>>),
    /// Without the query, and whether it was cut.
    Path(Arc<str>, bool),
    Scheme,
    Authority(Arc<str>),
    Status(Option<u16>),
    Host(Arc<str>),
    UserAgent(Arc<str>),
    TraceParent(TraceParent),
    /// `application/grpc`, with or without a suffix.
    Grpc,
    GrpcStatus(RpcStatus),
    Other,
}

/// A name, and whether it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    name: Name,
    wanted: Option<Wanted>,
}

/// A field, and its value where it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Valued {
    field: Field,
    kept: Option<(Wanted, Arc<str>)>,
}

/// The fields of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not states"
)]
pub(super) struct Head {
    pub(super) method: Option<(Method, Option<Arc<str>>)>,
    pub(super) path: Option<Arc<str>>,
    pub(super) authority: Option<Arc<str>>,
    pub(super) host: Option<Arc<str>>,
    pub(super) user_agent: Option<Arc<str>>,
    pub(super) parent: Option<TraceParent>,
    pub(super) status: Option<u16>,
    pub(super) grpc: bool,
    pub(super) grpc_status: Option<RpcStatus>,
    /// Those that were asked for by name.
    pub(super) kept: Vec<(Wanted, Arc<str>)>,
    /// There is a field that only a request has.
    pub(super) asks: bool,
    /// There is a `:status`.
    pub(super) answers: bool,
    /// There are fields that aren't known.
    pub(super) hidden: bool,
    /// A path was cut, or a part of the block is missing.
    pub(super) truncated: bool,
}

impl Head {
    /// An answer that another one follows: RFC 9110 section 15.2.
    pub(super) fn is_interim(&self) -> bool {
        self.status.is_some_and(|status| status / 100 == 1)
    }

    fn take(&mut self, field: &Field) {
        match field {
            Field::Method(method, original) => {
                self.asks = true;
                self.method
                    .get_or_insert_with(|| (*method, original.clone()));
            }
            Field::Path(path, cut) => {
                self.asks = true;
                self.truncated |= cut;
                self.path.get_or_insert_with(|| Arc::clone(path));
            }
            Field::Scheme => self.asks = true,
            Field::Authority(authority) => {
                self.asks = true;
                keep(&mut self.authority, authority);
            }
            Field::Status(status) => {
                self.answers = true;
                self.status = self.status.or(*status);
            }
            Field::Host(host) => keep(&mut self.host, host),
            Field::UserAgent(agent) => keep(&mut self.user_agent, agent),
            Field::TraceParent(parent) => {
                self.parent.get_or_insert(*parent);
            }
            Field::Grpc => self.grpc = true,
            Field::GrpcStatus(status) => {
                self.grpc_status.get_or_insert(*status);
            }
            Field::Other => {}
        }
    }
}

/// Collects a block's fields.
pub(super) struct Collector<'a> {
    pub(super) head: Head,
    pub(super) texts: &'a mut Interner,
    pub(super) selection: &'a Selection,
}

impl Collector<'_> {
    fn text(&mut self, value: &[u8]) -> Arc<str> {
        self.texts.text(value, TEXT_MAX).0
    }

    fn method(&mut self, value: &[u8]) -> Field {
        let method = std::str::from_utf8(value).map_or(Method::Other, Method::parse);
        let original = (method == Method::Other).then(|| self.text(value));
        Field::Method(method, original)
    }

    /// What is looked at whether it was asked for or not.
    fn known(&mut self, name: Name, value: &[u8]) -> Field {
        match name {
            Name::Method => self.method(value),
            Name::Path => {
                let (path, cut) = self.texts.text(Target::parse(value, false).path, PATH_MAX);
                Field::Path(path, cut)
            }
            Name::Scheme => Field::Scheme,
            Name::Authority => Field::Authority(self.text(without_userinfo(value))),
            Name::Status => Field::Status(status(value)),
            Name::Host => Field::Host(self.text(without_userinfo(value))),
            Name::UserAgent => Field::UserAgent(self.text(value)),
            Name::TraceParent => traceparent::parse(value).map_or(Field::Other, Field::TraceParent),
            Name::ContentType if is_grpc(value) => Field::Grpc,
            Name::GrpcStatus => Field::GrpcStatus(RpcStatus::parse(value)),
            Name::ContentType | Name::Other => Field::Other,
        }
    }
}

impl Digest for Collector<'_> {
    type Name = Named;
    type Field = Valued;

    fn name(&mut self, name: &[u8]) -> Named {
        Named {
            name: Name::of(name),
            wanted: self.selection.wants(name),
        }
    }

    fn wants(&self, named: &Named) -> bool {
        !matches!(named.name, Name::Other | Name::Scheme) || named.wanted.is_some()
    }

    fn field(&mut self, named: &Named, value: &[u8]) -> Valued {
        let kept = |wanted| (wanted, self.selection.value(wanted, value));
        Valued {
            kept: named.wanted.map(kept),
            field: self.known(named.name, value),
        }
    }

    fn take(&mut self, valued: &Valued) {
        if let Some(kept) = &valued.kept
            && self.head.kept.len() < VALUES_MAX
        {
            self.head.kept.push(kept.clone());
        }
        self.head.take(&valued.field);
    }

    fn hidden(&mut self) {
        self.head.hidden = true;
    }
}

fn keep(place: &mut Option<Arc<str>>, text: &Arc<str>) {
    if !text.is_empty() {
        place.get_or_insert_with(|| Arc::clone(text));
    }
}

/// Three digits, RFC 9113 section 8.3.2; `None` for what is none.
fn status(value: &[u8]) -> Option<u16> {
    match value {
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => std::str::from_utf8(value).ok()?.parse().ok(),
        _ => None,
    }
}

/// gRPC over HTTP/2, "Requests": `application/grpc`, then nothing, `+format` or parameters.
fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
