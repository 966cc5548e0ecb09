//! The first bytes of a connection: which protocol they open.
//!
//! A decision needs at most nine bytes (the length of a frame head), so nine is what is collected; protocols that
//! say less before they wait for an answer are decided by the first four.

use super::head::{HEAD, Head};
use crate::record::SETTINGS;

/// What every HTTP/2 client sends first (RFC 9113, section 3.4).
pub const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of one direction open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// More bytes are needed to tell.
    Incomplete,
    /// The first nine bytes of [`PREFACE`].
    Preface,
    /// A SETTINGS frame: a server that speaks before the client.
    Settings,
    /// PROXY protocol, version 1: a line of text, then the connection proper.
    ProxyLine,
    /// PROXY protocol, version 2: 16 bytes that end in a length, then the connection proper.
    ProxyBinary,
    Http1Request,
    Http1Response,
    Tls,
    Other,
}

/// Judges the first `held` bytes (4 at least; the rest of `bytes` is not looked at).
#[must_use]
#[inline(always)]
pub fn judge(bytes: [u8; HEAD], held: u32) -> Opening {
    let [a, b, c, d, ..] = bytes;
    let word = u32::from_be_bytes([a, b, c, d]);
    let complete = held as usize >= HEAD;
    match &word.to_be_bytes() {
        b"PRI " | b"PROX" | b"\r\n\r\n" if !complete => Opening::Incomplete,
        b"PRI " if eight(bytes, *b"PRI * HT") && bytes[8] == b'T' => Opening::Preface,
        b"PROX" if bytes[4] == b'Y' && bytes[5] == b' ' => Opening::ProxyLine,
        b"\r\n\r\n" if eight(bytes, *b"\r\n\r\n\0\r\nQ") => Opening::ProxyBinary,
        b"HTTP" => Opening::Http1Response,
        b"GET " | b"HEAD" | b"POST" | b"PUT " | b"DELE" | b"CONN" | b"OPTI" | b"TRAC" | b"PATC" => {
            Opening::Http1Request
        }
        // Handshake and alert records of TLS 1.x, the two that can come first.
        [0x15 | 0x16, 3, 0..=4, _] => Opening::Tls,
        [0, 0, _, SETTINGS] if !complete => Opening::Incomplete,
        [0, 0, _, SETTINGS] if Head::decode(bytes).plausible() => Opening::Settings,
        _ => Opening::Other,
    }
}

#[inline(always)]
fn eight(bytes: [u8; HEAD], expected: [u8; 8]) -> bool {
    let [first @ .., _] = bytes;
    u64::from_ne_bytes(first) == u64::from_ne_bytes(expected)
}

/// Byte `index` of the preface, without a table in memory (which a kernel program would have to bound).
#[must_use]
#[inline(always)]
pub fn preface_byte(index: u32) -> u8 {
    const WORDS: [u64; 3] = [
        u64::from_le_bytes(*b"PRI * HT"),
        u64::from_le_bytes(*b"TP/2.0\r\n"),
        u64::from_le_bytes(*b"\r\nSM\r\n\r\n"),
    ];
    let word = match index >> 3 {
        0 => WORDS[0],
        1 => WORDS[1],
        _ => WORDS[2],
    };
    (word >> ((index & 7) * 8)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expected: Opening) {
        let mut bytes = [0xee; HEAD];
        let held = text.len().min(HEAD);
        bytes[..held].copy_from_slice(&text[..held]);
        assert_eq!(judge(bytes, held as u32), expected, "{text:?}");
    }

    #[test]
    fn openings() {
        check(&PREFACE, Opening::Preface);
        check(b"PRI ", Opening::Incomplete);
        check(b"PRI * HT", Opening::Incomplete);
        check(b"PRI * GT/", Opening::Other);
        check(b"PROXY TCP4 1.2.3.4", Opening::ProxyLine);
        check(b"PROXIMITY", Opening::Other);
        check(b"\r\n\r\n\0\r\nQUIT\n", Opening::ProxyBinary);
        check(b"POST /x HTTP/1.1", Opening::Http1Request);
        check(b"HTTP/1.1 200", Opening::Http1Response);
        check(&[0x16, 3, 1, 2], Opening::Tls);
        check(&[0, 0, 0, 4, 0, 0, 0, 0, 0], Opening::Settings);
        check(&[0, 0, 12, 4, 0, 0], Opening::Incomplete);
        check(&[0, 0, 12, 4, 0, 0, 0, 0, 1], Opening::Other);
        check(b"*1\r\n$4", Opening::Other); // Redis
        check(&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], Opening::Other); // PostgreSQL SSLRequest
    }

    #[test]
    fn preface_bytes() {
        for (index, byte) in PREFACE.iter().enumerate() {
            assert_eq!(preface_byte(index as u32), *byte);
        }
    }
}
