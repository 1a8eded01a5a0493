//! A service that is started anew goes on with its series, under its new process.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use sonde_tests::{
    agent::PATIENCE,
    lab::{Lab, free_address},
    otlp::{Attributes, Received, Receiver, of_resource},
};

use crate::{
    otlp::{await_received, start},
    support::{METHOD, SERVER, STATUS, assert_counts, counts, curl},
};

/// Last counts of the requests that the services of a name space answered, by the attributes of
/// their resources.
fn answered(received: &Received, namespace: &str) -> HashMap<Attributes, u64> {
    let mut streams = HashMap::new();
    for metrics in &received.metrics {
        let resource = of_resource(metrics.resource.as_ref());
        if resource.get("service.namespace").map(String::as_str) != Some(namespace) {
            continue;
        }
        let scopes = metrics.scope_metrics.iter();
        let durations = scopes
            .flat_map(|scope| &scope.metrics)
            .filter(|metric| metric.name == "http.server.request.duration");
        for metric in durations {
            if let Some(Data::Histogram(histogram)) = &metric.data {
                let count = histogram.data_points.iter().map(|point| point.count).sum();
                streams.insert(resource.clone(), count);
            }
        }
    }
    streams
}

#[test]
fn a_restarted_server_has_its_new_process_and_its_old_series() -> Result<()> {
    let lab = Lab::open()?;
    let receiver = Receiver::start()?;
    let agent = start(&lab, &receiver)?;
    let address = free_address()?;
    let url = format!("http://{address}/");
    let mut command = lab.command("python3");
    command.args(["-m", "http.server", "--bind", "127.0.0.1"]);
    command.arg(address.port().to_string());
    let mut server = lab.serve(&mut command, address)?;
    let old = server.id().to_string();
    for _ in 0..7 {
        curl(&lab, &[&url])?;
    }
    let streams = await_received(&agent, &receiver, "the first requests", |received| {
        let streams = answered(received, lab.namespace());
        (streams.values().sum::<u64>() == 7).then_some(streams)
    })?;
    let before = streams.into_keys().next().context("one resource")?;
    assert_eq!(before.get("process.pid"), Some(&old));

    server.stop(PATIENCE)?;
    let server = lab.serve(&mut command, address)?;
    let new = server.id().to_string();
    assert_ne!(old, new);
    let is_new = |resource: &Attributes| resource.get("process.pid") == Some(&new);
    // Until it has run for a while, it might be one of many short commands.
    await_received(&agent, &receiver, "the new process", |received| {
        answered(received, lab.namespace())
            .keys()
            .any(is_new)
            .then_some(())
    })?;
    for _ in 0..3 {
        curl(&lab, &[&url])?;
    }
    let streams = await_received(&agent, &receiver, "the last requests", |received| {
        let streams = answered(received, lab.namespace());
        (streams.values().sum::<u64>() >= 10).then_some(streams)
    })?;
    println!("{streams:#?}");
    // What was told under one resource isn't told under another.
    assert_eq!(streams.values().sum::<u64>(), 10);
    let (after, count) = streams
        .iter()
        .find(|(resource, _)| is_new(resource))
        .context("the new resource")?;
    assert_eq!(*count, 3);
    assert_eq!(
        after.get("service.instance.id"),
        before.get("service.instance.id")
    );
    let span = await_received(&agent, &receiver, "the last span", |received| {
        let mut resources = received
            .spans()
            .map(|(resource, _)| resource)
            .filter(is_new);
        resources.next()
    })?;
    assert_eq!(&span, after);
    // Prometheus knows the series by its labels, which stay.
    let all = counts(&[(["GET", "200"], 10)]);
    let labels = [("service_namespace", lab.namespace())];
    assert_counts(&agent, SERVER, &labels, &[METHOD, STATUS], &all)
}
