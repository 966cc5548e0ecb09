//! One GET over HTTP/1.1, bounded in time and size.
//!
//! Boundary: no TLS, no compression, no redirects: an observer's own endpoint needs none of them.

use std::io::{self, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use super::{Error, Url};
use crate::metrics::settings::DEFAULT_MAX_SERIES;

/// A line of a page; some 140 where names are not long.
const SERIES_BYTES: usize = 200;
/// Whoever raised the daemon's ceiling of series tenfold still fits: 100 MB.
pub const MAX_RESPONSE: usize = 10 * DEFAULT_MAX_SERIES * SERIES_BYTES;
/// An alert of TLS 1.x (RFC 8446, 5.1): what a server that expects TLS answers to anything else.
const TLS_ALERT: [u8; 2] = [21, 3];
/// What servers accept as a head is half of this.
const MAX_HEAD: usize = 16 << 10;
/// For the whole exchange: a scrape takes some ms, and nobody looks longer at a screen that stands still.
const MAX_EXCHANGE: Duration = Duration::from_secs(5);

pub fn get(url: &Url) -> Result<Vec<u8>, Error> {
    let end = Instant::now() + MAX_EXCHANGE;
    let mut stream = connect(url, end)?;
    stream.set_write_timeout(Some(left(end)?))?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: observer-top/{}\r\nAccept: text/plain;version=0.0.4\r\n\
         Connection: close\r\n\r\n",
        url.path(),
        url.authority(),
        env!("CARGO_PKG_VERSION")
    );
    stream.write_all(request.as_bytes())?;
    decode(&read(&mut stream, end)?)
}

fn connect(url: &Url, end: Instant) -> Result<TcpStream, Error> {
    let mut last = Error::Resolve(io::ErrorKind::NotFound.into());
    for address in url.host().to_socket_addrs().map_err(Error::Resolve)? {
        match TcpStream::connect_timeout(&address, left(end)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

fn left(end: Instant) -> Result<Duration, Error> {
    match end.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(Error::TimedOut),
        left => Ok(left),
    }
}

/// To the end of the connection, which was asked to be that of the answer.
fn read(stream: &mut TcpStream, end: Instant) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        // Anew for each piece, so that drops of bytes do not stretch the whole.
        stream.set_read_timeout(Some(left(end)?))?;
        let length = match stream.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A connection is reset where the request was not read to its end; the reason came before.
            Err(_) if bytes.starts_with(&TLS_ALERT) => return Ok(bytes),
            Err(error) => return Err(error.into()),
        };
        if bytes.len() + length > MAX_RESPONSE {
            return Err(Error::TooLarge);
        }
        bytes.extend(piece.iter().take(length));
    }
}

#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
    ToTheEnd,
}

/// The body of a whole answer.
fn decode(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    if bytes.starts_with(&TLS_ALERT) {
        return Err(Error::Tls);
    }
    let end = bytes
        .windows(4)
        .take(MAX_HEAD)
        .position(|window| window == b"\r\n\r\n")
        .ok_or(Error::Protocol("its head has no end"))?;
    let (head, rest) = bytes.split_at(end);
    let body = rest.get(4..).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| Error::Protocol("its head is not text"))?;
    let mut lines = head.split("\r\n");
    match status(lines.next().unwrap_or_default())? {
        200 => {}
        code @ (401 | 403) => return Err(Error::Unauthorized(code)),
        code => return Err(Error::Status(code)),
    }
    match framing(lines)? {
        Framing::Length(length) => body
            .get(..length)
            .map(<[u8]>::to_vec)
            .ok_or(Error::Protocol("it ends too early")),
        Framing::Chunked => dechunk(body).ok_or(Error::Protocol("its chunks are broken")),
        Framing::ToTheEnd => Ok(body.to_vec()),
    }
}

fn status(line: &str) -> Result<u16, Error> {
    let rest = line
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| line.strip_prefix("HTTP/1.0 "))
        .ok_or(Error::Protocol("it does not begin with a status line"))?;
    let code = rest.split(' ').next().filter(|code| code.len() == 3);
    code.and_then(|code| code.parse().ok())
        .ok_or(Error::Protocol("its status is not a number"))
}

fn framing<'a>(fields: impl Iterator<Item = &'a str>) -> Result<Framing, Error> {
    let mut framing = Framing::ToTheEnd;
    for field in fields {
        let (name, value) = field
            .split_once(':')
            .ok_or(Error::Protocol("a header field has no colon"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let length = value
                .parse()
                .map_err(|_| Error::Protocol("its length is not a number"))?;
            framing = Framing::Length(length);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(Error::Protocol("its transfer encoding is unknown"));
            }
            // It overrides a length (RFC 9112, 6.3).
            return Ok(Framing::Chunked);
        } else if name.eq_ignore_ascii_case("content-encoding") && !value.eq_ignore_ascii_case("identity") {
            return Err(Error::Protocol("it is compressed, which was not asked for"));
        }
    }
    Ok(framing)
}

fn dechunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let (line, rest) = bytes.split_at(end);
        let line = std::str::from_utf8(line).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let chunk = rest.get(2..)?;
        body.extend(chunk.get(..size)?);
        bytes = chunk.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(answer: &str, expected: Result<&str, &str>) {
        let decoded = decode(answer.as_bytes()).map(|body| String::from_utf8(body).expect("text"));
        match (decoded, expected) {
            (Ok(body), Ok(expected)) => assert_eq!(body, expected),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error} is not {expected}");
            }
            (decoded, _) => panic!("{answer:?}: {decoded:?}"),
        }
    }

    #[test]
    fn bodies() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", Ok("ab"));
        check("HTTP/1.0 200 OK\r\n\r\nab", Ok("ab"));
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nA;x\r\n0123456789\r\n0\r\n\r\n",
            Ok("ab0123456789"),
        );
    }

    #[test]
    fn refusals() {
        check("", Err("its head has no end"));
        check("\x15\x03\x03\0\x02\x02\x32", Err("it speaks TLS"));
        check("SSH-2.0\r\n\r\n", Err("status line"));
        check("HTTP/1.1 2000\r\n\r\n", Err("status is not a number"));
        check("HTTP/1.1 401 Unauthorized\r\n\r\n", Err("password"));
        check("HTTP/1.1 404 Not Found\r\n\r\n", Err("HTTP 404"));
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Err("too early"));
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nab",
            Err("length is not"),
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            Err("unknown"),
        );
        check(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
            Err("compressed"),
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            Err("chunks"),
        );
    }

    proptest! {
        #[test]
        fn any_answer_is_decoded_or_refused(bytes: Vec<u8>) {
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            let _ = decode(&bytes);
            answer.extend(bytes);
            let _ = decode(&answer);
        }
    }
}
