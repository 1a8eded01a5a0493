//! What a load generator counts is what the agent counts, by status and method, on both sides.

use anyhow::Result;
use sonde_tests::{
    agent::Agent,
    exposition::Counts,
    lab::{Lab, free_address},
};

use crate::{
    support::{
        CLIENT, METHOD, Nginx, PORT, ROUTE, SERVER, SERVICE, STATUS, assert_counts, counts, curl,
        nginx, number_before,
    },
    tls::Certificate,
};

/// Runs h2load with one thread over 16 keep-alive connections; how many requests it says were
/// answered with each class of status.
fn h2load(lab: &Lab, requests: u32, url: &str, more: &[&str]) -> Result<[u64; 4]> {
    let requests = requests.to_string();
    let fixed = ["-n", &requests, "-c", "16", "-t", "1"];
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

    let [found, ..] = h2load(&lab, 200_000, &nginx.url("/"), &["--h1"])?;
    let [.., missing, _] = h2load(&lab, 5_000, &nginx.url("/missing"), &["--h1"])?;
    let [made, ..] = h2load(&lab, 5_000, &nginx.url("/made"), &["--h1", &body])?;
    let [files, ..] = h2load(&lab, 200, &nginx.url("/static.bin"), &["--h1"])?;

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

/// nginx with another address of its server; `listen` follows it in the configuration.
fn nginx_and(lab: &Lab, listen: &str) -> Result<(Nginx, String)> {
    let address = free_address()?;
    let [file, key] = Certificate::new(lab)?.paths();
    let more = format!(
        "listen {address} {listen};
         ssl_certificate {file}; ssl_certificate_key {key};"
    );
    Ok((nginx(lab, &more)?, address.to_string()))
}

/// What h2load says of 20,000 requests is what both ends tell.
fn assert_h2load(listen: &str, scheme: &str, more: &[&str], version: &str) -> Result<()> {
    let lab = Lab::open()?;
    let (nginx, address) = nginx_and(&lab, listen)?;
    let agent = lab.agent(&[])?;
    let url = format!("{scheme}://{address}");
    let [found, ..] = h2load(&lab, 20_000, &format!("{url}/"), more)?;
    let [.., missing, _] = h2load(&lab, 2_000, &format!("{url}/missing"), more)?;
    let expected = counts(&[
        (["GET", "200", "/", version, scheme], found),
        (["GET", "404", "/missing", version, scheme], missing),
    ]);
    assert_eq!(expected.values().sum::<u64>(), 22_000);
    let by = [
        METHOD,
        STATUS,
        ROUTE,
        "network_protocol_version",
        "url_scheme",
    ];
    let (_, port) = address.rsplit_once(':').unwrap_or_default();
    for (metric, labels) in [(SERVER, nginx.served()), (CLIENT, [(PORT, port)])] {
        assert_counts(&agent, metric, &labels, &by, &expected)?;
    }
    assert_eq!(agent.dropped()?, Counts::new());
    Ok(())
}

#[test]
fn h2load_in_tls_is_counted_exactly() -> Result<()> {
    assert_h2load("ssl", "https", &["--h1"], "1.1")
}

#[test]
fn h2load_over_http_2_is_counted_exactly() -> Result<()> {
    assert_h2load("http2", "http", &["-m", "4"], "2")
}

#[test]
fn h2load_over_http_2_in_tls_is_counted_exactly() -> Result<()> {
    assert_h2load("ssl http2", "https", &["-m", "4"], "2")
}

/// What wrk says of a load is what both ends tell.
fn assert_wrk(lab: &Lab, agent: &Agent, nginx: &Nginx, address: &str, url: &str) -> Result<()> {
    let said = lab.run("wrk", ["-t1", "-c32", "-d3s", url])?;
    let complete = number_before(&said, " requests in")?;
    // First, since it explains what follows.
    agent.two_snapshots()?;
    assert_eq!(agent.dropped()?, Counts::new());
    // wrk ends with requests in flight, and doesn't count them: up to one for each connection.
    let (_, port) = address.rsplit_once(':').unwrap_or_default();
    let expected = counts(&[(["GET", "200"], complete)]);
    for (metric, labels) in [(SERVER, nginx.served()), (CLIENT, [(PORT, port)])] {
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
fn wrk_is_counted_exactly() -> Result<()> {
    let lab = Lab::open()?;
    let nginx = nginx(&lab, "")?;
    let agent = lab.agent(&[])?;
    let address = nginx.address.to_string();
    assert_wrk(&lab, &agent, &nginx, &address, &nginx.url("/"))
}

#[test]
fn wrk_in_tls_is_counted_exactly() -> Result<()> {
    let lab = Lab::open()?;
    let (nginx, address) = nginx_and(&lab, "ssl")?;
    let agent = lab.agent(&[])?;
    assert_wrk(
        &lab,
        &agent,
        &nginx,
        &address,
        &format!("https://{address}/"),
    )
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
