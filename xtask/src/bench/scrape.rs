//! /metrics when there is much to tell.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    Plan,
    agent::Agent,
    figure::{Figure, Goal, Kind, Spread},
    http::{self, Connection},
    load::Server,
};

const SERIES: usize = 10_000;

/// Scrapes that are timed in a round.
const SCRAPES: usize = 20;

/// Snapshots are made by the second or so: time for one that has all that was seen.
const SETTLE: Duration = Duration::from_secs(3);

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];
const STATUSES: [&str; 4] = ["200", "301", "404", "500"];

/// Segments that no rule can take for a parameter, so that each is a route.
const NOUNS: [&str; 20] = [
    "accounts",
    "articles",
    "baskets",
    "cities",
    "comments",
    "customers",
    "devices",
    "events",
    "files",
    "groups",
    "images",
    "invoices",
    "orders",
    "payments",
    "products",
    "reports",
    "reviews",
    "sessions",
    "tickets",
    "users",
];

pub(super) fn run(plan: &Plan) -> Result<Vec<Figure>> {
    let server = Server::start()?;
    let mut times = Vec::new();
    let mut series = 0;
    for round in 0..plan.rounds {
        eprintln!("    round {} of {}", round + 1, plan.rounds);
        let agent = plan.agent.start(&[])?;
        series = grow(&agent, &server)?;
        times.push(scrape_time(&agent)?);
    }
    Ok(vec![Figure {
        name: format!("/metrics with {series} series"),
        unit: "ms",
        base: Vec::new(),
        with: times,
        kind: Kind::Value,
        goal: Some(Goal::AtMost(20.0)),
    }])
}

/// Makes requests of ever more routes until there are enough series, and gives their number.
fn grow(agent: &Agent, server: &Server) -> Result<usize> {
    let mut connection = Connection::open(server.address).context("connecting to nginx")?;
    let mut series = 0;
    for noun in NOUNS {
        for (method, status) in METHODS.iter().flat_map(|m| STATUSES.map(|s| (m, s))) {
            let path = format!("/{status}/{noun}");
            connection
                .exchange(method, &path)
                .context("a request to nginx")?;
        }
        thread::sleep(SETTLE);
        series = count(&scrape(agent)?);
        if series >= SERIES {
            return Ok(series);
        }
    }
    bail!("all requests gave no more than {series} series, and {SERIES} are wanted")
}

fn scrape_time(agent: &Agent) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..SCRAPES {
        let start = Instant::now();
        scrape(agent)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Spread::of(&times).context("no scrapes")?.median)
}

fn scrape(agent: &Agent) -> Result<Vec<u8>> {
    let response = http::get(agent.address, "/metrics").context("scraping the agent")?;
    if response.status != 200 {
        bail!("/metrics answered {}", response.status);
    }
    Ok(response.body)
}

/// Lines of the text format that are samples.
fn count(exposition: &[u8]) -> usize {
    let lines = exposition.split(|&byte| byte == b'\n');
    lines
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .count()
}
