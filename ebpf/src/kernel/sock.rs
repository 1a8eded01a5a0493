//! `struct sock`, and the `struct inet_sock` and `struct tcp_sock` that start with it.

use aya_ebpf::helpers::generated::bpf_jiffies64;
use sonde_common::{
    event::{
        http::{NOT_QUEUED, Tuple},
        tcp::{Arrival, Info, Listener},
    },
    field::Field,
};

use super::{Access, Probed, Sock, Tcp, probe, probe_or_zero};

/// `AF_INET`
const AF_INET: u16 = 2;
/// `AF_INET6`
const AF_INET6: u16 = 10;
/// `IPPROTO_TCP`
const IPPROTO_TCP: u16 = 6;
/// `IPPROTO_UDP`
const IPPROTO_UDP: u16 = 17;

/// Microseconds of a tick (jiffy); set by the agent before the programs are loaded.
#[unsafe(no_mangle)]
static TICK: u32 = 10_000;

#[inline(always)]
fn tick() -> u32 {
    // SAFETY: a static of our own; volatile because the agent overwrites it before loading.
    unsafe { core::ptr::read_volatile(&raw const TICK) }
}

impl<A: Access> Sock<A> {
    /// Whether this is TCP over IPv4 or IPv6.
    #[inline(always)]
    pub(crate) fn is_tcp(&self) -> bool {
        self.is_inet(IPPROTO_TCP)
    }

    /// Whether this is UDP over IPv4 or IPv6.
    #[inline(always)]
    pub(crate) fn is_udp(&self) -> bool {
        self.is_inet(IPPROTO_UDP)
    }

    #[inline(always)]
    fn is_inet(&self, wanted: u16) -> bool {
        let family: u16 = self.get(Field::SockFamily).unwrap_or(0);
        if family != AF_INET && family != AF_INET6 {
            return false;
        }
        let protocol: u16 = self.get(Field::SockProtocol).unwrap_or(0);
        protocol == wanted
    }

    /// TCP state number.
    #[inline(always)]
    pub(crate) fn state(&self) -> u8 {
        self.get(Field::SockState).unwrap_or(0)
    }

    /// Whether it waits for connections.
    #[inline(always)]
    pub(crate) fn is_listening(&self) -> bool {
        const LISTEN: u8 = 10;
        self.state() == LISTEN
    }

    /// Who made it listen, and where.
    #[inline(always)]
    pub(crate) fn listener(&self, since: u64, tgid: u32) -> Listener {
        let net: *const u8 = self.probe(Field::SockNet).unwrap_or(core::ptr::null());
        Listener {
            since,
            tgid,
            netns: probe(net, Field::NetInum).unwrap_or(0),
            port: self.local_port(),
            pad: [0; 3],
        }
    }

    /// Length and limit of its accept queue, and what was dropped there.
    #[inline(always)]
    pub(crate) fn accept_queue(&self) -> Option<[u32; 3]> {
        Some([
            self.probe(Field::SockAckBacklog)?,
            self.probe(Field::SockMaxAckBacklog)?,
            self.probe(Field::SockDrops)?,
        ])
    }

