//! Connections whose bytes are written down beforehand, where the way in which they are opened is what matters.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use rustix::net::Shutdown;

use super::random::Random;
use super::tap::End;
use super::wire::Recording;

/// The bytes of an HTTP/2 client (with preface) or server: settings, then `calls` calls with random header blocks.
pub fn http2(client: bool, calls: u32, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = if client {
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()
    } else {
        Vec::new()
    };
    frame(&mut bytes, 4, 0, 0, &[0, 3, 0, 0, 0, 100]);
    for stream in (1..).step_by(2).take(calls as usize) {
        let (block, body) = (random.below(300), random.below(500));
        frame(&mut bytes, 1, 4, stream, &random.bytes(block + 1));
        frame(&mut bytes, 0, u8::from(client), stream, &random.bytes(body));
        if !client {
            frame(&mut bytes, 1, 5, stream, &random.bytes(20));
        }
    }
    bytes
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    bytes.extend([a, b, c, kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
}

/// One end's part: `sent` bytes have been sent already, the rest of `bytes` is now, then the other end is heard
/// out. Both are recorded.
pub fn converse(mut stream: TcpStream, bytes: &[u8], sent: usize, chunk: usize) -> io::Result<End> {
    let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
    stream.set_nodelay(true)?;
    let mut listener = stream.try_clone()?;
    let hear = std::thread::spawn(move || -> io::Result<Recording> {
        let (mut received, mut buffer) = (Recording::default(), vec![0; 1 << 16]);
        loop {
            match listener.read(&mut buffer)? {
                0 => return Ok(received),
                read => received.feed(&buffer[..read]),
            }
        }
    });
    for piece in bytes[sent..].chunks(chunk) {
        stream.write_all(piece)?;
    }
    rustix::net::shutdown(&stream, Shutdown::Write)?;
    let mut recording = Recording::default();
    recording.feed(bytes);
    let received = hear
        .join()
        .map_err(|_| io::Error::other("the reading thread has panicked"))??;
    Ok(End {
        local,
        remote,
        sent: recording,
        received,
    })
}
