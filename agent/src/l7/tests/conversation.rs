//! Generated conversations: pairs of a request and its answer, how they are split into reads and
//! writes, and what must hold of whatever is told of them.

use proptest::{prelude::*, sample::Index};
use sonde_common::event::http::Direction::{self, Receive, Send};

use super::*;

/// How a generated message's body is framed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    None,
    Length(usize),
    Chunked(usize, usize),
}

#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) number: usize,
    pub(super) ask: Body,
    pub(super) answer: Body,
    pub(super) interim: bool,
}

pub(super) fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        Just(Body::None),
        (0..600_usize).prop_map(Body::Length),
        (1..300_usize, 0..4_usize).prop_map(|(size, count)| Body::Chunked(size, count)),
    ]
}

pub(super) fn pair() -> impl Strategy<Value = Pair> {
    (body(), body(), any::<bool>()).prop_map(|(ask, answer, interim)| Pair {
        number: 0,
        ask,
        answer,
        interim,
    })
}

/// Batches of requests, each batch answered before the next is sent.
pub(super) fn conversation(pipelined: usize) -> impl Strategy<Value = Vec<Vec<Pair>>> {
    let batch = prop::collection::vec(pair(), 1..=pipelined);
    prop::collection::vec(batch, 1..6).prop_map(|mut batches| {
        let all = batches.iter_mut().flatten();
        all.enumerate().for_each(|(at, pair)| pair.number = at);
        batches
    })
}

pub(super) fn framed(body: Body) -> (String, String) {
    // A body full of what looks like messages.
    let text = |size: usize| {
        GET.chars()
            .chain(OK.chars())
            .cycle()
            .take(size)
            .collect::<String>()
    };
    match body {
        Body::None => ("Content-Length: 0\r\n".into(), String::new()),
        Body::Length(size) => (format!("Content-Length: {size}\r\n"), text(size)),
        Body::Chunked(size, count) => {
            let chunk = format!("{size:x};e=1\r\n{}\r\n", text(size));
            let body = format!("{}0\r\nX-Sum: 1\r\n\r\n", chunk.repeat(count));
            ("Transfer-Encoding: chunked\r\n".into(), body)
        }
    }
}

pub(super) fn payload(body: Body) -> u64 {
    match body {
        Body::None => 0,
        Body::Length(size) => size as u64,
        Body::Chunked(size, count) => (size * count) as u64,
    }
}

impl Pair {
    pub(super) fn path(&self) -> String {
        format!("/{}", self.number)
    }

    pub(super) fn status(&self) -> u16 {
        u16::try_from(400 + self.number).expect("few pairs")
    }

    pub(super) fn ask_bytes(&self) -> String {
        let (field, body) = framed(self.ask);
        format!(
            "POST {} HTTP/1.1\r\nHost: shop.test\r\n{field}\r\n{body}",
            self.path()
        )
    }

    pub(super) fn answer_bytes(&self) -> String {
        let (field, body) = framed(self.answer);
        let interim = if self.interim {
            "HTTP/1.1 100 Continue\r\n\r\n"
        } else {
            ""
        };
        format!("{interim}HTTP/1.1 {} X\r\n{field}\r\n{body}", self.status())
    }
}

/// Moves `bytes` in pieces, cut where `cuts` say.
pub(super) fn pieces(mut script: Script, way: Direction, bytes: &str, cuts: &[Index]) -> Script {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    for end in ends {
        script = script.moved(way, &bytes.as_bytes()[start..end]);
        start = end;
    }
    script
}

pub(super) fn write(script: Script, batches: &[Vec<Pair>], cuts: &[Vec<Index>]) -> Script {
    let mut cuts = cuts.iter().cycle();
    let mut next = || cuts.next().map_or(&[][..], Vec::as_slice);
    batches.iter().fold(script, |script, batch| {
        let asks: String = batch.iter().map(Pair::ask_bytes).collect();
        let answers: String = batch.iter().map(Pair::answer_bytes).collect();
        let script = pieces(script, Receive, &asks, next());
        pieces(script, Send, &answers, next())
    })
}

pub(super) fn cuts() -> impl Strategy<Value = Vec<Vec<Index>>> {
    prop::collection::vec(prop::collection::vec(any::<Index>(), 0..8), 1..8)
}

/// Segments, one on a line, to understand a failure by.
pub(super) fn story<'a>(segments: impl Iterator<Item = crate::event::Segment<'a>>) -> String {
    let line = |segment: crate::event::Segment<'_>| {
        format!(
            "{:?} at {} {}: {:?} ... {:?}\n",
            segment.direction,
            segment.offset,
            segment.length,
            String::from_utf8_lossy(segment.head),
            String::from_utf8_lossy(segment.tail),
        )
    };
    segments.map(line).collect()
}

/// No exchange joins one pair's request with another's answer.
pub(super) fn never_mixed(exchanges: &[Exchange], script: &Script) -> Result<(), TestCaseError> {
    for exchange in exchanges {
        // Of a cut request line, the path is not known.
        if let (Ok(number), Some(status)) = (
            exchange.path.trim_start_matches('/').parse::<u16>(),
            exchange.status,
        ) {
            prop_assert_eq!(status, 400 + number, "{}", story(script.segments()));
        }
        prop_assert!(exchange.end >= exchange.start);
    }
    Ok(())
}
