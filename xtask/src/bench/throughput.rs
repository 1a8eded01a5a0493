//! nginx under saturation, with everything of the agent on as it is by default.

use anyhow::Result;

use super::{
    Plan,
    figure::{Figure, Goal, Kind},
    load::Server,
};

pub(super) fn run(plan: &Plan) -> Result<Vec<Figure>> {
    let server = Server::start()?;
    let mut cpu_per_request = Vec::new();
    let rounds = plan.interleave(
        || Ok(server.saturate(plan.load)?.per_second),
        || {
            let agent = plan.agent.start(&[])?;
            let before = agent.cpu_time()?;
            let load = server.saturate(plan.load)?;
            let spent = agent.cpu_time()?.saturating_sub(before);
            cpu_per_request.push(spent.as_secs_f64() * 1e6 / load.requests as f64);
            Ok(load.per_second)
        },
    )?;
    let (base, with) = rounds.into_iter().unzip();
    Ok(vec![
        Figure {
            name: "nginx throughput".to_owned(),
            unit: "requests/s",
            base,
            with,
            kind: Kind::Ratio,
            goal: Some(Goal::AtLeast(0.8)),
        },
        Figure {
            name: "agent CPU time per request".to_owned(),
            unit: "us",
            base: Vec::new(),
            with: cpu_per_request,
            kind: Kind::Value,
            goal: None,
        },
    ])
}
