use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use sonde_common::{
    event::http::Tuple,
    header::{Header, Kind},
};

use super::*;
use crate::{
    aggregate::fixture::{clock, host, resource, series, snapshot, tuple},
    metric::Snapshot,
};

fn totals(connection: u64, role: Role) -> Totals {
    Totals {
        connection,
        opened: 1_000_000_000,
        connect_duration: if role == Role::Outbound { 2_000_000 } else { 0 },
        bytes_sent: 100,
        bytes_received: 1_000,
        srtt: 1_500,
        retransmits: 1,
        tgid: 100,
        role: role as u8,
        state: 1,
        pad: [0; 2],
        tuple: tuple(),
    }
}

fn closed(totals: Totals, reset: u8) -> Closed {
    Closed {
        header: header(Kind::TcpClosed),
        totals,
        error: 0,
        reset,
        pad: [0; 3],
    }
}

fn header(kind: Kind) -> Header {
    Header {
        time: 3_500_000_000,
        tgid: 100,
        tid: 100,
        kind: kind as u32,
        pad: 0,
    }
}

fn tcp() -> Tcp {
    Tcp::new(TcpLimits::default(), host())
}

fn read(tcp: &mut Tcp, open: &[Totals]) {
    tcp.read(open, UNIX_EPOCH, |_| Some(resource("shop")));
}

fn close(tcp: &mut Tcp, totals: Totals, reset: u8) {
    tcp.closed(&closed(totals, reset), Some(&resource("shop")), &clock());
}

fn collected(tcp: &Tcp) -> Snapshot {
    snapshot(|collector| tcp.collect(collector))
}

fn told(tcp: &Tcp, name: &str) -> Vec<String> {
    series(&collected(tcp), name)
}

const OUT: &str = "service.name=shop,network.connection.direction=outbound,server.address=192.0.2.1,server.port=8080";

#[test]
fn a_connection_counts_once_over_readings_and_its_end() {
    let mut tcp = tcp();
    let mut connection = totals(1, Role::Outbound);
    read(&mut tcp, &[connection]);
    connection.bytes_sent = 150;
    connection.retransmits = 3;
    read(&mut tcp, &[connection]);
    connection.bytes_received = 1_001;
    close(&mut tcp, connection, RESET_BY_PEER);
    assert_eq!(told(&tcp, "tcp.retransmits"), [format!("3 {{{OUT}}}")]);
    let io = told(&tcp, "tcp.io");
    assert!(io[0].starts_with("1001 ") && io[0].contains("network.io.direction=receive"));
    assert!(io[1].starts_with("150 ") && io[1].contains("network.io.direction=transmit"));
    assert_eq!(
        told(&tcp, "tcp.connect.duration"),
        [format!("n=1 s=0.002 {{{OUT}}}")]
    );
    assert_eq!(told(&tcp, "tcp.rtt"), [format!("n=3 s=0.0045 {{{OUT}}}")]);
    assert_eq!(
        told(&tcp, "tcp.connection.lifetime"),
        [format!("n=1 s=2.5 {{{OUT}}}")]
    );
    let resets = told(&tcp, "tcp.resets");
    assert!(resets[0].starts_with("1 {service.name=shop,direction=received"));
    assert!(resets[1].starts_with("0 {service.name=shop,direction=sent"));
}

#[test]
fn a_reading_older_than_the_end_counts_nothing_again() {
    let mut tcp = tcp();
    let connection = totals(1, Role::Inbound);
    close(&mut tcp, connection, 0);
    close(&mut tcp, connection, 0);
    read(&mut tcp, &[connection]);
    let io = told(&tcp, "tcp.io");
    assert!(io[0].starts_with("1000 "), "{io:?}");
    let lifetime = told(&tcp, "tcp.connection.lifetime");
    assert!(lifetime[0].starts_with("n=1 "), "{lifetime:?}");
}

