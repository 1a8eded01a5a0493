//! Gathering, overflow, intervals and stopping, in paused time.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use super::{
    fixture::{SNAPSHOT_POINTS, assert_conserved, log, resource, snapshot},
    scripted::{Act, Scripted, push, start},
};
use crate::{
    export::otlp::{Otlp, OtlpConfig, Reason, RetryPolicy, SignalKind},
    metric::{Collector, Value},
    signal::Signal,
};

async fn stop_within(otlp: Otlp, limit: Duration) {
    let before = Instant::now();
    otlp.shutdown((before + limit).into_std()).await;
    assert!(before.elapsed() <= limit + Duration::from_millis(200));
}

const FIVE_SECONDS: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn spans_gather_for_the_delay_and_leave_together() {
    let receiver = Scripted::new(&[], Act::Take);
    let otlp = start(&OtlpConfig::default(), &receiver);
    push(&otlp, 3);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(receiver.requests(), []);
    push(&otlp, 4);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(receiver.requests(), [(FIVE_SECONDS, 7)]);
    assert_eq!(otlp.stats().signal(SignalKind::Traces).exported(), 7);
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_leaves_at_once() {
    let config = OtlpConfig {
        traces_batch: Some(10),
        ..OtlpConfig::default()
    };
    let receiver = Scripted::new(&[], Act::Take);
    let otlp = start(&config, &receiver);
    push(&otlp, 25);
    sleep(Duration::from_secs(1)).await;
    let sizes: Vec<u64> = receiver
        .requests()
        .iter()
        .map(|(_, items)| *items)
        .collect();
    assert_eq!(sizes, [10, 10]);
    assert_eq!(otlp.stats().signal(SignalKind::Traces).waiting(), 5);
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn fault_24_the_queue_keeps_the_newest_within_its_bytes() {
    let config = OtlpConfig {
        queue_bytes: Some(16 << 10),
        ..OtlpConfig::default()
    };
    let receiver = Scripted::new(&[], Act::Fail);
    let otlp = start(&config, &receiver);
    let stats = Arc::clone(otlp.stats());
    let traces = stats.signal(SignalKind::Traces);
    for _ in 0..1000 {
        push(&otlp, 1);
        assert!(traces.queue_bytes() <= 16 << 10);
    }
    assert!(traces.dropped(Reason::QueueFull) > 900);
    assert_conserved(&stats);
    let kept = traces.waiting();
    *receiver.then.lock().expect("not poisoned") = Act::Take;
    stop_within(otlp, FIVE_SECONDS).await;
    assert_eq!(traces.exported(), kept);
    assert_eq!((traces.waiting(), traces.queue_bytes()), (0, 0));
    assert_conserved(&stats);
}

#[tokio::test(start_paused = true)]
async fn fault_24_a_hanging_receiver_of_one_signal_holds_up_no_other() {
    let (hanging, taking) = (Scripted::new(&[], Act::Hang), Scripted::new(&[], Act::Take));
    let otlp = Otlp::with_transports(
        &OtlpConfig::default(),
        RetryPolicy::DEFAULT,
        Some(hanging),
        Some(taking.clone()),
        Some(taking),
    );
    push(&otlp, 3);
    sleep(Duration::from_secs(6)).await;
    otlp.signal(Signal::Log(log(&resource("shop"))));
    otlp.metrics(Arc::new(snapshot(1, 1)));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(otlp.stats().signal(SignalKind::Logs).exported(), 1);
    assert_eq!(
        otlp.stats().signal(SignalKind::Metrics).exported(),
        SNAPSHOT_POINTS
    );
    assert_eq!(otlp.stats().signal(SignalKind::Traces).waiting(), 3);
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn shutdown_sends_what_waits() {
    let receiver = Scripted::new(&[], Act::Take);
    let config = OtlpConfig::default();
    let policy = RetryPolicy::DEFAULT;
    let [traces, metrics] = [receiver.clone(), receiver.clone()];
    let otlp = Otlp::with_transports(&config, policy, Some(traces), Some(metrics), None);
    let stats = Arc::clone(otlp.stats());
    otlp.metrics(Arc::new(snapshot(1, 1)));
    sleep(Duration::from_secs(1)).await;
    otlp.metrics(Arc::new(snapshot(2, 2)));
    push(&otlp, 3);
    let before = Instant::now();
    stop_within(otlp, FIVE_SECONDS).await;
    assert!(
        before.elapsed() < Duration::from_millis(10),
        "nothing to wait for"
    );
    assert_eq!(stats.signal(SignalKind::Traces).exported(), 3);
    assert_eq!(
        stats.signal(SignalKind::Metrics).exported(),
        2 * SNAPSHOT_POINTS
    );
    assert_conserved(&stats);
}

#[tokio::test(start_paused = true)]
async fn fault_24_shutdown_keeps_its_deadline_and_counts_the_rest() {
    for act in [Act::Fail, Act::Hang, Act::Throttle(3600), Act::Throttle(20)] {
        let receiver = Scripted::new(&[], act.clone());
        let otlp = start(&OtlpConfig::default(), &receiver);
        let stats = Arc::clone(otlp.stats());
        push(&otlp, 3);
        sleep(Duration::from_millis(5001)).await;
        push(&otlp, 4);
        stop_within(otlp, FIVE_SECONDS).await;
        let traces = stats.signal(SignalKind::Traces);
        let lost = traces.dropped(Reason::Shutdown) + traces.dropped(Reason::RetryTimeout);
        assert_eq!((lost, traces.waiting()), (7, 0), "{act:?}");
        assert_conserved(&stats);
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_leave_once_per_interval_from_the_newest_snapshot() {
    let receiver = Scripted::new(&[], Act::Take);
    let metrics = Some(receiver.clone());
    let config = OtlpConfig::default();
    let otlp = Otlp::with_transports(&config, RetryPolicy::DEFAULT, None, metrics, None);
    for second in 0..150 {
        otlp.metrics(Arc::new(snapshot(second, second)));
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(receiver.seconds(), [0.0, 60.0, 120.0]);
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn fault_24_an_outage_fills_the_metrics_queue_and_the_newest_stay() {
    let receiver = Scripted::new(&[], Act::Throttle(3600));
    let metrics = Some(receiver.clone());
    let config = OtlpConfig {
        metrics_interval: Some(Duration::from_secs(1)),
        queue_bytes: Some(4 << 10),
        ..OtlpConfig::default()
    };
    let otlp = Otlp::with_transports(&config, RetryPolicy::DEFAULT, None, metrics, None);
    for second in 0..100 {
        otlp.metrics(Arc::new(snapshot(second, second)));
        sleep(Duration::from_secs(1)).await;
    }
    let stats = otlp.stats().signal(SignalKind::Metrics);
    assert!(stats.queue_bytes() <= 4 << 10 && stats.waiting() > 0);
    assert!(stats.dropped(Reason::QueueFull) > 50 * SNAPSHOT_POINTS);
    assert_conserved(otlp.stats());
}

#[tokio::test(start_paused = true)]
async fn the_numbers_are_in_the_snapshot_for_signals_that_are_on() {
    let receiver = Scripted::new(&[Act::Partial(1)], Act::Take);
    let otlp = start(&OtlpConfig::default(), &receiver);
    push(&otlp, 3);
    sleep(Duration::from_secs(6)).await;
    push(&otlp, 4);
    let mut collector = Collector::new(resource("host"), std::time::SystemTime::now());
    otlp.collect(&mut collector);
    let snapshot = collector.finish(std::time::SystemTime::now());
    let sum = |name: &str| -> u64 {
        let family = snapshot
            .families
            .iter()
            .find(|family| family.descriptor.name == name);
        let points = &family.expect("the metric").points;
        assert!(
            points
                .iter()
                .all(|point| point.attributes.get("signal") == Some(&"traces".into()))
        );
        let values = points.iter().map(|point| match point.value {
            Value::Integer(number) => number,
            ref other => panic!("{other:?}"),
        });
        values.sum()
    };
    assert_eq!(sum("sonde.export.captured"), 7);
    assert_eq!(sum("sonde.export.exported"), 2);
    assert_eq!(sum("sonde.export.dropped"), 1);
    assert_eq!(sum("sonde.export.waiting"), 4);
    assert!(sum("sonde.export.queue.size") > 0);
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Take),
        (0_u64..20).prop_map(Act::Partial),
        Just(Act::Fail),
        (0_u64..7200).prop_map(Act::Throttle),
        Just(Act::TooLarge),
        Just(Act::Refuse),
        Just(Act::Hang),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fault_24_the_law_holds_whatever_the_receiver_does(
        script in prop::collection::vec(any_act(), 0..30),
        then in any_act(),
        pushes in prop::collection::vec((0_usize..40, 0_u64..400), 0..15),
        queue_bytes in 512_usize..40_000,
        grace in 0_u64..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let config = OtlpConfig {
                queue_bytes: Some(queue_bytes),
                ..OtlpConfig::default()
            };
            let otlp = start(&config, &Scripted::new(&script, then));
            let stats = Arc::clone(otlp.stats());
            let traces = stats.signal(SignalKind::Traces);
            let mut pushed = 0;
            for (spans, pause) in pushes {
                push(&otlp, spans);
                pushed += spans as u64;
                assert_conserved(&stats);
                sleep(Duration::from_secs(pause)).await;
                assert_conserved(&stats);
                assert!(traces.queue_bytes() <= queue_bytes as u64);
            }
            stop_within(otlp, Duration::from_secs(grace)).await;
            assert_eq!((traces.captured(), traces.waiting(), traces.queue_bytes()), (pushed, 0, 0));
            assert_conserved(&stats);
        });
    }
}
