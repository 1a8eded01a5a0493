//! What TCP knew of the connection while an exchange was under way.

use std::time::Duration;

use sonde_common::event::tcp::Info;

/// Round-trip time and retransmits of an exchange's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// Smoothed round-trip time, microseconds; 0 when it isn't known.
    srtt: u32,
    /// Segments sent again in the connection's life, when the exchange began.
    before: Option<u32>,
    /// How many more when it ended.
    during: Option<u32>,
}

impl Transport {
    /// As the first byte of the request moved.
    pub(crate) fn begun(info: Option<Info>) -> Self {
        Self {
            srtt: info.map_or(0, |info| info.srtt),
            before: info.map(|info| info.retransmits),
            during: None,
        }
    }

    /// As the end of the exchange is told.
    pub(crate) fn ended(&mut self, info: Option<Info>) {
        let Some(info) = info else {
            return;
        };
        if info.srtt != 0 {
            self.srtt = info.srtt;
        }
        self.during = self
            .before
            .map(|before| info.retransmits.saturating_sub(before));
    }

    /// Smoothed round-trip time (RFC 6298) at the end of the exchange, else at its beginning; `None`
    /// before the first sample, and when it isn't known.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        (self.srtt != 0).then(|| Duration::from_micros(self.srtt.into()))
    }

    /// Segments that this side sent again between the request's first byte and the answer's last, of
    /// whichever request on the connection; `None` when that isn't known.
    #[must_use]
    pub fn retransmits(&self) -> Option<u32> {
        self.during
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Round-trip time and retransmits, at either end.
    type Known = Option<(u32, u32)>;

    fn told(begun: Known, ended: Known) -> (Option<u128>, Option<u32>) {
        let info = |(srtt, retransmits)| Info { srtt, retransmits };
        let mut transport = Transport::begun(begun.map(info));
        transport.ended(ended.map(info));
        let rtt = transport.rtt().map(|rtt| rtt.as_micros());
        (rtt, transport.retransmits())
    }

    #[test]
    fn the_round_trip_time_is_the_latest_and_retransmits_are_those_in_between() {
        let told = |begun, ended| told(Some(begun), Some(ended));
        assert_eq!(told((100, 7), (300, 9)), (Some(300), Some(2)));
        assert_eq!(told((100, 7), (0, 7)), (Some(100), Some(0)));
        assert_eq!(told((0, 0), (0, 0)), (None, Some(0)));
    }

    #[test]
    fn what_is_not_known_at_either_end_is_absent() {
        assert_eq!(told(None, None), (None, None));
        assert_eq!(told(None, Some((300, 9))), (Some(300), None));
        assert_eq!(told(Some((100, 7)), None), (Some(100), None));
    }
}
