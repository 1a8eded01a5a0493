//! Exchanges to spans, and to log records where they failed.

mod attributes;
mod header;
mod sampler;
#[cfg(test)]
mod tests;
mod texts;

use std::{sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

pub use self::sampler::{SAMPLED, Sampler, SamplerError};
use self::texts::Texts;
use super::{error_type::ErrorType, rpc};
use crate::{
    clock::Clock,
    l7::exchange::{Exchange, Role},
    metric::Resource,
    signal::{LogRecord, Severity, Signal, Span, SpanContext},
};

/// What was asked for, in few words.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// `http.route`; empty when there is none.
    pub route: &'a Arc<str>,
    /// `rpc.method` of a call, when it is known.
    pub method: Option<&'a Arc<str>>,
}

/// Makes spans.
#[derive(Debug)]
pub struct Tracer {
    sampler: Sampler,
    ids: SmallRng,
    texts: Texts,
}

impl Tracer {
    /// Ids are seeded by the operating system. They need to be unique, not secret.
    #[must_use]
    pub fn new(sampler: Sampler) -> Self {
        Self {
            sampler,
            ids: rand::make_rng(),
            texts: Texts::default(),
        }
    }

    /// As [`Tracer::new`] with ids that follow from `seed`.
    #[must_use]
    pub fn with_seed(sampler: Sampler, seed: u64) -> Self {
        Self {
            sampler,
            ids: SmallRng::seed_from_u64(seed),
            texts: Texts::default(),
        }
    }

    /// The ids of an exchange's span: in the trace of the request's parent, else in a new one. The
    /// "sampled" flag says whether there will be a span.
    pub fn context(&mut self, exchange: &Exchange) -> SpanContext {
        let parent = exchange.parent.as_ref();
        let trace_id = match parent {
            Some(parent) => parent.trace_id,
            None => self.fresh(),
        };
        let kept = parent.map_or(0, |parent| parent.flags & !SAMPLED);
        let sampled = self.sampler.samples(&trace_id, parent);
        SpanContext {
            trace_id,
            span_id: self.fresh(),
            flags: kept | if sampled { SAMPLED } else { 0 },
        }
    }

    /// The signals of an exchange: its span when that is sampled, and a log record when it failed,
    /// sampled or not.
    pub fn signals(
        &mut self,
        exchange: &Exchange,
        operation: Operation<'_>,
        resource: &Arc<Resource>,
        context: SpanContext,
        clock: &Clock,
    ) -> impl Iterator<Item = Signal> + use<> {
        let error = ErrorType::of_span(exchange);
        let span = (is_sampled(&context) || error.is_some()).then(|| {
            let (start, end) = clock.interval(exchange.start, exchange.end);
            Arc::new(Span {
                resource: Arc::clone(resource),
                context,
                parent: exchange.parent,
                name: self.name(exchange, operation),
                role: exchange.role,
                start,
                end,
                attributes: attributes::of(exchange, error, operation, &mut self.texts),
                error: error.is_some(),
            })
        });
        let log = span
            .as_deref()
            .zip(error)
            .map(|(span, error)| Signal::Log(Arc::new(failed(exchange, span, error))));
        let span = span.filter(|span| is_sampled(&span.context));
        span.map(Signal::Span).into_iter().chain(log)
    }

    /// `{method} {route}`, or the method that was called (RPC span conventions, "Name").
    fn name(&mut self, exchange: &Exchange, operation: Operation<'_>) -> Arc<str> {
        match (exchange.rpc, operation.method) {
            (None, _) => self.texts.name(exchange.method, operation.route),
            (Some(_), Some(method)) if **method != *rpc::OTHER => Arc::clone(method),
            (Some(_), _) => self.texts.fixed(rpc::SYSTEM),
        }
    }

    /// Random bytes that are not all zero, which both W3C ids exclude.
    fn fresh<const N: usize>(&mut self) -> [u8; N] {
        loop {
            let mut id = [0; N];
            self.ids.fill(&mut id[..]);
            if id != [0; N] {
                return id;
            }
        }
    }
}

/// The span of an exchange's caller, when the caller keeps it. What an exchange without a span of
/// its own is an example of.
#[must_use]
pub fn remote(exchange: &Exchange) -> Option<SpanContext> {
    let parent = exchange.parent?;
    let context = SpanContext {
        trace_id: parent.trace_id,
        span_id: parent.span_id,
        flags: parent.flags,
    };
    Some(context).filter(is_sampled)
}

/// Whether a span with these ids is kept.
#[must_use]
pub fn is_sampled(context: &SpanContext) -> bool {
    context.flags & SAMPLED != 0
}

fn failed(exchange: &Exchange, span: &Span, error: ErrorType) -> LogRecord {
    let elapsed = Duration::from_nanos(exchange.end.saturating_sub(exchange.start));
    let (name, side) = (&span.name, side(exchange.role));
    let (what, event_name) = match exchange.rpc {
        None => ("request", "http.request.failed"),
        Some(_) => ("call", "rpc.call.failed"),
    };
    let how = match error {
        ErrorType::Status(status) => format!("was answered with {status}"),
        ErrorType::Call(status) => format!("was answered with {}", status.as_str()),
        ErrorType::Failure(failure) => format!("failed with {}", failure.as_str()),
    };
    let body = format!("{side} {what} {name} {how} after {elapsed:.1?}");
    LogRecord {
        time: span.end,
        resource: Arc::clone(&span.resource),
        severity: if error.is_grave() {
            Severity::Error
        } else {
            Severity::Warn
        },
        event_name,
        body,
        attributes: span.attributes.clone(),
        span: Some(span.context),
    }
}

fn side(role: Role) -> &'static str {
    match role {
        Role::Server => "server",
        Role::Client => "client",
    }
}
