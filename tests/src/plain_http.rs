//! A client that sends exactly the bytes a test says, and reads an HTTP/1.1 answer apart.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A hung test says so instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// As sent, without the status line.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads one answer that has a `content-length`; `bodiless` for the answer to HEAD.
    pub fn read(stream: &mut impl Read, bodiless: bool) -> io::Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend_from_slice(&byte);
        }
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let (line, head) = head.split_once("\r\n").ok_or(io::ErrorKind::InvalidData)?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        let mut answer = Self {
            status,
            head: head.to_owned(),
            body: Vec::new(),
        };
        let length = answer
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        if !bodiless {
            answer.body.resize(length, 0);
            stream.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A request without a body, on a stream that stays open. `headers` are whole lines without their ends.
pub fn ask(
    stream: &mut (impl Read + Write),
    method: &str,
    path: &str,
    headers: &[&str],
) -> io::Result<Answer> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    Answer::read(stream, method == "HEAD")
}

/// One GET on a connection of its own.
pub fn get(address: SocketAddr, path: &str, headers: &[&str]) -> io::Result<Answer> {
    ask(&mut connect(address)?, "GET", path, headers)
}
