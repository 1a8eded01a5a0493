//! Durations of requests, and examples of them.

use std::time::SystemTime;

use super::distribution::{DURATION, Distribution};
use crate::{
    l7::exchange::Exchange,
    metric::{Exemplar, Value},
    signal::SpanContext,
};

/// The durations of one series.
#[derive(Debug, Default)]
pub(super) struct Timed {
    durations: Distribution,
    /// The latest of each bucket that has any; a series rarely fills more than a few.
    examples: Vec<Example>,
}

#[derive(Debug)]
struct Example {
    bucket: usize,
    nanoseconds: u64,
    time: SystemTime,
    context: SpanContext,
}

impl Timed {
    /// Counts an exchange: first byte of the request to last byte of the answer. Says in which
    /// bucket.
    pub(super) fn record(&mut self, exchange: &Exchange) -> usize {
        self.durations.record(&DURATION, duration(exchange))
    }

    /// Makes the exchange that was counted in `bucket` an example.
    pub(super) fn remember(
        &mut self,
        bucket: usize,
        exchange: &Exchange,
        time: SystemTime,
        context: SpanContext,
    ) {
        let example = Example {
            bucket,
            nanoseconds: duration(exchange),
            time,
            context,
        };
        match self.examples.iter_mut().find(|held| held.bucket == bucket) {
            Some(held) => *held = example,
            None => self.examples.push(example),
        }
    }

    /// The histogram and its examples; `None` while nothing was counted.
    pub(super) fn value(&self) -> Option<(Value, Vec<Exemplar>)> {
        let histogram = self.durations.histogram(&DURATION)?;
        let mut examples: Vec<_> = self.examples.iter().collect();
        examples.sort_by_key(|example| example.bucket);
        let examples = examples.into_iter().map(|example| Exemplar {
            value: DURATION.convert(example.nanoseconds),
            time: example.time,
            trace_id: example.context.trace_id,
            span_id: example.context.span_id,
        });
        Some((Value::Histogram(histogram), examples.collect()))
    }
}

/// In nanoseconds; never negative.
fn duration(exchange: &Exchange) -> u64 {
    exchange.end.saturating_sub(exchange.start)
}
