//! HTTP/1.1 messages: written out of a plan, and read back.

use std::{io::Read, thread, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};

use super::plan::{Framing, Plan};

/// Bytes of one chunk of a request.
const CHUNK: usize = 4_000;
/// How often a slow reader pauses.
const PAUSES: u32 = 8;

/// A request's head.
pub(super) fn head(plan: &Plan, host: &str) -> Vec<u8> {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: oracle\r\nAccept: */*\r\n",
        plan.method,
        plan.target()
    );
    if let Some(payload) = plan.request {
        let length = payload.size;
        match payload.framing {
            Framing::Length => head.extend(["Content-Length: ", &length.to_string(), "\r\n"]),
            Framing::Chunked => head += "Transfer-Encoding: chunked\r\n",
        }
    }
    if plan.expect {
        head += "Expect: 100-continue\r\n";
    }
    if plan.last {
        head += "Connection: close\r\n";
    }
    head += "\r\n";
    head.into_bytes()
}

/// A request's body, as it goes over the wire.
pub(super) fn body(plan: &Plan) -> Vec<u8> {
    let Some(payload) = plan.request else {
        return Vec::new();
    };
    let whole = vec![b'b'; payload.size];
    if payload.framing == Framing::Length {
        return whole;
    }
    let mut framed = Vec::with_capacity(whole.len() + 64);
    for chunk in whole.chunks(CHUNK) {
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}

/// An answer, as far as the oracle has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Bytes of its body.
    pub(super) body: u64,
}

/// How fast answers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Fast,
    /// Some bytes, a pause, and so on.
    Slow,
}

/// Reads answers from a connection.
#[derive(Debug)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    at: usize,
    pauses: u32,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            buffer: Vec::new(),
            at: 0,
            pauses: 0,
        }
    }

    /// The next answer, interim ones included, to a request of this method.
    pub(super) fn answer(
        &mut self,
        stream: &mut impl Read,
        method: &str,
        pace: Pace,
    ) -> Result<Answer> {
        self.pauses = 0;
        let head = self.head(stream, pace)?;
        let status: u16 = head
            .get(9..12)
            .and_then(|digits| digits.parse().ok())
            .with_context(|| format!("no status in {head:?}"))?;
        let field = |name: &str| {
            head.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(held, _)| held.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
        };
        let body = if method == "HEAD" || status < 200 || matches!(status, 204 | 304) {
            0
        } else if field("transfer-encoding").is_some() {
            self.chunked(stream, pace)?
        } else {
            let length = field("content-length").context("an answer without framing")?;
            let length: usize = length.parse()?;
            self.pass(stream, length, pace)?;
            length as u64
        };
        Ok(Answer { status, body })
    }

    /// Nothing is left of what was read.
    pub(super) fn is_empty(&self) -> bool {
        self.at == self.buffer.len()
    }

    fn head(&mut self, stream: &mut impl Read, pace: Pace) -> Result<String> {
        loop {
            let rest = &self.buffer[self.at..];
            if let Some(end) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = String::from_utf8(rest[..end].to_vec())?;
                self.at += end + 4;
                return Ok(head);
            }
            ensure!(rest.len() < 65_536, "a head without an end");
            self.fill(stream, pace)?;
        }
    }

    fn chunked(&mut self, stream: &mut impl Read, pace: Pace) -> Result<u64> {
        let mut body = 0;
        loop {
            let line = self.line(stream, pace)?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16)?;
            if size == 0 {
                while !self.line(stream, pace)?.is_empty() {}
                return Ok(body);
            }
            self.pass(stream, size + 2, pace)?;
            body += size as u64;
        }
    }

    fn line(&mut self, stream: &mut impl Read, pace: Pace) -> Result<String> {
        loop {
            let rest = &self.buffer[self.at..];
            if let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
                let line = String::from_utf8(rest[..end].to_vec())?;
                self.at += end + 2;
                return Ok(line);
            }
            self.fill(stream, pace)?;
        }
    }

    /// Passes over so many bytes.
    pub(super) fn pass(
        &mut self,
        stream: &mut impl Read,
        mut count: usize,
        pace: Pace,
    ) -> Result<()> {
        loop {
            let here = count.min(self.buffer.len() - self.at);
            self.at += here;
            count -= here;
            if count == 0 {
                return Ok(());
            }
            self.fill(stream, pace)?;
        }
    }

    fn fill(&mut self, stream: &mut impl Read, pace: Pace) -> Result<()> {
        let most = match pace {
            Pace::Slow if self.pauses < PAUSES => {
                self.pauses += 1;
                thread::sleep(Duration::from_micros(300));
                2_000
            }
            _ => 65_536,
        };
        self.buffer.drain(..self.at);
        self.at = 0;
        let held = self.buffer.len();
        self.buffer.resize(held + most, 0);
        let count = stream.read(&mut self.buffer[held..])?;
        self.buffer.truncate(held + count);
        if count == 0 {
            bail!("the end, within an answer");
        }
        Ok(())
    }
}
