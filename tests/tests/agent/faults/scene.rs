//! Two sockets of this process as client and server, and the spans that are told of both ends.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use sonde_tests::{
    agent::{Agent, PATIENCE},
    exposition::Counts,
    lab::Lab,
    otlp::Receiver,
    span::{Seen, Side, seen},
};

use crate::support::own_service;

/// Time in which the other end of a pair must do something.
const SOON: Duration = Duration::from_secs(20);

/// An agent that tells its spans.
pub(super) struct Scene {
    pub(super) lab: Lab,
    pub(super) agent: Agent,
    receiver: Receiver,
}

/// What must be told of an exchange, by both ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Told {
    path: String,
    method: &'static str,
    status: Option<u16>,
    failure: Option<&'static str>,
    request: Option<u64>,
    answer: Option<u64>,
}

/// GET, answered with 200, without bodies.
pub(super) fn get(path: &str) -> Told {
    Told {
        path: path.to_owned(),
        method: "GET",
        status: Some(200),
        failure: None,
        request: Some(0),
        answer: Some(0),
    }
}

impl Told {
    pub(super) fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    pub(super) fn status(self, status: u16) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    /// Bytes of the request's body.
    pub(super) fn request(self, size: impl Into<Option<u64>>) -> Self {
        Self {
            request: size.into(),
            ..self
        }
    }

    /// Bytes of the answer's body.
    pub(super) fn answer(self, size: impl Into<Option<u64>>) -> Self {
        Self {
            answer: size.into(),
            ..self
        }
    }

    /// The answer was cut off.
    pub(super) fn failed(self, failure: &'static str) -> Self {
        Self {
            failure: Some(failure),
            answer: None,
            ..self
        }
    }

    /// There was no answer.
    pub(super) fn unanswered(self, failure: &'static str) -> Self {
        Self {
            status: None,
            ..self.failed(failure)
        }
    }

    fn is_told_by(&self, span: &Seen) -> bool {
        let first = match span.side {
            Side::Server => 500,
            Side::Client => 400,
        };
        let status = self.status.filter(|status| *status >= first);
        let error = self
            .failure
            .map(str::to_owned)
            .or(status.map(|status| status.to_string()));
        span.path == self.path
            && span.method == self.method
            && span.status == self.status
            && span.error == error
            && span.request == self.request
            && span.answer == self.answer
    }
}

impl Scene {
    pub(super) fn open() -> Result<Self> {
        Self::in_lab(Lab::open()?, &[])
    }

    pub(super) fn in_lab(lab: Lab, flags: &[&str]) -> Result<Self> {
        let receiver = Receiver::start()?;
        let variables = HashMap::from([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ]);
        let agent = lab.agent_with(flags, &variables)?;
        Ok(Self {
            lab,
            agent,
            receiver,
        })
    }

    /// The spans of a service with paths that begin so, once there are as many on both sides and
    /// nothing more comes.
    pub(super) fn spans_of(&self, service: &str, prefix: &str, count: usize) -> Result<Vec<Seen>> {
        let deadline = Instant::now() + PATIENCE;
        while self.seen(service, prefix).len() < 2 * count && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
        self.agent.two_snapshots()?;
        let mut spans = self.seen(service, prefix);
        spans.sort_by(|a, b| (&a.path, a.start).cmp(&(&b.path, b.start)));
        Ok(spans)
    }

    /// The same of this process.
    pub(super) fn spans(&self, prefix: &str, count: usize) -> Result<Vec<Seen>> {
        self.spans_of(&own_service()?, prefix, count)
    }

    fn seen(&self, service: &str, prefix: &str) -> Vec<Seen> {
        let received = self.receiver.received();
        let spans = received.traces.iter().flat_map(seen);
        spans
            .filter(|span| span.service == service && span.path.starts_with(prefix))
            .collect()
    }

    /// Requires exactly these of both ends, and that nothing was lost.
    pub(super) fn assert_both(&self, prefix: &str, expected: &[Told]) -> Result<()> {
        self.assert_told(&own_service()?, prefix, expected)?;
        assert_eq!(self.agent.dropped()?, Counts::new());
        Ok(())
    }

    /// Requires exactly these of both ends.
    pub(super) fn assert_told(&self, service: &str, prefix: &str, expected: &[Told]) -> Result<()> {
        let mut expected = expected.to_vec();
        expected.sort_by(|a, b| a.path.cmp(&b.path));
        let spans = self.spans_of(service, prefix, expected.len())?;
        for side in [Side::Server, Side::Client] {
            let found: Vec<_> = spans.iter().filter(|span| span.side == side).collect();
            let right = found.len() == expected.len()
                && expected
                    .iter()
                    .zip(&found)
                    .all(|(told, span)| told.is_told_by(span));
            ensure!(
                right,
                "{side:?}: told {found:#?}\nof {expected:#?}\n{:?}\n{}",
                self.agent.dropped()?,
                self.agent.log()
            );
        }
        Ok(())
    }

    /// A count of `sonde_ignored_total`.
    pub(super) fn ignored(&self, reason: &str) -> Result<f64> {
        let metrics = self.agent.metrics()?;
        let sum = metrics.sum("sonde_ignored_total", &[("reason", reason)]);
        Ok(sum.unwrap_or_default())
    }
}

/// Both ends of a connection.
pub(super) fn pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    for end in [&client, &server] {
        end.set_nodelay(true)?;
        end.set_read_timeout(Some(SOON))?;
        end.set_write_timeout(Some(SOON))?;
    }
    Ok((client, server))
}

/// Writes at one end and reads all of it at the other.
pub(super) fn pass(mut from: &TcpStream, to: &TcpStream, bytes: &[u8]) -> Result<()> {
    from.write_all(bytes)?;
    receive(to, bytes.len())
}

/// Reads so many bytes.
pub(super) fn receive(mut stream: &TcpStream, count: usize) -> Result<()> {
    Ok(stream.read_exact(&mut vec![0; count])?)
}

/// Closes with a reset.
pub(super) fn reset(stream: TcpStream) -> Result<()> {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream.as_fd(), sockopt::Linger, &at_once)?;
    drop(stream);
    // Its other end has it by now, as far as the kernel is concerned.
    thread::sleep(Duration::from_millis(20));
    Ok(())
}

/// A request of this line and further fields, which end in CRLF each.
pub(super) fn request(line: &str, fields: &str) -> Vec<u8> {
    format!("{line}\r\nHost: h\r\n{fields}\r\n").into_bytes()
}

/// An answer whose length is declared.
pub(super) fn answer(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Reason\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}
