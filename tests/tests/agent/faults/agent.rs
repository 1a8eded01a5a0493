//! The agent's own life and traffic: start, stop, settings. And lives shorter than a look at them.

use std::{collections::HashSet, fs, path::Path, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use sonde_tests::{
    agent::{Agent, program},
    bpf::{self, Object},
    lab::{Lab, output},
    otlp::Receiver,
};

use crate::support::{
    CLIENT, METHOD, PORT, SERVER, SERVICE, STATUS, assert_counts, counts, curl, nginx, own_service,
    sonde,
};

#[test]
fn fault_29_own_traffic_is_never_observed() -> Result<()> {
    let lab = Lab::open()?;
    let receiver = Receiver::start()?;
    let name = format!("sonde-{}", lab.namespace());
    fs::copy(program()?, lab.path().join(&name))?;
    let mut command = Command::new(lab.path().join(&name));
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint())
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "500");
    let mut agent = Agent::start_as(&lab, &mut command)?;
    agent.wait_until_ready()?;
    let nginx = nginx(&lab, "")?;
    curl(&lab, &[&nginx.url("/")])?;
    let port = nginx.address.port().to_string();
    let seen = counts(&[(["GET", "200"], 1)]);
    assert_counts(&agent, CLIENT, &[(PORT, &port)], &[METHOD, STATUS], &seen)?;
    for _ in 0..20 {
        agent.metrics()?;
    }
    agent.two_snapshots()?;
    let exports = {
        let all = receiver.received();
        all.metrics.len() + all.traces.len()
    };
    assert!(exports > 0, "nothing was exported:\n{}", agent.log());
    let metrics = agent.metrics()?;
    let scraped = agent.address().port().to_string();
    let collector = receiver.endpoint();
    let collector = collector.rsplit(':').next().context("a port")?;
    let own = own_service()?;
    for sample in metrics.samples() {
        let is =
            |label: &str, value: &str| sample.labels.get(label).is_some_and(|held| held == value);
        let observed = ["http_", "tcp_", "syscall"]
            .iter()
            .any(|prefix| sample.name.starts_with(prefix));
        assert!(!(observed && is(SERVICE, &name)), "{sample:?}");
        // The other ends of the agent's connections: who scrapes it, and its collector.
        assert!(
            !(sample.name.starts_with("http_") && is(SERVICE, &own)),
            "{sample:?}"
        );
        // That the collector listens is its own affair, and no traffic.
        let listens = ["tcp_accept_queue_", "tcp_listen_drops_"]
            .iter()
            .any(|prefix| sample.name.starts_with(prefix));
        assert!(!is(PORT, &scraped), "{sample:?}");
        assert!(!is(PORT, collector) || listens, "{sample:?}");
    }
    println!("{exports} exports, none observed");
    Ok(())
}

/// Asks once, from a port of its own choice. The kernel gives the port of one connection to
/// another with a different destination, too; `IP_LOCAL_PORT_RANGE` (6.3) makes it this one.
const ASK_FROM: &str = "
import socket, struct, sys
local, remote = map(int, sys.argv[1:])
connection = socket.socket()
try:
    connection.setsockopt(socket.IPPROTO_IP, 51, struct.pack('I', local << 16 | local))
except OSError:
    print('no IP_LOCAL_PORT_RANGE')
    sys.exit()
connection.connect(('127.0.0.1', remote))
assert connection.getsockname()[1] == local
connection.sendall(b'GET / HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n')
while connection.recv(65536):
    pass
";

/// The local port of a connection to `remote` on this host that a process has open.
fn connected_from(pid: u32, remote: u16) -> Result<u16> {
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let mut established = table.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, peer, state) = (fields.next()?, fields.next()?, fields.next()?);
        (state == "01" && port(peer) == Some(remote)).then(|| port(local))?
    });
    established
        .next_back()
        .context("the agent has no connection")
}

#[test]
fn fault_29_a_client_on_a_port_of_the_agents_is_observed() -> Result<()> {
    let lab = Lab::open()?;
    let receiver = Receiver::start()?;
    let agent = crate::otlp::start(&lab, &receiver)?;
    let nginx = nginx(&lab, "")?;
    crate::otlp::await_received(&agent, &receiver, "an export", |received| {
        (!received.metrics.is_empty()).then_some(())
    })?;
    let collector = receiver.endpoint();
    let collector = collector.rsplit(':').next().context("a port")?;
    let local = connected_from(agent.id(), collector.parse()?)?.to_string();
    let port = nginx.address.port().to_string();
    let said = lab.run("python3", ["-c", ASK_FROM, &local, &port])?;
    if !said.is_empty() {
        println!("not tried, the kernel is older than 6.3: {said}");
        return Ok(());
    }
    let expected = counts(&[(["GET", "200"], 1)]);
    assert_counts(
        &agent,
        SERVER,
        &nginx.served(),
        &[METHOD, STATUS],
        &expected,
    )
}

