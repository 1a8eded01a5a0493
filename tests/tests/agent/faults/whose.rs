//! Whose a request is: that of the process that reads it, whoever accepted the connection; and of
//! one connection, however many have the same addresses.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Stdio},
};

use anyhow::{Context as _, Result};
use sonde_tests::{
    lab::{Lab, free_address},
    span::Side,
};

use super::scene::Scene;
use crate::support::curl;

const REQUESTS: u64 = 12;

/// Serves by `programs/whose.py`, asks by curl; how many requests each service has answered, and
/// how many were asked.
fn served(how: &str, workers: u32) -> Result<(BTreeMap<String, u64>, u64)> {
    let scene = Scene::open()?;
    let script = scene
        .lab
        .write("whose.py", include_str!("../programs/whose.py"))?;
    let address = free_address()?;
    let mut command = scene.lab.command("python3");
    command
        .arg(script)
        .args([how, &address.port().to_string(), &workers.to_string()]);
    // Waiting for a server by connecting would give it a connection without a request.
    let _server = scene.lab.start(&mut command, false)?;
    let url = format!("http://{address}/whose");
    let wait = ["--retry", "50", "--retry-delay", "1", "--retry-connrefused"];
    for _ in 0..REQUESTS {
        assert_eq!(curl(&scene.lab, &[&wait[..], &[&*url]].concat())?, "200\n");
    }
    let mut services = vec!["curl".to_owned(), "whose".to_owned()];
    services.extend((0..workers).map(|number| format!("worker-{number}")));
    let (mut answered, mut asked) = (BTreeMap::new(), 0);
    scene.agent.two_snapshots()?;
    for service in services {
        for span in scene.spans_of(&service, "/whose", 0)? {
            assert_eq!(span.status, Some(200), "{span:?}");
            match span.side {
                Side::Server => *answered.entry(span.service).or_default() += 1,
                Side::Client => asked += 1,
            }
        }
    }
    Ok((answered, asked))
}

#[test]
fn fault_17_prefork_servers_own_what_they_read() -> Result<()> {
    let (answered, asked) = served("prefork", 3)?;
    assert_eq!(asked, REQUESTS);
    assert_eq!(answered.values().sum::<u64>(), REQUESTS, "{answered:?}");
    assert!(
        answered.keys().all(|name| name.starts_with("worker-")),
        "{answered:?}"
    );
    Ok(())
}

#[test]
fn fault_17_a_connection_that_is_passed_on_belongs_to_who_reads_it() -> Result<()> {
    let (answered, asked) = served("passed", 3)?;
    assert_eq!(asked, REQUESTS);
    let expected: BTreeMap<_, _> = (0..3)
        .map(|n| (format!("worker-{n}"), REQUESTS / 3))
        .collect();
    assert_eq!(answered, expected);
    Ok(())
}

#[test]
fn fault_17_a_second_descriptor_is_the_same_connection() -> Result<()> {
    let (answered, asked) = served("dup", 0)?;
    assert_eq!(asked, REQUESTS);
    assert_eq!(answered, BTreeMap::from([("whose".to_owned(), REQUESTS)]));
    Ok(())
}

/// A process in a network name space of its own, with a connection between ports that others have
/// as well.
struct Apart {
    child: Child,
    go: ChildStdin,
}

impl Apart {
    fn start(lab: &Lab, status: u16) -> Result<Self> {
        let script = lab.write("whose.py", include_str!("../programs/whose.py"))?;
        let mut command = lab.command("unshare");
        command
            .args(["--net", "--kill-child", "python3"])
            .arg(script)
            .args(["fixed", "7000", &status.to_string()])
            .env("OTEL_SERVICE_NAME", format!("apart-{status}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let said = child.stdout.take().context("piped")?;
        BufReader::new(said).read_line(&mut String::new())?;
        let go = child.stdin.take().context("piped")?;
        Ok(Self { child, go })
    }

    fn go(mut self) -> Result<()> {
        writeln!(self.go, "go")?;
        assert!(self.child.wait()?.success());
        Ok(())
    }
}

#[test]
fn fault_16_the_same_addresses_in_two_name_spaces_are_two_connections() -> Result<()> {
    let scene = Scene::open()?;
    let statuses = [201, 202, 203];
    let apart: Vec<_> = statuses
        .iter()
        .map(|status| Apart::start(&scene.lab, *status))
        .collect::<Result<_>>()?;
    for each in apart {
        each.go()?;
    }
    for status in statuses {
        let spans = scene.spans_of(&format!("apart-{status}"), "/name-space/", 1)?;
        let found: Vec<_> = spans
            .iter()
            .map(|span| (span.side, &*span.path, span.status))
            .collect();
        let path = format!("/name-space/{status}");
        let expected = [Side::Server, Side::Client].map(|side| (side, &*path, Some(status)));
        let mut sorted = found.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected, "{spans:?}");
    }
    Ok(())
}