    /// Whether its life is over.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        const CLOSE: u8 = 7;
        self.state() == CLOSE
    }

    /// Whether a read of nothing means that the peer has ended its direction: a FIN has come, so
    /// the state is past those in which data may still arrive.
    #[inline(always)]
    pub(crate) fn at_end_of_file(&self) -> bool {
        const ESTABLISHED: u8 = 1;
        const FIN_WAIT1: u8 = 4;
        const FIN_WAIT2: u8 = 5;
        !matches!(self.state(), ESTABLISHED | FIN_WAIT1 | FIN_WAIT2)
    }

    /// Pending error, as a positive errno.
    #[inline(always)]
    pub(crate) fn error(&self) -> u32 {
        self.get(Field::SockErr).unwrap_or(0)
    }

    /// Who talks to whom. Not for the hot path: several reads.
    #[inline(always)]
    pub(crate) fn tuple(&self) -> Tuple {
        let port: u16 = self.probe(Field::SockDport).unwrap_or(0);
        let net: *const u8 = self.probe(Field::SockNet).unwrap_or(core::ptr::null());
        let mut tuple = Tuple {
            local: [0; 16],
            remote: [0; 16],
            local_port: self.local_port(),
            remote_port: u16::from_be(port),
            netns: probe(net, Field::NetInum).unwrap_or(0),
        };
        let family: u16 = self.probe(Field::SockFamily).unwrap_or(0);
        if family == AF_INET6 {
            tuple.local = self.probe(Field::SockV6RcvSaddr).unwrap_or([0; 16]);
            tuple.remote = self.probe(Field::SockV6Daddr).unwrap_or([0; 16]);
        } else {
            mapped(
                &mut tuple.local,
                self.probe(Field::SockRcvSaddr).unwrap_or(0),
            );
            mapped(&mut tuple.remote, self.probe(Field::SockDaddr).unwrap_or(0));
        }
        tuple
    }

    /// Local port. A connecting socket has given the number back when its end is told.
    #[inline(always)]
    fn local_port(&self) -> u16 {
        let number: u16 = self.probe(Field::SockNum).unwrap_or(0);
        if number != 0 {
            return number;
        }
        u16::from_be(self.probe(Field::InetSport).unwrap_or(0))
    }

    /// Whether user space has taken the peer's FIN, which has a sequence number as bytes have.
    #[inline(always)]
    pub(crate) fn fin_is_read(&self) -> bool {
        self.fin_has_come() && self.copied_seq() == self.probe(Field::TcpRcvNxt)
    }

    /// Whether a write waits for room, of which some bytes may have been taken.
    #[inline(always)]
    pub(crate) fn is_being_written(&self) -> bool {
        let pending: u32 = self.get(Field::SockWritePending).unwrap_or(0);
        pending != 0
    }

    #[inline(always)]
    fn copied_seq(&self) -> Option<u32> {
        self.probe(Field::TcpCopiedSeq)
    }

    /// Whether bytes wait to be read.
    #[inline(always)]
    pub(crate) fn has_unread(&self) -> bool {
        let next: u32 = self.probe(Field::TcpRcvNxt).unwrap_or(0);
        let read = self.copied_seq().unwrap_or(next);
        next.wrapping_sub(read) > u32::from(self.fin_has_come())
    }

    #[inline(always)]
    fn fin_has_come(&self) -> bool {
        /// `SOCK_DONE` of `enum sock_flags`: set when the FIN comes.
        const DONE: u64 = 1 << 1;
        let flags: u64 = self.probe(Field::SockFlags).unwrap_or(0);
        flags & DONE != 0
    }

    /// A field of it, or of the `struct tcp_sock` that it starts, not for the hot path.
    #[inline(always)]
    fn probe<T: Copy>(&self, field: Field) -> Option<T> {
        probe(self.0, field)
    }

    /// Smoothed round-trip time in microseconds; 0 before the first sample.
    #[inline(always)]
    pub(crate) fn srtt(&self) -> u32 {
        self.probe::<u32>(Field::TcpSrttUs).unwrap_or(0) >> 3
    }

    /// What TCP keeps of the socket, for loads that are as direct as those from the socket itself.
    #[inline(always)]
    pub(crate) fn tcp(&self) -> Option<Tcp<A>> {
        // SAFETY: `sk` is the kernel's; a null result is checked.
        let tcp = unsafe { A::tcp_sock(self.0) };
        (!tcp.is_null()).then(|| Tcp::new(tcp))
    }

    /// A number that no other socket gets, made if it has none; 0 where that can't be asked for.
    #[inline(always)]
    pub(crate) fn cookie(&self) -> u64 {
        // SAFETY: `sk` is the kernel's.
        unsafe { A::cookie(self.0) }
    }

    /// The number that [`Sock::cookie`] has made, if that was called for this socket.
    #[inline(always)]
    pub(crate) fn has_cookie(&self, cookie: u64) -> bool {
        self.probe(Field::SockCookie) == Some(cookie)
    }

    /// Payload bytes sent, each counted once. `bytes_acked` would count SYN and FIN as well.
    #[inline(always)]
    pub(crate) fn bytes_sent(&self) -> u64 {
        let all: u64 = self.probe(Field::TcpBytesSent).unwrap_or(0);
        all.saturating_sub(self.probe(Field::TcpBytesRetrans).unwrap_or(0))
    }

    /// Payload bytes received in order. The kernel's number counts the FIN, once that has come.
    #[inline(always)]
    pub(crate) fn bytes_received(&self) -> u64 {
        let all: u64 = self.probe(Field::TcpBytesReceived).unwrap_or(0);
        all.saturating_sub(self.fin_has_come().into())
    }

    /// Segments sent again.
    #[inline(always)]
    pub(crate) fn retransmits(&self) -> u32 {
        self.probe(Field::TcpTotalRetrans).unwrap_or(0)
    }
}

