//! What tests on real sockets share.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use super::{
    fixture::{log, resource, snapshot, span_signal},
    receiver::Receiver,
};
use crate::{
    export::otlp::{Otlp, OtlpConfig},
    signal::Signal,
};

/// Settings as a user would give them, spans leaving at once.
pub(super) fn config(receiver: &Receiver, variables: &[(&str, &str)]) -> OtlpConfig {
    let get = |name: &str| match variables.iter().find(|(variable, _)| *variable == name) {
        Some((_, value)) => Some((*value).to_owned()),
        None if name == "OTEL_EXPORTER_OTLP_ENDPOINT" => {
            Some(format!("http://{}", receiver.address))
        }
        None if name.ends_with("SCHEDULE_DELAY") => Some("10".to_owned()),
        None => None,
    };
    OtlpConfig::from_env(&get).expect("good settings")
}

pub(super) fn start(config: &OtlpConfig) -> Otlp {
    Otlp::start(config, &Handle::current()).expect("starts")
}

pub(super) async fn stop(otlp: Otlp) {
    otlp.shutdown(Instant::now() + Duration::from_secs(10))
        .await;
}

pub(super) fn push_all(otlp: &Otlp) {
    otlp.signal(span_signal("GET /"));
    otlp.signal(Signal::Log(log(&resource("shop"))));
    otlp.metrics(Arc::new(snapshot(1, 1)));
}
