//! Retry, throttling and refusals, in paused time.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    fixture::{assert_conserved, span_signal},
    scripted::{Act, Scripted, push, start},
};
use crate::export::otlp::{OtlpConfig, Reason, SignalKind};

#[tokio::test(start_paused = true)]
async fn fault_24_a_receiver_that_is_down_gets_everything_when_it_is_back() {
    let receiver = Scripted::new(&[Act::Fail, Act::Fail, Act::Hang], Act::Take);
    let otlp = start(&OtlpConfig::default(), &receiver);
    push(&otlp, 3);
    sleep(Duration::from_mins(1)).await;
    let stats = otlp.stats().signal(SignalKind::Traces);
    assert_eq!(
        (stats.exported(), stats.failures(), stats.retries()),
        (3, 3, 3)
    );
    let gaps: Vec<f64> = receiver
        .seconds()
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert!((0.5..=1.0).contains(&gaps[0]), "{gaps:?}");
    assert!((0.75..=1.5).contains(&gaps[1]), "{gaps:?}");
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn fault_24_a_batch_is_given_up_after_five_minutes() {
    let receiver = Scripted::new(&[], Act::Fail);
    let otlp = start(&OtlpConfig::default(), &receiver);
    push(&otlp, 3);
    sleep(Duration::from_secs(400)).await;
    let stats = otlp.stats().signal(SignalKind::Traces);
    assert_eq!(stats.dropped(Reason::RetryTimeout), 3);
    let last = receiver.seconds().last().copied().expect("requests");
    assert!((270.0..=305.0).contains(&last), "{last}");
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn fault_24_retry_after_is_kept() {
    let receiver = Scripted::new(&[Act::Throttle(30)], Act::Take);
    let otlp = start(&OtlpConfig::default(), &receiver);
    push(&otlp, 1);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(receiver.seconds(), [5.0, 35.0]);
    assert_eq!(otlp.stats().signal(SignalKind::Traces).exported(), 1);
}

#[tokio::test(start_paused = true)]
async fn fault_24_retry_after_an_hour_silences_the_signal_and_the_queue_keeps_what_comes() {
    let receiver = Scripted::new(&[Act::Throttle(3600)], Act::Take);
    let otlp = start(&OtlpConfig::default(), &receiver);
    push(&otlp, 2);
    sleep(Duration::from_secs(10)).await;
    let traces = Arc::clone(otlp.stats().signal(SignalKind::Traces));
    assert_eq!(
        traces.dropped(Reason::RetryTimeout),
        2,
        "it can't wait that long"
    );
    push(&otlp, 5);
    sleep(Duration::from_secs(3590)).await;
    assert_eq!(receiver.requests().len(), 1);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(receiver.seconds(), [5.0, 3605.0]);
    assert_eq!(traces.exported(), 5);
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn fault_24_throttling_holds_for_the_other_messages_of_a_batch() {
    let receiver = Scripted::new(&[Act::Throttle(3600)], Act::Take);
    let otlp = start(&OtlpConfig::default(), &receiver);
    // One batch that makes two messages.
    let long = "x".repeat(3 << 20);
    for _ in 0..2 {
        otlp.signal(span_signal(&long));
    }
    sleep(Duration::from_secs(3700)).await;
    assert_eq!(receiver.seconds(), [5.0, 3605.0]);
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn fault_24_what_is_refused_is_not_sent_again() {
    let receiver = Scripted::new(&[Act::Refuse], Act::Take);
    let otlp = start(&OtlpConfig::default(), &receiver);
    push(&otlp, 3);
    sleep(Duration::from_mins(10)).await;
    assert_eq!(receiver.requests().len(), 1);
    let stats = otlp.stats().signal(SignalKind::Traces);
    assert_eq!((stats.dropped(Reason::Refused), stats.exported()), (3, 0));
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn fault_24_partial_success_is_counted_and_not_sent_again() {
    let receiver = Scripted::new(&[Act::Partial(2), Act::Partial(u64::MAX)], Act::Take);
    let otlp = start(&OtlpConfig::default(), &receiver);
    let stats = Arc::clone(otlp.stats().signal(SignalKind::Traces));
    push(&otlp, 5);
    sleep(Duration::from_secs(10)).await;
    assert_eq!((stats.exported(), stats.dropped(Reason::Rejected)), (3, 2));
    push(&otlp, 5);
    sleep(Duration::from_secs(10)).await;
    assert_eq!((stats.exported(), stats.dropped(Reason::Rejected)), (3, 7));
    assert_eq!(receiver.requests().len(), 2);
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn fault_24_too_large_is_halved_once() {
    let receiver = Scripted::new(&[Act::TooLarge, Act::Take, Act::TooLarge], Act::Take);
    let otlp = start(&OtlpConfig::default(), &receiver);
    push(&otlp, 5);
    sleep(Duration::from_secs(10)).await;
    let items: Vec<u64> = receiver
        .requests()
        .iter()
        .map(|(_, items)| *items)
        .collect();
    assert_eq!(items, [5, 3, 2]);
    let stats = otlp.stats().signal(SignalKind::Traces);
    assert_eq!((stats.exported(), stats.dropped(Reason::TooLarge)), (3, 2));
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn fault_24_a_single_span_over_the_limit_is_counted_and_the_rest_goes_on() {
    let receiver = Scripted::new(&[], Act::Take);
    let otlp = start(&OtlpConfig::default(), &receiver);
    otlp.signal(span_signal(&"x".repeat(5 << 20)));
    push(&otlp, 2);
    sleep(Duration::from_secs(20)).await;
    let stats = otlp.stats().signal(SignalKind::Traces);
    assert_eq!((stats.exported(), stats.dropped(Reason::TooLarge)), (2, 1));
    assert_conserved(otlp.stats());
}
