//! From the first byte of a connection to its first frame: preface, PROXY headers, and the way out of HTTP/1.

use super::head::HEAD;
use super::opening::{Opening, PREFACE, judge, preface_byte};
use super::{HEAD_LENGTH, Shared, Source, Tell, Walk, What, phase, settle, take_byte};
use crate::loss::Loss;
use crate::record::{Direction, Protocol};

/// Longest PROXY line (its specification, section 2.1).
const MAX_PROXY_LINE: u8 = 107;

/// The phases between the first nine bytes of a connection and its first frame: byte by byte, for they are rare
/// and short.
#[inline(always)]
pub(super) fn before_frames<S: Source>(
    walk: &mut Walk,
    shared: &mut Shared,
    direction: Direction,
    source: &S,
    at: u32,
) -> Tell {
    let Some([byte]) = source.load::<1>(at) else {
        return settle(walk, shared, Protocol::Other, source);
    };
    walk.next = walk.next.wrapping_add(1);
    match walk.phase {
        phase::PREFACE => preface(walk, shared, direction, source, byte),
        phase::PROXY_LINE => {
            walk.held += 1;
            if byte == b'\n' {
                walk.held = 0;
                walk.phase = phase::OPENING;
            } else if walk.held > MAX_PROXY_LINE {
                return settle(walk, shared, Protocol::Other, source);
            }
            Tell::NOTHING
        }
        phase::PROXY_BINARY => {
            walk.held += 1;
            // Bytes 14 and 15 of the head are the length of what follows it.
            walk.length = (walk.length << 8 | u32::from(byte)) & 0xffff;
            if walk.held == 16 {
                walk.held = 0;
                walk.phase = phase::OPENING;
                walk.next = walk.next.wrapping_add(walk.length);
            }
            Tell::NOTHING
        }
        phase::STATUS => {
            // "101" at 9 to 11 of "HTTP/1.1 101 Switching Protocols".
            let expected = if walk.held == 10 { b'0' } else { b'1' };
            if byte != expected {
                return settle(walk, shared, Protocol::Http1, source);
            }
            walk.held += 1;
            if walk.held == 12 {
                walk.held = 0;
                walk.phase = phase::UPGRADE;
            }
            Tell::NOTHING
        }
        _ => {
            let expected = if walk.held & 1 == 0 { b'\r' } else { b'\n' };
            walk.held = match byte {
                b if b == expected => walk.held + 1,
                b'\r' => 1,
                _ => 0,
            };
            if walk.held < 4 {
                return Tell::NOTHING;
            }
            walk.held = 0;
            walk.phase = phase::HEAD;
            Tell {
                what: What::Reopen,
                ..Tell::NOTHING
            }
        }
    }
}

#[inline(always)]
fn preface<S: Source>(
    walk: &mut Walk,
    shared: &mut Shared,
    direction: Direction,
    source: &S,
    byte: u8,
) -> Tell {
    if byte != preface_byte(u32::from(walk.held)) {
        return settle(walk, shared, Protocol::Other, source);
    }
    walk.held += 1;
    if (walk.held as usize) < PREFACE.len() {
        return Tell::NOTHING;
    }
    walk.held = 0;
    walk.phase = phase::HEAD;
    shared.protocol = Protocol::Http2 as u8;
    shared.requests = direction as u8 + 1;
    Tell::PROTOCOL
}

#[inline(always)]
pub(super) fn open<S: Source>(walk: &mut Walk, shared: &mut Shared, source: &S, at: u32, left: u32) -> Tell {
    let whole = if walk.held == 0 && left >= HEAD_LENGTH {
        source.load::<HEAD>(at).map(|bytes| (bytes, HEAD_LENGTH))
    } else {
        take_byte(walk, source, at).map(|bytes| (bytes, 1))
    };
    let (bytes, taken) = match whole {
        Some(taken) => taken,
        None if walk.held >= 4 => (walk.head, 0),
        None => return Tell::NOTHING,
    };
    let held = if taken == 0 {
        u32::from(walk.held)
    } else {
        HEAD_LENGTH
    };
    let opening = judge(bytes, held);
    if opening == Opening::Incomplete || (opening == Opening::Http1Response && held < HEAD_LENGTH) {
        return Tell::NOTHING;
    }
    if opening == Opening::Settings {
        // A server that speaks first: the nine bytes are a frame head, which is taken again.
        walk.phase = phase::HEAD;
        return Tell::NOTHING;
    }
    walk.next = walk.next.wrapping_add(taken);
    walk.length = 0;
    // All that goes on from here has been told by nine bytes.
    walk.held = HEAD_LENGTH as u8;
    walk.phase = match opening {
        Opening::Preface => phase::PREFACE,
        Opening::ProxyLine => phase::PROXY_LINE,
        Opening::ProxyBinary => phase::PROXY_BINARY,
        Opening::Http1Response if shared.protocol == Protocol::Http1 as u8 => phase::STATUS,
        Opening::Http1Request if !shared.is_http2() => {
            walk.next = source.end();
            // An upgrade opens this direction anew.
            walk.held = 0;
            walk.phase = phase::IGNORE;
            shared.protocol = Protocol::Http1 as u8;
            return Tell::PROTOCOL;
        }
        _ if shared.is_http2() => {
            walk.lose(source.end());
            return Tell::gap(Loss::ImplausibleFrame);
        }
        Opening::Tls => return settle(walk, shared, Protocol::Tls, source),
        Opening::Http1Response => return settle(walk, shared, Protocol::Http1, source),
        _ => return settle(walk, shared, Protocol::Other, source),
    };
    Tell::NOTHING
}