impl<A: Access> Tcp<A> {
    /// The socket.
    #[inline(always)]
    pub(crate) fn sock(&self) -> Sock<A> {
        Sock::new(self.0)
    }

    /// Next sequence number that user space has not read.
    #[inline(always)]
    pub(crate) fn copied_seq(&self) -> Option<u32> {
        self.get(Field::TcpCopiedSeq)
    }

    /// Next sequence number that is to come.
    #[inline(always)]
    pub(crate) fn next_seq(&self) -> Option<u32> {
        self.get(Field::TcpRcvNxt)
    }

    /// When a packet last came or went, `CLOCK_MONOTONIC` in microseconds.
    #[inline(always)]
    pub(crate) fn last_packet(&self) -> Option<u64> {
        self.get(Field::TcpMstamp)
    }

    /// When data last came, in ticks.
    #[inline(always)]
    pub(crate) fn last_data(&self) -> Option<u32> {
        self.get(Field::IcskLrcvtime)
    }

    /// What TCP knows of the connection.
    #[inline(always)]
    pub(crate) fn info(&self) -> Option<Info> {
        let srtt: u32 = self.get(Field::TcpSrttUs)?;
        Some(Info {
            srtt: srtt >> 3,
            retransmits: self.get(Field::TcpTotalRetrans)?,
        })
    }
}

impl Sock<Probed> {
    /// [`Tcp::info`] of an address where there may be no socket any more; what is read there then
    /// is of no use.
    #[inline(always)]
    pub(crate) fn probable_tcp_info(&self) -> Info {
        Info {
            srtt: probe_or_zero::<u32>(self.0, Field::TcpSrttUs) >> 3,
            retransmits: probe_or_zero(self.0, Field::TcpTotalRetrans),
        }
    }

    /// When data last came there, the same way.
    #[inline(always)]
    pub(crate) fn probable_last_data(&self) -> u32 {
        probe_or_zero(self.0, Field::IcskLrcvtime)
    }
}

/// How long what is read at this moment has been there, microseconds, or [`NOT_QUEUED`]: at least so
/// long, where more came after its first bytes.
///
/// The time of the last packet is exact, but an acknowledgement that is sent after a while
/// (`tcp_delack_timer`) moves it on; then the time of the last data stands, in ticks.
#[inline(always)]
pub(crate) fn waited(arrival: &Arrival, now: u64) -> u32 {
    if arrival.packet == 0 {
        return NOT_QUEUED;
    }
    // SAFETY: the helper takes nothing and always succeeds.
    let ticks = (unsafe { bpf_jiffies64() } as u32).wrapping_sub(arrival.data);
    let exact = (now / 1000).saturating_sub(arrival.packet);
    let rough = u64::from(ticks.saturating_sub(1)) * u64::from(tick());
    let waited = if rough > exact && ticks < u32::MAX / 2 {
        rough
    } else {
        exact
    };
    u32::try_from(waited).unwrap_or(NOT_QUEUED)
}

/// `::ffff:a.b.c.d`, with the address in network byte order.
#[inline(always)]
fn mapped(into: &mut [u8; 16], address: u32) {
    into[10] = 0xff;
    into[11] = 0xff;
    let bytes = address.to_ne_bytes();
    into[12] = bytes[0];
    into[13] = bytes[1];
    into[14] = bytes[2];
    into[15] = bytes[3];
}
