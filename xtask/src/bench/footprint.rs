//! What the agent holds after a load.

use anyhow::Result;

use super::{
    Plan,
    figure::{Figure, Goal, Kind},
    load::{Server, Target},
};

const MIB: f64 = (1 << 20) as f64;

pub(super) fn run(plan: &Plan) -> Result<Vec<Figure>> {
    let server = Server::start()?;
    let (mut rss, mut peak, mut maps) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        eprintln!("    round {} of {}", round + 1, plan.rounds);
        let agent = plan.agent.start(&[])?;
        server.saturate(Target::HELLO, plan.load)?;
        rss.push(agent.memory("VmRSS")? as f64 / MIB);
        peak.push(agent.memory("VmHWM")? as f64 / MIB);
        maps.push(agent.map_memory()? as f64 / MIB);
    }
    let figure = |name: &str, with, goal| Figure {
        name: name.to_owned(),
        unit: "MiB",
        base: Vec::new(),
        with,
        kind: Kind::Value,
        goal,
    };
    Ok(vec![
        figure(
            "agent resident memory after load",
            rss,
            Some(Goal::AtMost(40.0)),
        ),
        figure("agent resident memory at most", peak, None),
        figure("kernel memory of all maps", maps, Some(Goal::AtMost(32.0))),
    ])
}
