//! What the agent adds to a request's time when the machine has little to do.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    Plan,
    figure::{Figure, Goal, Kind, Spread},
    http::Connection,
    load::Server,
};

/// From the start of a request to that of the next: 2,000 in a second.
const PERIOD: Duration = Duration::from_micros(500);

pub(super) fn run(plan: &Plan) -> Result<Vec<Figure>> {
    let server = Server::start()?;
    let rounds = plan.interleave(
        || median_latency(&server, plan.load),
        || {
            let _agent = plan.agent.start(&[])?;
            median_latency(&server, plan.load)
        },
    )?;
    let (base, with) = rounds.into_iter().unzip();
    Ok(vec![Figure {
        name: "median latency at 2,000 requests/s".to_owned(),
        unit: "us",
        base,
        with,
        kind: Kind::Difference,
        goal: Some(Goal::AtMost(10.0)),
    }])
}

/// Microseconds, over one connection that is kept alive.
fn median_latency(server: &Server, time: Duration) -> Result<f64> {
    let mut connection = Connection::open(server.address).context("connecting to nginx")?;
    let start = Instant::now();
    let mut due = start;
    let mut latencies = Vec::new();
    while start.elapsed() < time {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        let response = connection
            .exchange("GET", "/")
            .context("a request to nginx")?;
        latencies.push(sent.elapsed().as_secs_f64() * 1e6);
        if response.status != 200 {
            bail!("nginx answered {}", response.status);
        }
        due += PERIOD;
    }
    let wanted = time.as_secs_f64() / PERIOD.as_secs_f64();
    if (latencies.len() as f64) < wanted * 0.95 {
        bail!(
            "only {} of {wanted} requests could be made: the machine is busy",
            latencies.len()
        );
    }
    Ok(Spread::of(&latencies).context("no requests")?.median)
}