#[test]
fn an_accepted_connection_names_this_side_and_never_the_clients_port() {
    let mut tcp = tcp();
    let mut connection = totals(1, Role::Inbound);
    std::mem::swap(
        &mut connection.tuple.local_port,
        &mut connection.tuple.remote_port,
    );
    read(&mut tcp, &[connection]);
    let [line] = told(&tcp, "tcp.connections").try_into().unwrap();
    assert_eq!(
        line,
        "1 {service.name=shop,network.connection.direction=inbound,\
         server.address=127.0.0.1,server.port=8080,state=established}"
    );
    assert!(told(&tcp, "tcp.connect.duration").is_empty());
}

#[test]
fn what_was_before_sonde_is_not_counted() {
    let mut tcp = tcp();
    let mut old = totals(1, Role::Unknown);
    read(&mut tcp, &[old]);
    old.bytes_sent += 7;
    read(&mut tcp, &[old]);
    old.bytes_sent += 1;
    close(&mut tcp, old, 0);
    let io = told(&tcp, "tcp.io");
    assert_eq!(io[1], "8 {service.name=shop,network.io.direction=transmit}");
    assert!(io[0].starts_with("0 "));
    assert!(told(&tcp, "tcp.connection.lifetime").is_empty());
    // Seen only at its end: nothing is known to have come after sonde did.
    close(&mut tcp, totals(2, Role::Unknown), 0);
    assert!(told(&tcp, "tcp.io")[1].starts_with("8 "));
}

#[test]
fn a_listener_tells_whose_side_an_old_connection_is() {
    let mut tcp = tcp();
    let old = totals(1, Role::Unknown);
    for (port, expected) in [
        (9, "1 {service.name=shop,state=established}"),
        (
            old.tuple.local_port,
            "1 {service.name=shop,network.connection.direction=inbound,\
             server.address=127.0.0.1,server.port=40000,state=established}",
        ),
    ] {
        tcp.set_listening([(old.tuple.netns, port), (2, old.tuple.local_port)].into());
        read(&mut tcp, &[old]);
        let states = told(&tcp, "tcp.connections");
        assert!(states.iter().any(|line| line == expected), "{states:?}");
    }
}

#[test]
fn connections_are_counted_by_state_as_of_the_last_reading() {
    let mut tcp = tcp();
    let [first, mut second] = [1, 2].map(|number| totals(number, Role::Outbound));
    second.state = 8;
    read(&mut tcp, &[first, second]);
    second.state = 200;
    read(&mut tcp, &[second]);
    let states = told(&tcp, "tcp.connections");
    assert_eq!(
        states,
        [
            format!("0 {{{OUT},state=established}}"),
            format!("0 {{{OUT},state=close_wait}}")
        ]
    );
}

#[test]
fn a_connection_that_comes_twice_in_one_reading_is_one() {
    let mut tcp = tcp();
    let connection = totals(1, Role::Outbound);
    for _ in 0..2 {
        read(&mut tcp, &[connection, connection]);
    }
    let states = told(&tcp, "tcp.connections");
    assert_eq!(states, [format!("1 {{{OUT},state=established}}")]);
    assert_eq!(told(&tcp, "tcp.rtt"), [format!("n=2 s=0.003 {{{OUT}}}")]);
}

#[test]
fn failed_connects_are_counted_by_errno() {
    let mut tcp = tcp();
    for error in [111, 111, 0, 9_999] {
        let failed = failed(error);
        tcp.connect_failed(&failed, Some(&resource("shop")), &clock());
    }
    let failures = told(&tcp, "tcp.connect.failures");
    let starts = ["1 {", "2 {", "1 {"];
    let errors = ["aborted", "ECONNREFUSED", "errno_9999"];
    for ((line, start), error) in failures.iter().zip(starts).zip(errors) {
        assert!(line.starts_with(start), "{line}");
        assert!(line.contains(&format!("error.type={error},")), "{line}");
    }
    assert_eq!(failures.len(), 3);
}

fn failed(error: u32) -> ConnectFailed {
    ConnectFailed {
        header: header(Kind::TcpConnectFailed),
        tuple: tuple(),
        duration: 1_000_000,
        error,
        pad: 0,
    }
}

