//! What TCP knows of a connection while its requests are under way.

use std::{io::Read as _, net::Shutdown, thread::sleep, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, unshare};
use sonde::l7::exchange::{Exchange, Role};

use super::{
    ANSWER, by_role, exchange, head,
    peer::{End, Way},
};
use crate::{
    child::{Child, Workload, tell},
    harness::{Skipped, Test},
    observed::{Observed, Seen},
    sys,
    tcp::pair,
    tls,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "http::round_trip_time_and_retransmits_are_the_kernels",
        run: |observed| told_as_the_kernel_does(observed, Way::Clear),
    },
    Test {
        name: "http::round_trip_time_and_retransmits_are_the_kernels_inside_tls",
        run: |observed| told_as_the_kernel_does(observed, Way::Library),
    },
    Test {
        name: "http::round_trip_time_and_retransmits_are_the_kernels_around_tls",
        run: |observed| told_as_the_kernel_does(observed, Way::Memory),
    },
    Test {
        name: "http::a_session_without_its_socket_knows_of_no_other",
        run: a_session_without_its_socket_knows_of_no_other,
    },
    Test {
        name: "http::a_long_way_is_told_apart_from_the_time_to_connect",
        run: a_long_way_is_told_apart_from_the_time_to_connect,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "http-transport",
        run: transport,
    },
    Workload {
        name: "http-survivor",
        run: survivor,
    },
    Workload {
        name: "http-long-way",
        run: long_way,
    },
];

/// Long enough for what is sent to be lost; the kernel sends it again after 200 ms.
const DEAF: Duration = Duration::from_millis(50);

/// Requests of which one is lost on its way, and one whose answer's beginning is. Says after each
/// what the kernel knows.
fn transport(arguments: &[&str]) -> Result<()> {
    let (mut client, mut server) = Way::of(arguments)?.connect()?;
    ask(&mut client, &mut server, "/quiet")?;
    report(&client, &server)?;
    sys::deafen(server.socket(), true)?;
    client.put(&head("/lost"))?;
    sleep(DEAF);
    sys::deafen(server.socket(), false)?;
    answer(&mut client, &mut server)?;
    report(&client, &server)?;
    client.put(&head("/lost-answer"))?;
    server.take()?;
    let (first, second) = ANSWER.split_at(ANSWER.len() - 2);
    sys::deafen(client.socket(), true)?;
    server.put(first)?;
    sleep(DEAF);
    sys::deafen(client.socket(), false)?;
    ensure!(client.take()? == first, "another answer");
    server.put(second)?;
    ensure!(client.take()? == second, "another answer");
    report(&client, &server)?;
    ask(&mut client, &mut server, "/quiet-again")?;
    report(&client, &server)
}

fn ask(client: &mut End, server: &mut End, path: &str) -> Result<()> {
    client.put(&head(path))?;
    answer(client, server)
}

fn answer(client: &mut End, server: &mut End) -> Result<()> {
    server.take()?;
    server.put(ANSWER)?;
    ensure!(client.take()? == ANSWER, "another answer");
    Ok(())
}

/// The client's round-trip time in microseconds, and what each end has sent again so far. Nothing is
/// left that could get lost between two exchanges.
fn report(client: &End, server: &End) -> Result<()> {
    for end in [client, server] {
        while sys::tcp_info(end.socket())?.tcpi_unacked > 0 {
            sleep(Duration::from_millis(1));
        }
    }
    let (client, server) = (
        sys::tcp_info(client.socket())?,
        sys::tcp_info(server.socket())?,
    );
    let (by_client, by_server) = (client.tcpi_total_retrans, server.tcpi_total_retrans);
    tell(format!("{} {by_client} {by_server}", client.tcpi_rtt))
}

const PATHS: [&str; 4] = ["/quiet", "/lost", "/lost-answer", "/quiet-again"];

fn told_as_the_kernel_does(observed: &mut Observed, way: Way) -> Result<()> {
    if way.is_encrypted() {
        tls::attach(observed)?;
    }
    observed.forget();
    let mut child = Child::start("http-transport", &[way.name()])?;
    let pid = child.pid();
    let lines: Vec<String> = PATHS.iter().map(|_| child.line()).collect::<Result<_>>()?;
    ensure!(observed.finish(child)?.success());
    let known: Vec<Vec<u32>> = lines
        .iter()
        .map(|line| line.split(' ').map(|number| Ok(number.parse()?)).collect())
        .collect::<Result<_>>()?;
    let found = observed.exchanges(pid);
    let (clients, servers) = (by_role(&found, Role::Client), by_role(&found, Role::Server));
    check(&clients, &known, 1)?;
    check(&servers, &known, 2)?;
    for (client, known) in clients.iter().zip(&known) {
        let rtt = client.transport.rtt().context("no round-trip time")?;
        ensure!(rtt.as_micros() == known[0].into(), "{rtt:?} for {known:?}");
    }
    for server in servers {
        let rtt = server.transport.rtt().context("no round-trip time")?;
        ensure!(rtt < Duration::from_secs(1), "{rtt:?}");
    }
    Ok(())
}

