//! What the fuzz targets share: text of a corpus to conversations, and the laws that hold whatever
//! they say.
//!
//! A conversation is written down as pieces between tildes. A piece's first byte says what
//! happens, the rest is what is read or written:
//!
//! | first byte | |
//! |---|---|
//! | `<` | these bytes are read |
//! | `>` | these bytes are written |
//! | `(`, `)` | so many bytes (a number) are read, written, and not captured |
//! | `[`, `]` | the record of so many bytes that are read, written is lost |
//! | `k` | of each read or write, so much is captured: front and end, two numbers |
//! | `n` | as much is captured as the kernel side does |
//! | `w` | so many milliseconds pass |
//! | `e`, `E` | the peer, this side, sends no more |
//! | `r`, `c` | the connection is reset, closed |
//! | `l` | as a first piece: the connection was open before |

use std::{fmt::Debug, sync::LazyLock, time::Duration};

use sonde::l7::{
    Connections, Limits, counters::Counters, exchange::Exchange, headers::Selection, script::Script,
};
use sonde_common::event::http::Direction;

/// Made once: the names of its attributes stay in memory.
static SELECTION: LazyLock<Selection> =
    LazyLock::new(|| Selection::new(&["x-request-id", "cookie"], &["server"], &["x-mine"]));

/// Longest read or write that isn't captured.
const LONGEST: usize = 1 << 24;

/// What stands for the bytes of a piece.
pub type Change = dyn Fn(Direction, &[u8]) -> Vec<u8>;

/// Holds a conversation over HTTP/2 to the laws of [`check`] and [`check_splits`]. `change` is made
/// anew for each telling of it.
pub fn check_all(text: &[u8], change: impl Fn() -> Box<Change>) {
    let whole = script(text, usize::MAX, &*change());
    check(&whole);
    if is_told_by_bytes_alone(text) {
        check_splits(&whole, &script(text, 1, &*change()));
    }
}

/// Whether nothing but bytes tells what a conversation says. Where reads and writes begin is looked
/// at, too: for the beginning of HTTP/2, by whoever speaks first, and where a body that was offered
/// would begin (see `l7/connection/mod.rs`).
fn is_told_by_bytes_alone(text: &[u8]) -> bool {
    let only_bytes = text
        .split(|byte| *byte == b'~')
        .all(|piece| matches!(piece.first(), None | Some(b'<' | b'>')));
    only_bytes
        && text.starts_with(b"<")
        && [&b"100-continue"[..], b"PRI * HTTP/2"].iter().all(|word| {
            let mut windows = text.windows(word.len());
            !windows.any(|window| window.eq_ignore_ascii_case(word))
        })
}

/// The conversation that a text spells; any text spells one. The bytes of each read and write go
/// through `change`, and are moved in pieces of `size` at most.
#[must_use]
pub fn script(text: &[u8], size: usize, change: &Change) -> Script {
    let mut script = Script::new(1);
    for piece in text.split(|byte| *byte == b'~') {
        let Some((first, rest)) = piece.split_first() else {
            continue;
        };
        script = match first {
            b'<' => moved(script, Direction::Receive, rest, size, change),
            b'>' => moved(script, Direction::Send, rest, size, change),
            b'(' => script.opaque(Direction::Receive, number(rest)),
            b')' => script.opaque(Direction::Send, number(rest)),
            b'[' => script.lost(Direction::Receive, number(rest)),
            b']' => script.lost(Direction::Send, number(rest)),
            b'k' => {
                let mut sizes = rest.split(|byte| *byte == b' ').map(number);
                script.capture(sizes.next().unwrap_or(0), sizes.next().unwrap_or(0))
            }
            b'n' => script.captured_as_by_the_kernel(),
            b'w' => script.wait(nanoseconds(number(rest))),
            b'e' => script.end(Direction::Receive),
            b'E' => script.end(Direction::Send),
            b'r' => script.reset(),
            b'c' => script.close(),
            b'l' => script.late(),
            _ => script,
        };
    }
    script
}

fn moved(script: Script, way: Direction, rest: &[u8], size: usize, change: &Change) -> Script {
    let bytes = change(way, rest);
    let pieces = bytes.chunks(size);
    pieces.fold(script, |script, piece| script.moved(way, piece))
}

