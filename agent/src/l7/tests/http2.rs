//! HTTP/2, frame by frame.

mod calls;
mod ends;
mod grpc;
mod heads;
mod late;
mod opening;
mod random;
mod real;
mod tap;

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// `:method: GET`, `:scheme: http`, `:path: /`, by the static table.
const GET_ROOT: [u8; 3] = [0x82, 0x86, 0x84];
/// `:method: POST`, `:scheme: http`.
const POST: [u8; 2] = [0x83, 0x86];
/// `:status: 200`.
const OK_200: [u8; 1] = [0x88];

fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A literal field; `form` is 0x40 with and 0 without insertion into the dynamic table.
fn literal(form: u8, name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![form];
    for text in [name, value] {
        bytes.push(u8::try_from(text.len()).expect("short"));
        bytes.extend(text.as_bytes());
    }
    bytes
}

fn field(name: &str, value: &str) -> Vec<u8> {
    literal(0, name, value)
}

fn inserted(name: &str, value: &str) -> Vec<u8> {
    literal(0x40, name, value)
}

/// A whole request without a body.
fn ask(stream: u32, path: &str) -> Vec<u8> {
    let block = [&[0x82, 0x86][..], &field(":path", path)].concat();
    frame(HEADERS, END_STREAM | END_HEADERS, stream, block)
}

/// A head that says only which status it has.
fn head(stream: u32, status: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, field(":status", status))
}

fn data(stream: u32, length: usize) -> Vec<u8> {
    frame(DATA, 0, stream, vec![b'x'; length])
}

fn last_data(stream: u32, length: usize) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, vec![b'x'; length])
}

fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, [])
}

/// A connection after both prefaces, as the server sees it.
fn opened() -> Script {
    Script::new(1)
        .receive([PREFACE, &settings()].concat())
        .send(settings())
}

/// Path, status and failure of each exchange.
fn lines(exchanges: &[Exchange]) -> Vec<String> {
    exchanges
        .iter()
        .map(|exchange| {
            let status = exchange.status.map_or("-".into(), |s| s.to_string());
            let failure = exchange.failure.map_or("", Failure::as_str);
            let line = format!("{} {status} {failure}", exchange.path);
            line.trim_end().to_owned()
        })
        .collect()
}
