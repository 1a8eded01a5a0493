mod attributes;
mod failures;
mod trace;
mod untrusted;

use super::*;
use crate::{
    aggregate::{
        fixture::{clock, exchange, resource},
        route,
    },
    l7::exchange::TraceParent,
};

const PARENT: TraceParent = TraceParent {
    trace_id: [7; 16],
    span_id: [8; 8],
    flags: 0x03,
};

fn all(sampler: &str, exchange: &Exchange) -> (Option<Arc<Span>>, Option<Arc<LogRecord>>) {
    let mut tracer = Tracer::with_seed(Sampler::parse(sampler, None).unwrap(), 1);
    let context = tracer.context(exchange);
    let route: Arc<str> = route::route(&exchange.path).into();
    let (mut span, mut log) = (None, None);
    let method: Option<Arc<str>> = exchange.rpc.map(|_| "shop.Orders/Get".into());
    let operation = Operation {
        route: &route,
        method: method.as_ref(),
    };
    for signal in tracer.signals(exchange, operation, &resource("shop"), context, &clock()) {
        match signal {
            Signal::Span(one) => assert_eq!(span.replace(one), None),
            Signal::Log(one) => assert_eq!(log.replace(one), None),
        }
    }
    (span, log)
}

fn span_of(exchange: &Exchange) -> Arc<Span> {
    all("parentbased_always_on", exchange).0.unwrap()
}

fn attributes(span: &Span) -> Vec<String> {
    let pairs = span.attributes.iter();
    pairs
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}