/// Each exchange has what was sent again in it, and there is something in one of them.
fn check(exchanges: &[&Exchange], known: &[Vec<u32>], column: usize) -> Result<()> {
    let paths: Vec<&str> = exchanges.iter().map(|exchange| &*exchange.path).collect();
    ensure!(paths == PATHS, "{paths:?}");
    let mut before = 0;
    for (exchange, known) in exchanges.iter().zip(known) {
        let told = exchange.transport.retransmits();
        let expected = known[column] - before;
        before = known[column];
        ensure!(
            told == Some(expected),
            "{told:?} for {expected} of {} as {:?}",
            exchange.path,
            exchange.role
        );
    }
    ensure!(before > 0, "nothing was lost");
    Ok(())
}

/// A session that is written to after its socket was closed, and many others have been opened: one of
/// them has the place in memory by then. Says what the kernel knew last.
fn survivor(_: &[&str]) -> Result<()> {
    let (mut client, mut server) = Way::Memory.connect()?;
    ask(&mut client, &mut server, "/before")?;
    report(&client, &server)?;
    let (spare, _other_end) = pair()?;
    client.start_over(spare);
    drop(server);
    let _others: Vec<_> = (0..100).map(|_| pair()).collect::<Result<_>>()?;
    client.put(&head("/after"))
}

fn a_session_without_its_socket_knows_of_no_other(observed: &mut Observed) -> Result<()> {
    tls::attach(observed)?;
    observed.forget();
    let mut child = Child::start("http-survivor", &[])?;
    let pid = child.pid();
    let line = child.line()?;
    let rtt: u32 = line.split(' ').next().context("a number")?.parse()?;
    ensure!(observed.finish(child)?.success());
    let after = observed.seen.iter().find_map(|seen| match seen {
        Seen::Segment(segment) if segment.tgid == pid => {
            let begins = segment.head.starts_with(b"GET /after");
            begins.then_some(segment.tcp)
        }
        _ => None,
    });
    let after = after.context("no write after the end")?;
    // Its own memory may be there still, and the acknowledgement of its FIN have moved the number.
    let own = |srtt: u32| srtt.abs_diff(rtt) <= rtt / 2;
    ensure!(
        after.is_none_or(|info| own(info.srtt) && info.retransmits == 0),
        "{after:?}, which isn't {rtt}"
    );
    Ok(())
}

/// How long a packet is under way.
const DELAY: Duration = Duration::from_millis(50);
/// Said on a kernel without netem.
const NO_NETEM: &str = "no netem";

/// Requests over a network that takes its time.
fn long_way(_: &[&str]) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    sys::loopback_up()?;
    match sys::netem::delay(DELAY) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return tell(NO_NETEM),
        result => result?,
    }
    let (mut client, mut server) = pair()?;
    (0..3).try_for_each(|number| exchange(&mut client, &mut server, &format!("/{number}")))?;
    // Both ends, before their network goes away: the client's is told before it reads the server's.
    client.shutdown(Shutdown::Write)?;
    ensure!(server.read(&mut [0])? == 0, "another request");
    drop(server);
    ensure!(client.read(&mut [0])? == 0, "another answer");
    tell("done")
}

fn a_long_way_is_told_apart_from_the_time_to_connect(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("http-long-way", &[])?;
    let pid = child.pid();
    if child.line()? == NO_NETEM {
        ensure!(std::env::var_os("SONDE_VM").is_none(), "no netem here");
        bail!(Skipped("this kernel has no netem".to_owned()));
    }
    ensure!(observed.finish(child)?.success());
    let found = observed.exchanges(pid);
    let closed = observed.closed(pid);
    let connected = closed
        .iter()
        .find(|closed| closed.totals.connect_duration != 0)
        .context("nobody connected")?;
    let took = Duration::from_nanos(connected.totals.connect_duration);
    ensure!(took >= DELAY * 2, "connected in {took:?}");
    let clients = by_role(&found, Role::Client);
    ensure!(clients.len() == 3, "{} exchanges", clients.len());
    for client in clients {
        ensure!(client.start >= connected.totals.opened, "too early");
        let rtt = client.transport.rtt().context("no round-trip time")?;
        let duration = Duration::from_nanos(client.end - client.start);
        ensure!(
            rtt >= DELAY * 2 && duration >= DELAY * 2,
            "{rtt:?} {duration:?}"
        );
    }
    for server in by_role(&found, Role::Server) {
        let duration = Duration::from_nanos(server.end - server.start);
        ensure!(duration < DELAY, "the way back counts: {duration:?}");
    }
    Ok(())
}