/// Ids of the BPF programs and maps that a process holds, from /proc/PID/fdinfo.
fn held(pid: u32) -> Result<HashSet<(Object, u32)>> {
    let mut ids = HashSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // A descriptor may be closed meanwhile.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        for (line, kind) in [
            ("prog_id:", Object::Program),
            ("map_id:", Object::Map),
            ("link_id:", Object::Link),
        ] {
            let id = text.lines().find_map(|found| found.strip_prefix(line));
            if let Some(id) = id {
                ids.insert((kind, id.trim().parse()?));
            }
        }
    }
    Ok(ids)
}

/// Those that the kernel still has.
fn left(ids: &HashSet<(Object, u32)>) -> Result<Vec<(Object, u32)>> {
    let mut left = Vec::new();
    for (kind, id) in ids {
        if bpf::exists(*kind, *id)? {
            left.push((*kind, *id));
        }
    }
    Ok(left)
}

#[test]
fn fault_26_nothing_is_left_in_the_kernel() -> Result<()> {
    let lab = Lab::open()?;
    for round in 0..10 {
        let mut agent = lab.agent(&[])?;
        let ids = held(agent.id())?;
        assert!(ids.len() > 20, "programs, maps and links: {ids:?}");
        assert_eq!(left(&ids)?.len(), ids.len(), "the kernel has all of them");
        if round % 2 == 0 {
            agent.process().signal(Signal::SIGKILL)?;
            agent.process().end_within(Duration::from_secs(5))?;
        } else {
            let (status, _) = agent.stop()?;
            assert!(status.success(), "{status}\n{}", agent.log());
        }
        // The kernel frees them after a grace period.
        let mut still = left(&ids)?;
        for _ in 0..50 {
            if still.is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(100));
            still = left(&ids)?;
        }
        assert!(still.is_empty(), "round {round}: {still:?}");
        println!("round {round}: {} ids, none left", ids.len());
    }
    Ok(())
}

#[test]
fn fault_26_two_agents_at_once_both_count() -> Result<()> {
    let lab = Lab::open()?;
    let (first, second) = (lab.agent(&[])?, lab.agent(&[])?);
    let nginx = nginx(&lab, "")?;
    lab.run("h2load", ["--h1", "-n", "3000", "-c", "4", &nginx.url("/")])?;
    let port = nginx.address.port().to_string();
    let expected = counts(&[(["GET", "200"], 3000)]);
    for agent in [&first, &second] {
        for (metric, labels) in [(SERVER, nginx.served()), (CLIENT, [(PORT, &*port)])] {
            assert_counts(agent, metric, &labels, &[METHOD, STATUS], &expected)?;
        }
    }
    Ok(())
}

#[test]
fn fault_30_a_wrong_file_stops_the_start() -> Result<()> {
    let lab = Lab::open()?;
    let file = lab.write(
        "sonde.yaml",
        "log:\n  level: info\nsnapshot:\n  intervall: 1s\n",
    )?;
    for command in ["run", "check", "print-config"] {
        let found = output(sonde(&lab)?.arg(command).arg("--config.file").arg(&file))?;
        let said = String::from_utf8_lossy(&found.stderr).into_owned();
        assert_eq!(found.status.code(), Some(1), "{said}");
        let place = format!("{}:4", file.display());
        assert!(said.contains(&place), "{place} isn't in {said}");
        assert!(said.contains("interval"), "no suggestion in {said}");
    }
    let found = output(sonde(&lab)?.arg("validate").arg(&file))?;
    assert_eq!(found.status.code(), Some(1));
    Ok(())
}

#[test]
fn fault_30_a_wrong_file_on_reload_keeps_the_old_settings() -> Result<()> {
    let lab = Lab::open()?;
    let file = lab.write("sonde.yaml", "log:\n  level: info\n")?;
    let flag = format!("--config.file={}", file.display());
    let mut agent = lab.agent(&[&flag])?;
    lab.write("sonde.yaml", "log:\n  level: loud\n")?;
    agent.process().signal(Signal::SIGHUP)?;
    wait_for_log(&agent, "the old one stays")?;
    let place = format!("{}:2", file.display());
    assert!(
        agent.log().contains(&place),
        "{place} isn't in {}",
        agent.log()
    );
    // It goes on, and takes a file that is right.
    agent.two_snapshots()?;
    lab.write("sonde.yaml", "log:\n  level: debug\n")?;
    agent.process().signal(Signal::SIGHUP)?;
    wait_for_log(&agent, "configuration reloaded")?;
    wait_for_log(&agent, "DEBUG")?;
    Ok(())
}

fn wait_for_log(agent: &Agent, text: &str) -> Result<()> {
    for _ in 0..100 {
        if agent.log().contains(text) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("{text:?} isn't in\n{}", agent.log())
}
/// A short life is attributed from what the kernel side saw.
#[test]
fn fault_20_short_processes_have_names() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (program, name) = lab.copy("true")?;
    for _ in 0..25 {
        lab.run(&program, [] as [&Path; 0])?;
    }
    let expected = counts(&[([&*name], 25)]);
    for metric in ["process_starts_total", "process_exits_total"] {
        assert_counts(&agent, metric, &[(SERVICE, &name)], &[SERVICE], &expected)?;
    }
    Ok(())
}
