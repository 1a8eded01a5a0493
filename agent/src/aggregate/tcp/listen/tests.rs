use std::time::UNIX_EPOCH;

use sonde_common::event::tcp::Listener;

use super::*;
use crate::aggregate::fixture::{resource, series, snapshot};

const SECOND: u64 = 1_000_000_000;

fn queue(socket: u64, since: u64, port: u16, [length, limit, drops]: [u32; 3]) -> AcceptQueue {
    AcceptQueue {
        listener: Listener {
            since,
            tgid: 1,
            netns: 1,
            port,
            pad: [0; 3],
        },
        socket,
        length,
        limit,
        drops,
        pad: 0,
    }
}

fn queues() -> AcceptQueues {
    AcceptQueues::new(Limits {
        per_service: 3,
        total: 100,
    })
}

fn read(queues: &mut AcceptQueues, now: u64, found: &[AcceptQueue]) {
    queues.read(found, UNIX_EPOCH, now, |_| resource("shop"));
}

fn told(queues: &AcceptQueues, name: &str) -> Vec<String> {
    series(&snapshot(|collector| queues.collect(collector)), name)
}

fn signals(share: &str, rate: Option<&str>) -> Vec<String> {
    let of = |signal| format!("{{service.name=shop,resource=tcp,signal={signal}}}");
    let share = format!("{share} {}", of("accept_queue_share"));
    let rate = rate.map(|rate| format!("{rate} {}", of("listen_drop_rate")));
    [share].into_iter().chain(rate).collect()
}

#[test]
fn queues_of_one_port_add_up_and_the_fullest_one_is_the_share() {
    let mut queues = queues();
    let found = [
        queue(1, 5, 80, [3, 3, 0]),
        queue(2, 5, 80, [0, 9, 0]),
        queue(3, 5, 443, [1, 127, 0]),
    ];
    read(&mut queues, SECOND, &found);
    assert_eq!(
        told(&queues, "tcp.accept_queue.length"),
        [
            "3 {service.name=shop,server.port=80}",
            "1 {service.name=shop,server.port=443}"
        ]
    );
    assert_eq!(
        told(&queues, "tcp.accept_queue.limit"),
        [
            "12 {service.name=shop,server.port=80}",
            "127 {service.name=shop,server.port=443}"
        ]
    );
    // 3 of the 4 that have room.
    assert_eq!(
        told(&queues, "use.saturation.by_service"),
        signals("0.75", None)
    );
}

#[test]
fn drops_count_from_the_begin_where_that_was_seen() {
    let mut queues = queues();
    let (old, new) = (queue(1, 0, 80, [0, 1, 7]), queue(2, 5, 80, [0, 1, 4]));
    read(&mut queues, SECOND, &[old, new]);
    let drops = |queues: &AcceptQueues| told(queues, "tcp.listen.drops");
    assert_eq!(drops(&queues), ["4 {service.name=shop,server.port=80}"]);
    let (old, new) = (queue(1, 0, 80, [0, 1, 8]), queue(2, 5, 80, [2, 1, 9]));
    read(&mut queues, 3 * SECOND, &[old, new]);
    assert_eq!(drops(&queues), ["10 {service.name=shop,server.port=80}"]);
    assert_eq!(
        told(&queues, "use.saturation.by_service"),
        signals("1", Some("3"))
    );
}

#[test]
fn fault_16_another_socket_at_the_same_address_counts_from_zero() {
    let mut queues = queues();
    read(&mut queues, SECOND, &[queue(1, 5, 80, [0, 1, 4])]);
    read(&mut queues, 2 * SECOND, &[queue(1, 9, 80, [0, 1, 2])]);
    assert_eq!(
        told(&queues, "tcp.listen.drops"),
        ["6 {service.name=shop,server.port=80}"]
    );
}

#[test]
fn a_port_that_nobody_listens_on_has_no_queue_and_keeps_its_drops() {
    let mut queues = queues();
    read(&mut queues, SECOND, &[queue(1, 5, 80, [0, 1, 4])]);
    read(&mut queues, 2 * SECOND, &[]);
    assert_eq!(told(&queues, "tcp.accept_queue.length"), [""; 0]);
    assert_eq!(
        told(&queues, "tcp.listen.drops"),
        ["4 {service.name=shop,server.port=80}"]
    );
    assert_eq!(
        told(&queues, "use.saturation.by_service"),
        signals("0", Some("0"))
    );
    assert!(queues.drops.is_empty());
}

#[test]
fn ports_beyond_the_cap_are_told_together() {
    let mut queues = queues();
    let found: Vec<_> = (0..10)
        .map(|port| queue(port.into(), 5, port, [1, 1, 1]))
        .collect();
    read(&mut queues, SECOND, &found);
    let told = told(&queues, "tcp.accept_queue.length");
    assert_eq!(told.len(), 4);
    assert!(told.contains(&"7 {service.name=shop,otel.metric.overflow=true}".to_owned()));
}