fn number(text: &[u8]) -> usize {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    let value = digits.fold(0_usize, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'))
    });
    value.min(LONGEST)
}

fn nanoseconds(milliseconds: usize) -> u64 {
    u64::try_from(Duration::from_millis(milliseconds as u64).as_nanos()).unwrap_or(u64::MAX)
}

/// Plays a conversation on a table with small limits, as seen from both ends, and checks that
/// requests are conserved, that exchanges make sense and that nothing is held on to.
///
/// # Panics
///
/// When one of the laws is broken.
pub fn check(script: &Script) {
    for script in [script.clone(), script.clone().mirrored()] {
        let limits = Limits {
            max_head: 8 * 1024,
            max_pipeline: 8,
            ..Limits::default()
        };
        let mut table = Connections::with_headers(limits, SELECTION.clone());
        let mut told = script.play(&mut table);
        conserves(&table, told.len());
        table.expire(script.now() + nanoseconds(3_600_000), &mut |exchange| {
            told.push(exchange.clone());
        });
        conserves(&table, told.len());
        assert_eq!(table.in_flight(), 0, "an hour of silence later");
        told.iter().for_each(makes_sense);
    }
}

/// Checks that a conversation in which nothing was found wrong, and every request answered, gives
/// the same exchanges when it is split.
///
/// # Panics
///
/// When it doesn't.
pub fn check_splits(whole: &Script, split: &Script) {
    for (whole, split) in [
        (whole.clone(), split.clone()),
        (whole.clone().mirrored(), split.clone().mirrored()),
    ] {
        let (expected, counters) = to_the_end(whole);
        let mut clean = Counters::default();
        clean.requests = counters.requests;
        clean.exchanges = counters.exchanges;
        let is_answered =
            |exchange: &Exchange| exchange.failure.is_none() && exchange.response_body.is_some();
        if counters == clean && expected.iter().all(is_answered) {
            let (found, _) = to_the_end(split);
            let [expected, found] =
                [expected, found].map(|all| all.iter().map(essence).collect::<Vec<_>>());
            assert_eq!(expected, found);
        }
    }
}

/// What a conversation gives when its connection is closed after it, and nothing is waited for any
/// more.
fn to_the_end(script: Script) -> (Vec<Exchange>, Counters) {
    let mut table = Connections::new(Limits::default());
    let script = script.close();
    let mut told = script.play(&mut table);
    table.expire(script.now() + nanoseconds(3_600_000), &mut |exchange| {
        told.push(exchange.clone());
    });
    (told, table.counters().clone())
}

/// What of an exchange doesn't depend on how its bytes were split.
fn essence(exchange: &Exchange) -> impl PartialEq + Debug + use<> {
    (
        (exchange.role, exchange.method, exchange.path.clone()),
        (exchange.host.clone(), exchange.status, exchange.failure),
        [exchange.request_body, exchange.response_body],
    )
}

/// `requests == exchanges + dropped + in flight`.
fn conserves(table: &Connections, told: usize) {
    let counters = table.counters();
    assert_eq!(counters.exchanges, told as u64);
    assert_eq!(
        counters.requests,
        counters.exchanges + counters.dropped_in_all() + table.in_flight() as u64,
        "{counters:?}"
    );
    assert!(
        table.buffered() <= 2 * 8 * 1024,
        "{} bytes",
        table.buffered()
    );
}

fn makes_sense(exchange: &Exchange) {
    assert!(exchange.end >= exchange.start, "{exchange:?}");
    assert!(
        exchange
            .response_start
            .is_none_or(|start| start <= exchange.end),
        "{exchange:?}"
    );
    assert!(
        exchange
            .status
            .is_none_or(|status| (100..1000).contains(&status)),
        "{exchange:?}"
    );
    assert!(!exchange.path.contains(['?', '#']), "{exchange:?}");
    let host = exchange.host.as_deref().unwrap_or_default();
    assert!(!host.contains('@'), "{exchange:?}");
    let headers = [&exchange.request_headers, &exchange.response_headers];
    for header in headers.into_iter().flat_map(|headers| headers.as_slice()) {
        let masked = header.attribute.ends_with(".cookie");
        assert!(!masked || header.values.iter().all(|value| &**value == "REDACTED"));
    }
}
