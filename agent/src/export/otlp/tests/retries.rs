//! Retry, throttling and refusals, in paused time.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    fixture::{assert_conserved, span_signal},
    scripted::{Act, Scripted, push, start},
};
<<<<<<< HEAD

use tokio::time::{Instant, sleep};

use super::fixture::{SNAPSHOT_POINTS, assert_conserved, log, resource, snapshot, span_signal};
use crate::{
    export::otlp::{
        Otlp, OtlpConfig, Reason, RetryPolicy, SignalKind,
        message::{Message, PartialSuccess},
        transport::{Outcome, Transport},
    },
    signal::Signal,
};

/// What the receiver does with one request.
#[derive(Clone, Debug)]
enum Act {
    Take,
    Partial(u64),
    Fail,
    Throttle(u64),
    TooLarge,
    Refuse,
    Hang,
}

/// A receiver that follows its script, then its last rule for ever.
#[derive(Clone)]
struct Scripted {
    script: Arc<Mutex<VecDeque<Act>>>,
    then: Arc<Mutex<Act>>,
    /// When each request came, and with how many items.
    requests: Arc<Mutex<Vec<(Duration, u64)>>>,
    began: Instant,
}

impl Scripted {
    fn new(script: &[Act], then: Act) -> Self {
        Self {
            script: Arc::new(Mutex::new(script.iter().cloned().collect())),
            then: Arc::new(Mutex::new(then)),
            requests: Arc::default(),
            began: Instant::now(),
        }
    }

    fn requests(&self) -> Vec<(Duration, u64)> {
        self.requests.lock().expect("not poisoned").clone()
    }

    /// Seconds at which requests came.
    fn seconds(&self) -> Vec<f64> {
        self.requests()
            .iter()
            .map(|(time, _)| time.as_secs_f64())
            .collect()
    }
}

impl Transport for Scripted {
    async fn send(&mut self, message: &Message) -> Outcome {
        let request = (self.began.elapsed(), message.items);
        self.requests.lock().expect("not poisoned").push(request);
        let next = self.script.lock().expect("not poisoned").pop_front();
        let act = next.unwrap_or_else(|| self.then.lock().expect("not poisoned").clone());
        let error = "scripted".to_owned();
        match act {
            Act::Take => Outcome::Accepted(PartialSuccess::default()),
            Act::Partial(rejected) => Outcome::Accepted(PartialSuccess {
                rejected,
                message: "not those".to_owned(),
            }),
            Act::Fail => Outcome::Retry { after: None, error },
            Act::Throttle(seconds) => Outcome::Retry {
                after: Some(Duration::from_secs(seconds)),
                error,
            },
            Act::TooLarge => Outcome::TooLarge { error },
            Act::Refuse => Outcome::Refused { error },
            Act::Hang => {
                sleep(Duration::from_secs(10)).await;
                Outcome::Retry { after: None, error }
            }
        }
    }
}

fn start(config: &OtlpConfig, traces: &Scripted) -> Otlp {
    Otlp::with_transports(
        config,
        RetryPolicy::DEFAULT,
        Some(traces.clone()),
        None,
        None,
    )
}

fn push(otlp: &Otlp, spans: usize) {
    for _ in 0..spans {
        otlp.signal(span_signal("GET /"));
    }
}

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
=======
use crate::export::otlp::{OtlpConfig, Reason, SignalKind};
>>>>>>> h-otlp

#[tokio::test(start_paused = true)]
async fn fault_24_a_receiver_that_is_down_gets_everything_when_it_is_back() {
    let receiver = Scripted::new(&[Act::Fail, Act::Fail, Act::Hang], Act::Take);
    let otlp = start(&OtlpConfig::default(), &receiver);
    push(&otlp, 3);
    sleep(Duration::from_secs(60)).await;
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
    sleep(Duration::from_secs(60)).await;
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
    sleep(Duration::from_secs(600)).await;
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
<<<<<<< HEAD

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
        metrics_interval: Some(1000),
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
=======
>>>>>>> h-otlp