#[test]
fn a_refused_connection_is_logged_and_one_given_up_is_not() {
    let record = connect_failed_record(&failed(111), &resource("shop"), &clock()).unwrap();
    assert_eq!(record.event_name, "tcp.connect.failed");
    assert_eq!(
        record.body,
        "connect to 192.0.2.1:8080 failed with ECONNREFUSED after 1.0ms"
    );
    assert_eq!(
        connect_failed_record(&failed(0), &resource("shop"), &clock()),
        None
    );
}

#[test]
fn connections_without_owner_are_the_hosts() {
    let mut tcp = tcp();
    let mut connection = totals(1, Role::Inbound);
    tcp.read(&[connection], UNIX_EPOCH, |_| None);
    connection.bytes_sent += 5;
    // The owner became known meanwhile: it gets what is new.
    close(&mut tcp, connection, 0);
    let sent: Vec<_> = told(&tcp, "tcp.io")
        .into_iter()
        .filter(|line| line.contains("transmit"))
        .collect();
    assert!(sent[0].starts_with("100 {network.connection.direction"));
    assert!(sent[1].starts_with("5 {service.name=shop"));
    tcp.retain(|_| false);
    assert!(told(&tcp, "tcp.io")[1].starts_with("100 "));
}

#[test]
fn a_lost_end_frees_its_place() {
    let mut tcp = Tcp::new(
        TcpLimits {
            connections: 1,
            ..TcpLimits::default()
        },
        host(),
    );
    read(
        &mut tcp,
        &[totals(1, Role::Inbound), totals(2, Role::Inbound)],
    );
    let [.., progress] = tcp.usage();
    assert_eq!((progress.series, progress.overflowed), (1, 1));
    for _ in 0..3 {
        read(&mut tcp, &[]);
    }
    assert_eq!(tcp.usage()[2].series, 0);
    // The one without room is counted whole at its end.
    close(&mut tcp, totals(2, Role::Inbound), 0);
    assert!(told(&tcp, "tcp.io")[1].starts_with("200 "));
}

proptest! {
    /// However readings and ends come: what is told is what the connections did.
    #[test]
    fn bytes_are_conserved(
        steps in proptest::collection::vec((0..6_u64, 0..1_000_u64, 0..4_u8), 0..100),
    ) {
        let mut tcp = tcp();
        let mut open: std::collections::BTreeMap<u64, Totals> = std::collections::BTreeMap::new();
        let mut ended = 0;
        let mut offset = 0;
        for (number, bytes, what) in steps {
            let connection = open.entry(number).or_insert_with(|| {
                offset += 100;
                Totals { bytes_sent: 0, ..totals(offset + number, Role::Outbound) }
            });
            connection.bytes_sent += bytes;
            match what {
                0 => read(&mut tcp, &open.values().copied().collect::<Vec<_>>()),
                1 => {
                    let connection = open.remove(&number).unwrap();
                    ended += connection.bytes_sent;
                    close(&mut tcp, connection, 0);
                    // A reading that began before the end.
                    let stale = open.values().copied().chain([connection]);
                    read(&mut tcp, &stale.collect::<Vec<_>>());
                }
                _ => {}
            }
        }
        read(&mut tcp, &open.values().copied().collect::<Vec<_>>());
        let expected = ended + open.values().map(|totals| totals.bytes_sent).sum::<u64>();
        let told: u64 = told(&tcp, "tcp.io").iter()
            .filter(|line| line.contains("transmit"))
            .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
            .sum();
        prop_assert_eq!(told, expected);
    }
}

#[test]
fn a_services_bytes_are_those_of_all_its_peers() {
    let mut tcp = tcp();
    let elsewhere = Totals {
        tuple: Tuple {
            remote_port: 9_090,
            ..tuple()
        },
        ..totals(2, Role::Outbound)
    };
    read(&mut tcp, &[totals(1, Role::Outbound), elsewhere]);
    let mut io = NetworkIo::default();
    let mut collector = Collector::new(host(), UNIX_EPOCH);
    tcp.add_io(&mut io, &collector);
    io.collect(&mut collector);
    assert_eq!(
        series(&collector.finish(UNIX_EPOCH), "process.network.io"),
        [
            "2000 {service.name=shop,network.io.direction=receive}",
            "200 {service.name=shop,network.io.direction=transmit}",
        ]
    );
}
