//! Counters of the network stack: `/proc/net/{snmp,netstat,snmp6}` (`net/ipv4/proc.c`,
//! `net/ipv6/proc.c`).
//!
//! By hand, since `procfs::net::Snmp` wants every protocol that it knows, and there is none for
//! netstat.

use std::collections::HashMap;

use super::{
    Root,
    read::{self, Skipped},
};

/// The text of one of these files; `None` where the host hasn't got it, as those without IPv6.
pub(super) fn text(root: &Root, file: &str, skipped: &mut Skipped) -> Option<String> {
    skipped.or_skip(read::net(root, file))
}

/// Counters of one protocol by their kernel names; only those that were asked for.
#[derive(Debug, Default)]
pub(super) struct Counters(HashMap<&'static str, u64>);

impl Counters {
    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// Takes `protocol` of a text in which each has a line of names and a line of values.
    pub(super) fn columns(
        &mut self,
        text: &str,
        protocol: &str,
        wanted: &[&'static str],
        skipped: &mut Skipped,
    ) {
        let mut lines = text
            .lines()
            .filter_map(|line| line.strip_prefix(protocol)?.strip_prefix(':'));
        let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
            skipped.one();
            return;
        };
        let mut values = values.split_ascii_whitespace();
        for name in names.split_ascii_whitespace() {
            self.take(name, values.next(), wanted, skipped);
        }
    }

    /// Takes `protocol` of `snmp6`, where each counter has a line and the protocol's name before
    /// its own.
    pub(super) fn lines(
        &mut self,
        text: &str,
        protocol: &str,
        wanted: &[&'static str],
        skipped: &mut Skipped,
    ) {
        for line in text.lines() {
            let mut fields = line.split_ascii_whitespace();
            let name = fields.next().and_then(|name| name.strip_prefix(protocol));
            if let Some(name) = name {
                self.take(name, fields.next(), wanted, skipped);
            }
        }
    }

    fn take(
        &mut self,
        name: &str,
        value: Option<&str>,
        wanted: &[&'static str],
        skipped: &mut Skipped,
    ) {
        let Some(name) = wanted.iter().find(|wanted| **wanted == name) else {
            return;
        };
        match value.and_then(|value| value.parse().ok()) {
            Some(value) => {
                self.0.insert(name, value);
            }
            None => skipped.one(),
        }
    }
}

/// One protocol's line of `/proc/net/sockstat` or `sockstat6`:
/// `TCP: inuse 4 orphan 0 tw 8 alloc 4 mem 292`.
#[derive(Debug)]
pub(super) struct Sockets<'a>(HashMap<&'a str, u64>);

impl<'a> Sockets<'a> {
    pub(super) fn parse(text: &'a str, protocol: &str) -> Option<Self> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(protocol)?.strip_prefix(':'))?;
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let pairs = fields.chunks_exact(2).filter_map(|pair| match pair {
            [name, value] => Some((*name, value.parse().ok()?)),
            _ => None,
        });
        let sockets: HashMap<_, _> = pairs.collect();
        (!sockets.is_empty()).then_some(Self(sockets))
    }

    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }
}

/// A limit of `/proc/sys/net/ipv4/{tcp,udp}_mem` in pages: the third value, which is what none may
/// pass.
pub(super) fn memory_limit(root: &Root, file: &str, skipped: &mut Skipped) -> Option<u64> {
    let text = read::text(&root.procfs.join("sys/net/ipv4").join(file));
    let text = skipped.or_skip(text)?;
    read::numbers::<3>(&text).map(|[_low, _pressure, high]| high)
}

/// A share; `None` without both parts, or of nothing.
pub(super) fn ratio(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    let whole = whole.filter(|whole| *whole > 0)?;
    Some(part? as f64 / whole as f64)
}

/// Bytes of that many pages.
pub(super) fn bytes(pages: u64) -> Option<u64> {
    pages.checked_mul(procfs::page_size())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counters_are_found_by_name_and_a_cut_line_costs_only_what_it_lacks() {
        let text = "Ip: Forwarding InReceives\nIp: 2 9\nTcp: MaxConn InSegs OutSegs\nTcp: -1 7\n";
        let mut skipped = Skipped::default();
        let mut counters = Counters::default();
        counters.columns(text, "Tcp", &["InSegs", "OutSegs"], &mut skipped);
        assert_eq!(counters.get("InSegs"), Some(7));
        assert_eq!(counters.get("OutSegs"), None);
        assert_eq!(counters.get("MaxConn"), None);
        assert_eq!(skipped.count(), 1);
    }

    #[test]
    fn a_protocol_that_begins_like_another_is_not_taken_for_it() {
        let sockets = "UDPLITE: inuse 3\nUDP: inuse 1 mem 2\n";
        let sockets = Sockets::parse(sockets, "UDP").unwrap();
        assert_eq!(
            (sockets.get("inuse"), sockets.get("mem")),
            (Some(1), Some(2))
        );
        let mut counters = Counters::default();
        let text = "UdpLite: InErrors\nUdpLite: 5\nUdp: InErrors\nUdp: 1\n";
        counters.columns(text, "Udp", &["InErrors"], &mut Skipped::default());
        assert_eq!(counters.get("InErrors"), Some(1));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "(Udp:[ a-zA-Z0-9-]{0,30}\n){0,4}|.*") {
            let mut counters = Counters::default();
            counters.columns(&text, "Udp", &["InErrors"], &mut Skipped::default());
            Sockets::parse(&text, "Udp");
        }
    }
}
