//! A client of the plainest kind: it measures others and mustn't cost much itself.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// So that a server that hangs fails the benchmark, and doesn't hang it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// One request on a connection of its own. HTTP/1.0, so that the body ends with the connection.
pub(super) fn get(address: SocketAddr, path: &str) -> io::Result<Response> {
    let mut connection = Connection::open(address)?;
    connection.send(&format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"))?;
    let head = connection.head()?;
    let mut body = Vec::new();
    connection.stream.read_to_end(&mut body)?;
    Ok(Response {
        status: head.status,
        body,
    })
}

/// A connection that is kept alive.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

struct Head {
    status: u16,
    content_length: usize,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self {
            stream: BufReader::new(stream),
            address,
        })
    }

    /// The connection itself.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
    }

    /// A request without a body, and its answer to the last byte.
    pub(super) fn exchange(&mut self, method: &str, path: &str) -> io::Result<Response> {
        let address = self.address;
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"
        ))?;
        let head = self.head()?;
        let mut body = vec![0; head.content_length];
        self.stream.read_exact(&mut body)?;
        Ok(Response {
            status: head.status,
            body,
        })
    }

    fn send(&mut self, request: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(request.as_bytes())
    }

    fn head(&mut self) -> io::Result<Head> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| invalid("no status line"))?;
        let mut content_length = 0;
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(invalid("the head has no end"));
            }
            let Some((name, value)) = line.trim_end().split_once(':') else {
                return Ok(Head {
                    status,
                    content_length,
                });
            };
            if name.eq_ignore_ascii_case("content-length") {
                content_length = value.trim().parse().map_err(|_| invalid("bad length"))?;
            }
        }
    }
}
