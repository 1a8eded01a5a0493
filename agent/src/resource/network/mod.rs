//! Network: interfaces against their links' speed, drops and errors; the backlog of the receive
//! softirq; bonds, the neighbour table, and what IP throws away.

mod bond;
mod interface;
mod ip;
mod link;
mod neighbour;
mod softnet;

use std::{collections::BTreeMap, time::Instant};

use self::{interface::Device, softnet::Softnet};
use super::{
    Error, Registration, Resource, Root, Use,
    interval::{Interval, Timed},
    read,
};

const NAME: &str = "network";

pub(super) const REGISTRATION: Registration = Registration {
    name: NAME,
    metrics: &[
        &interface::IO,
        &interface::PACKETS,
        &interface::MULTICAST,
        &interface::DROPPED,
        &interface::ERRORS,
        &interface::ERROR_DETAIL,
        &link::SPEED,
        &link::CARRIER,
        &link::CARRIER_CHANGES,
        &link::MTU,
        &bond::LINKS,
        &softnet::PROCESSED,
        &softnet::DROPPED,
        &softnet::SQUEEZED,
        &neighbour::ENTRIES,
        &neighbour::LIMIT,
        &ip::IO,
        &ip::EVENTS,
        &ip::ICMP,
        &ip::FRAGMENTS,
        &ip::SOCKETS,
    ],
    saturation: &[
        &interface::RECEIVE_DROP,
        &interface::TRANSMIT_DROP,
        &softnet::SQUEEZE,
        &softnet::DROP,
        &softnet::BACKLOG,
    ],
    errors: &[
        &interface::RECEIVE_ERROR,
        &interface::TRANSMIT_ERROR,
        &link::CARRIER_LOSS,
        &bond::LINK_FAILURE,
        &neighbour::TABLE_FULL,
        &ip::NO_ROUTE,
        &ip::DISCARD,
        &ip::REASSEMBLY,
    ],
    open: |_| Box::<Network>::default(),
};

#[derive(Debug, Default)]
struct Sample {
    devices: BTreeMap<String, Device>,
    softnet: Softnet,
}

#[derive(Debug, Default)]
struct Network {
    last: Option<Timed<Sample>>,
}

impl Resource for Network {
    fn sample(&mut self, root: &Root, now: Instant) -> Result<Option<Use>, Error> {
        let mut report = Use::new(NAME);
        let Some(text) = read::net(root, "dev")? else {
            return Ok(None);
        };
        let mut sample = Sample {
            devices: interface::parse(&text, &mut report.skipped),
            ..Sample::default()
        };
        if sample.devices.is_empty() {
            return Err(read::malformed(
                &root.procfs.join("net/dev"),
                "statistics of any interface",
            ));
        }
        let last = self.last.as_ref().map(|last| &last.value.softnet);
        sample.softnet = Softnet::read(root, last, &mut report.skipped);
        let now = Timed {
            at: now,
            value: sample,
        };
        let interval = Interval::between(self.last.as_ref(), &now);
        for (name, device) in &now.value.devices {
            let interval = interval
                .as_ref()
                .and_then(|interval| interval.part(|sample| sample.devices.get(name)));
            interface::report(name, device, interval.as_ref(), root, &mut report);
        }
        let softnet = interval.and_then(|interval| interval.part(|sample| Some(&sample.softnet)));
        now.value.softnet.report(softnet.as_ref(), &mut report);
        neighbour::report(root, &mut report);
        ip::report(root, &mut report);
        self.last = Some(now);
        Ok(Some(report))
    }
}
