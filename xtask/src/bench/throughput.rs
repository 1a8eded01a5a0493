//! nginx under saturation, with everything of the agent on as it is by default: in clear text and
//! over TLS, with small bodies and large ones, beside few idle connections and many.

use std::{net::TcpStream, time::Duration};

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{
    Plan,
    figure::{Figure, Goal, Kind},
    load::{Body, Server, Target},
};

/// Load before the one that counts, so that warm is compared with warm: the first one after a start
/// is slower, whoever has started.
const WARM_UP: Duration = Duration::from_secs(1);

/// In clear text, with a body of a few bytes.
pub(super) fn run(plan: &Plan) -> Result<Vec<Figure>> {
    compare(plan, "nginx throughput", Target::HELLO, Some(0.85))
}

/// The same over TLS.
pub(super) fn tls(plan: &Plan) -> Result<Vec<Figure>> {
    let target = Target {
        tls: true,
        ..Target::HELLO
    };
    compare(plan, "nginx throughput over TLS", target, Some(0.8))
}

/// What a request costs must not grow with its body.
pub(super) fn bodies(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, body) in [
        ("nginx throughput, bodies of 1 KiB", Body::Small),
        ("nginx throughput, bodies of 1 MiB", Body::Large),
    ] {
        let target = Target {
            body,
            ..Target::HELLO
        };
        figures.extend(compare(plan, name, target, None)?);
    }
    Ok(figures)
}

/// Throughput without and with the agent, and what the agent's own threads spend on a request.
fn compare(plan: &Plan, name: &str, target: Target, goal: Option<f64>) -> Result<Vec<Figure>> {
    let server = Server::start()?;
    let mut cpu_per_request = Vec::new();
    let rounds = plan.interleave(
        || {
            server.saturate(target, WARM_UP)?;
            Ok(server.saturate(target, plan.load)?.per_second)
        },
        || {
            let agent = plan.agent.start(&[])?;
            server.saturate(target, WARM_UP)?;
            let before = agent.cpu_time()?;
            let load = server.saturate(target, plan.load)?;
            let spent = agent.cpu_time()?.saturating_sub(before);
            cpu_per_request.push(spent.as_secs_f64() * 1e6 / load.requests as f64);
            Ok(load.per_second)
        },
    )?;
    let (base, with) = rounds.into_iter().unzip();
    Ok(vec![
        Figure {
            name: name.to_owned(),
            unit: "requests/s",
            base,
            with,
            kind: Kind::Ratio,
            goal: goal.map(Goal::AtLeast),
        },
        Figure {
            name: format!("agent CPU time per request: {name}"),
            unit: "us",
            base: Vec::new(),
            with: cpu_per_request,
            kind: Kind::Value,
            // Two messages, each seen at both ends.
            goal: Some(Goal::AtMost(4.0)),
        },
    ])
}

/// Idle connections of the two rounds that are compared.
const FEW: usize = 100;
const MANY: usize = 20_000;
/// Descriptors that nginx and this program have for other things.
const SPARE: usize = 200;

/// Throughput with the agent beside few idle connections, and beside many. Without the agent the
/// many cost something as well, so that is measured too.
pub(super) fn idle(plan: &Plan) -> Result<Vec<Figure>> {
    let many = allowed()?;
    let server = Server::start()?;
    let ratio = |agent: bool| -> Result<f64> {
        let agent = if agent {
            Some(plan.agent.start(&[])?)
        } else {
            None
        };
        let mut rates = Vec::new();
        for count in [FEW, many] {
            let held = hold(&server, count)?;
            server.saturate(Target::HELLO, WARM_UP)?;
            rates.push(steady(&server, plan.load)?);
            drop(held);
        }
        drop(agent);
        Ok(rates[1] / rates[0])
    };
    let rounds = plan.interleave(|| ratio(false), || ratio(true))?;
    let (base, with) = rounds.into_iter().unzip();
    Ok(vec![Figure {
        name: format!("throughput beside {many} idle connections, of that beside {FEW}"),
        unit: "of it",
        base,
        with,
        kind: Kind::Ratio,
        goal: Some(Goal::AtLeast(0.95)),
    }])
}

/// Throughput, as the median of three runs: now and then wrk and nginx fall into another rhythm for a
/// run, with or without the agent, and get a fifth less done.
fn steady(server: &Server, time: Duration) -> Result<f64> {
    let time = Duration::from_secs(time.as_secs().div_ceil(3));
    let mut rates = Vec::new();
    for _ in 0..3 {
        rates.push(server.saturate(Target::HELLO, time)?.per_second);
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[1])
}

/// So many connections that have asked once and are kept.
fn hold(server: &Server, count: usize) -> Result<Vec<TcpStream>> {
    (0..count)
        .map(|_| server.idle_connection().context("an idle connection"))
        .collect()
}

/// As many of [`MANY`] as this program and nginx, which inherits its limits, may have open.
fn allowed() -> Result<usize> {
    let wanted = (MANY + SPARE) as u64;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let limit = if setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_ok() {
        wanted
    } else {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        hard.min(wanted)
    };
    Ok(usize::try_from(limit)?.saturating_sub(SPARE))
}
