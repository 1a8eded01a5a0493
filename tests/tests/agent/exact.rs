//! What a load generator counts is what the agent counts, by status and method, on both sides.

use anyhow::Result;
use sonde_tests::{exposition::Counts, lab::Lab};

use crate::support::{
    CLIENT, METHOD, PORT, ROUTE, SERVER, SERVICE, STATUS, assert_counts, counts, curl, nginx,
    number_before,
};

/// Runs h2load with one thread over 16 keep-alive connections; how many requests it says were
/// answered with each class of status.
fn h2load(lab: &Lab, requests: u32, url: &str, more: &[&str]) -> Result<[u64; 4]> {
    let requests = requests.to_string();
    let fixed = ["--h1", "-n", &requests, "-c", "16", "-t", "1"];
    let said = lab.run("h2load", fixed.iter().chain(more).chain([&url]))?;
    assert_eq!(
        number_before(&said, " errored")?,
        0,
        "the load itself has failed: {said}"
    );
    Ok([
        number_before(&said, " 2xx")?,
        number_before(&said, " 3xx")?,
        number_before(&said, " 4xx")?,
        number_before(&said, " 5xx")?,
    ])
}

#[test]
fn saturated_nginx_is_counted_exactly_on_both_sides() -> Result<()> {
    let lab = Lab::open()?;
    let nginx = nginx(&lab, "")?;
    let agent = lab.agent(&[])?;
    let body = lab.write("body", "name=value")?;
    let body = format!("--data={}", body.display());

    let [found, ..] = h2load(&lab, 200_000, &nginx.url("/"), &[])?;
    let [.., missing, _] = h2load(&lab, 5_000, &nginx.url("/missing"), &[])?;
    let [made, ..] = h2load(&lab, 5_000, &nginx.url("/made"), &[&body])?;
    let [files, ..] = h2load(&lab, 200, &nginx.url("/static.bin"), &[])?;

    let expected = counts(&[
        (["GET", "200", "/"], found),
        (["GET", "404", "/missing"], missing),
        (["POST", "201", "/made"], made),
        (["GET", "200", "/static.bin"], files),
    ]);
    assert_eq!(
        expected.values().sum::<u64>(),
        210_200,
        "the load generator's own count"
    );
    let by = [METHOD, STATUS, ROUTE];
    assert_counts(&agent, SERVER, &nginx.served(), &by, &expected)?;
    let port = nginx.address.port().to_string();
    assert_counts(
        &agent,
        CLIENT,
        &[(SERVICE, "h2load"), (PORT, &port)],
        &by,
        &expected,
    )?;
    // And nothing of it under another name.
    assert_counts(&agent, CLIENT, &[(PORT, &port)], &by, &expected)?;
    assert_eq!(agent.dropped()?, Counts::new());
    let metrics = agent.metrics()?;
    let sent = metrics.sum("sonde_events_total", &[("stage", "kernel")]);
    let read = metrics.sum("sonde_events_total", &[("stage", "ring")]);
    println!("210200 requests, records sent {sent:?}, read {read:?}");
    Ok(())
}

#[test]
fn wrk_is_counted_exactly() -> Result<()> {
    let lab = Lab::open()?;
    let nginx = nginx(&lab, "")?;
    let agent = lab.agent(&[])?;
    let said = lab.run("wrk", ["-t1", "-c32", "-d3s", &nginx.url("/")])?;
    let complete = number_before(&said, " requests in")?;
    // First, since it explains what follows.
    agent.two_snapshots()?;
    assert_eq!(agent.dropped()?, Counts::new());
    // wrk ends with requests in flight, and doesn't count them: up to one for each connection.
    let port = nginx.address.port().to_string();
    let expected = counts(&[(["GET", "200"], complete)]);
    for (metric, labels) in [(SERVER, nginx.served()), (CLIENT, [(PORT, &*port)])] {
        let read = |metrics: &sonde_tests::exposition::Metrics| {
            metrics.by(metric, &labels, &[METHOD, STATUS])
        };
        let found = agent.settled(&expected, read)?;
        let seen = found
            .get(&vec!["GET".to_owned(), "200".to_owned()])
            .copied();
        let seen = seen.unwrap_or_default();
        println!("{metric}: wrk {complete}, sonde {seen}");
        assert!(
            (complete..=complete + 32).contains(&seen),
            "{metric}: {found:?}, wrk {complete}"
        );
    }
    Ok(())
}

#[test]
fn fault_12_many_requests_on_one_connection() -> Result<()> {
    let lab = Lab::open()?;
    let nginx = nginx(&lab, "")?;
    let agent = lab.agent(&[])?;
    lab.run(
        "h2load",
        ["--h1", "-n", "10000", "-c", "1", &nginx.url("/")],
    )?;
    let port = nginx.address.port().to_string();
    let expected = counts(&[(["GET", "200"], 10_000)]);
    for (metric, labels) in [(SERVER, nginx.served()), (CLIENT, [(PORT, &*port)])] {
        assert_counts(&agent, metric, &labels, &[METHOD, STATUS], &expected)?;
    }
    Ok(())
}

#[test]
fn fault_18_bodies_by_sendfile_are_measured() -> Result<()> {
    let lab = Lab::open()?;
    let nginx = nginx(&lab, "")?;
    let agent = lab.agent(&[])?;
    let url = nginx.url("/static.bin");
    assert_eq!(curl(&lab, &[&url])?, "200\n");
    let sum = "http_server_response_body_size_bytes_sum";
    let bytes = agent.eventually(sum, |metrics| metrics.sum(sum, &nginx.served()))?;
    assert_eq!(bytes.to_string(), "300000");
    Ok(())
}
