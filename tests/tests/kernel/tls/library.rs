//! The library: its functions have C's calling convention and are never inlined.

use std::{
    collections::VecDeque,
    fs,
    hint::black_box,
    io::{Read, Write as _},
    net::TcpStream,
};

use anyhow::{Context as _, Result, ensure};

/// Who moves records between the library and the socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The library, within its calls.
    Socket,
    /// The program, before and after them.
    Memory,
}

/// What a session's pointer points at.
struct State {
    socket: TcpStream,
    carrier: Carrier,
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
}

/// The program's end of a session.
pub(crate) struct Session(Box<State>);

const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// Programs and the functions that they are attached to.
pub(crate) const FUNCTIONS: &[(&str, *const ())] = &[
    ("tls_read", library_read as *const ()),
    ("tls_write", library_write as *const ()),
    ("tls_handshake", library_handshake as *const ()),
    ("tls_free", library_free as *const ()),
];

impl State {
    /// Puts a record on its way.
    fn put(&mut self, kind: u8, bytes: &[u8]) {
        let length = u16::try_from(bytes.len()).expect("a short record");
        let [high, low] = length.to_be_bytes();
        self.outgoing.extend_from_slice(&[kind, 3, 3, high, low]);
        self.outgoing.extend(bytes.iter().map(|byte| byte ^ 0x55));
        if self.carrier == Carrier::Socket {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let bytes = std::mem::take(&mut self.outgoing);
        self.socket.write_all(&bytes).expect("a connection");
    }

    fn fill(&mut self) {
        let mut buffer = [0; 8192];
        let count = self.socket.read(&mut buffer).expect("a connection");
        self.incoming.extend(&buffer[..count]);
    }

    /// The next record, once it is there.
    fn take(&mut self) -> Option<Vec<u8>> {
        let length = match (self.incoming.get(3), self.incoming.get(4)) {
            (Some(high), Some(low)) => usize::from(u16::from_be_bytes([*high, *low])),
            _ => 0,
        };
        if self.incoming.len() < 5 + length || self.incoming.is_empty() {
            if self.carrier == Carrier::Memory {
                return None;
            }
            self.fill();
            return self.take();
        }
        let record: Vec<u8> = self.incoming.drain(..5 + length).skip(5).collect();
        Some(record.iter().map(|byte| byte ^ 0x55).collect())
    }
}

#[inline(never)]
extern "C" fn library_read(state: &mut State, buffer: *mut u8, size: i32) -> i32 {
    let Some(record) = black_box(state).take() else {
        return -1;
    };
    let size = usize::try_from(size).unwrap_or(0);
    assert!(record.len() <= size, "room for a record");
    // SAFETY: the caller's buffer has `size` bytes.
    unsafe { buffer.copy_from_nonoverlapping(record.as_ptr(), record.len()) };
    i32::try_from(record.len()).unwrap_or(-1)
}

#[inline(never)]
extern "C" fn library_write(state: &mut State, buffer: *const u8, size: i32) -> i32 {
    let length = usize::try_from(size).unwrap_or(0);
    // SAFETY: the caller's buffer has `size` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(buffer, length) };
    black_box(state).put(DATA, bytes);
    size
}

/// Sends (`size` over 0) or takes a message of the handshake.
#[inline(never)]
extern "C" fn library_handshake(state: &mut State, size: i32) -> i32 {
    let state = black_box(state);
    if size > 0 {
        state.put(HANDSHAKE, b"hello");
        return 1;
    }
    i32::from(state.take().is_some())
}

#[inline(never)]
extern "C" fn library_free(state: &mut State) -> i32 {
    black_box(state).incoming.clear();
    black_box(1)
}

impl Session {
    pub(crate) fn new(socket: TcpStream, carrier: Carrier) -> Self {
        Self(Box::new(State {
            socket,
            carrier,
            incoming: VecDeque::new(),
            outgoing: Vec::new(),
        }))
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.0.socket
    }

    /// Another connection for the same memory.
    pub(crate) fn start_over(&mut self, socket: TcpStream) {
        self.0.socket = socket;
    }

    /// One message of the handshake, there (`speaks`) or here.
    pub(crate) fn handshake(&mut self, speaks: bool) -> Result<()> {
        self.before(!speaks);
        let done = library_handshake(&mut self.0, speaks.into());
        self.after();
        ensure!(done == 1, "no handshake");
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let count = library_write(&mut self.0, bytes.as_ptr(), i32::try_from(bytes.len())?);
        self.after();
        ensure!(usize::try_from(count)? == bytes.len(), "a short write");
        Ok(())
    }

    pub(crate) fn read(&mut self, size: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; size];
        self.before(true);
        let count = library_read(&mut self.0, buffer.as_mut_ptr(), i32::try_from(size)?);
        buffer.truncate(usize::try_from(count)?);
        Ok(buffer)
    }

    /// Tries to read where nothing has come.
    pub(crate) fn read_nothing(&mut self) -> bool {
        let mut buffer = [0; 16];
        library_read(&mut self.0, buffer.as_mut_ptr(), 16) < 0
    }

    fn before(&mut self, reads: bool) {
        if reads && self.0.carrier == Carrier::Memory {
            self.0.fill();
        }
    }

    fn after(&mut self) {
        if self.0.carrier == Carrier::Memory && !self.0.outgoing.is_empty() {
            self.0.flush();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        library_free(&mut self.0);
    }
}

/// Where a function of this program stands in its file.
pub(crate) fn as_offset(function: *const ()) -> Result<u64> {
    let address = function.addr() as u64;
    let maps = fs::read_to_string("/proc/self/maps")?;
    maps.lines()
        .find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (start, end) = words.next()?.split_once('-')?;
            let (start, end) = (hex(start)?, hex(end)?);
            let offset = hex(words.nth(1)?)?;
            (start..end)
                .contains(&address)
                .then(|| address - start + offset)
        })
        .context("a function outside of the program")
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}
