//! What outside input can grow stays under its caps, and the totals stay exact.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use sonde_tests::{exposition::Counts, lab::Lab};

use crate::support::{METHOD, ROUTE, SERVER, STATUS, assert_counts, counts, nginx};

const CONNECTIONS: u32 = 4;
const URLS: u32 = 50_000;

/// Asks for as many paths as there are numbers, none twice, pipelining none.
fn ask(address: SocketAddr, connection: u32) -> Result<u32> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut body = [0; 5];
    for number in 0..URLS {
        // Words rather than numbers: each is a route of its own.
        let word: String = (connection * URLS + number)
            .to_string()
            .bytes()
            .map(|digit| char::from(digit - b'0' + b'a'))
            .collect();
        let request = format!("GET /shop/{word} HTTP/1.1\r\nHost: shop\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            answers.read_line(&mut line)?;
        }
        answers.read_exact(&mut body)?;
    }
    Ok(URLS)
}

#[test]
fn fault_22_many_urls_keep_totals_and_caps() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(&lab, "")?;
    let address = nginx.address;
    let before = resident(agent.id())?;
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|connection| thread::spawn(move || ask(address, connection)))
        .collect();
    let mut asked = 0;
    for client in clients {
        asked += client.join().map_err(|_| anyhow::anyhow!("a client"))??;
    }
    let expected = counts(&[(["GET", "200"], u64::from(asked))]);
    let labels = nginx.served();
    assert_counts(&agent, SERVER, &labels, &[METHOD, STATUS], &expected)?;
    assert_eq!(agent.dropped()?, Counts::new());

    let began = Instant::now();
    let metrics = agent.metrics()?;
    let took = began.elapsed();
    let series = metrics.of(SERVER, &labels).count();
    let learnt = metrics.sum(SERVER, &[labels[0], (ROUTE, "/shop/{name}")]);
    let after = resident(agent.id())?;
    println!(
        "{asked} URLs: {series} series, {learnt:?} of what was learnt, scrape {took:?}, \
         resident {before} -> {after} KiB"
    );
    // 50 names before they were taken for values.
    assert_eq!(series, 51);
    assert_eq!(learnt, Some(f64::from(asked - 50)));
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(after < 100 * 1024, "{after} KiB resident");
    Ok(())
}

/// `VmRSS` in KiB.
fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let value = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(value.parse()?)
}
