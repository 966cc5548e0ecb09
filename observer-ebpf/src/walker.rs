//! The frame walker: follows one direction of a connection through its segments, from frame head to frame head,
//! and says what is worth telling. Bodies are skipped by arithmetic, never read.
//!
//! One code for both worlds: the kernel programs compile it over packets, `observer replay` and the tests over
//! slices. It takes one small [`step`] at a time because a kernel program must be shown to end; the caller loops.
//!
//! A position is a TCP sequence number, and all that is remembered between segments is the [`Walk`]. A segment that
//! lies wholly before `Walk::next` (sent again, or the inside of a skipped body) is of no interest, in whatever
//! order it comes; only one that begins behind `next` has to wait until the hole before it is filled. The caller
//! sees to that.

mod beginning;
pub mod head;
mod opening;
mod place;
mod search;
mod short;
pub mod slice;
mod tell;
#[cfg(test)]
mod tests;

use crate::loss::Loss;
use crate::record::{
    ACK, CONTINUATION, DATA, Direction, END_HEADERS, END_STREAM, GOAWAY, HEADERS, MAX_HEADER_BLOCK,
    MAX_PIECE, PUSH_PROMISE, Protocol, RST_STREAM, SETTINGS, delivered_length,
};
use beginning::{before_frames, open};
use head::{HEAD, Head};
use search::{landed, search};

pub use opening::PREFACE;
pub use place::{Shared, Walk, phase};
pub use search::{MAX_ATTEMPTS, MAX_SCAN};
pub use short::{SHORT_BLOCK, Short, is_short, short};
pub use tell::{Tell, What};

/// Bytes of one direction, in order, as far as they are at hand.
pub trait Source {
    /// Sequence number of the first byte.
    fn start(&self) -> u32;
    fn length(&self) -> u32;
    /// When they were seen, nanoseconds.
    fn time(&self) -> u64;
    /// `N` bytes at offset `at`; `None` only if they cannot be read although `at + N <= length()`.
    fn load<const N: usize>(&self, at: u32) -> Option<[u8; N]>;

    /// The frame head at offset `at`, as [`load`](Self::load).
    #[inline(always)]
    fn head(&self, at: u32) -> Option<Head> {
        Some(Head::decode(self.load::<HEAD>(at)?))
    }

    #[inline(always)]
    fn end(&self) -> u32 {
        self.start().wrapping_add(self.length())
    }
}

/// DATA of one stream is told at least this often, in bytes and in time, so that counters of long streams move.
const MAX_DATA_UNTOLD: u32 = 1 << 20;
const MAX_DATA_AGE: u64 = 1_000_000_000;
/// Of a frame's head, as all lengths here are counted.
pub const HEAD_LENGTH: u32 = 9;

/// One step of `walk` in `source`. Needs `source.start() <= walk.next`.
#[inline(always)]
pub fn step<S: Source>(walk: &mut Walk, shared: &mut Shared, direction: Direction, source: &S) -> Tell {
    if walk.in_frames() {
        step_frames(walk, shared, direction, source)
    } else {
        step_outside(walk, shared, direction, source)
    }
}

/// [`step`] for a walk that is in step with the frames.
#[inline(always)]
pub fn step_frames<S: Source>(
    walk: &mut Walk,
    shared: &mut Shared,
    direction: Direction,
    source: &S,
) -> Tell {
    let at = walk.next.wrapping_sub(source.start());
    let length = source.length();
    if at >= length {
        return Tell::DONE;
    }
    if walk.phase == phase::PAYLOAD {
        return payload(walk, at, length - at);
    }
    at_head(walk, shared, direction, source, at, length - at)
}

/// [`step`] for a walk that is not: before the first frame, searching, or done with the connection.
#[inline(always)]
pub fn step_outside<S: Source>(
    walk: &mut Walk,
    shared: &mut Shared,
    direction: Direction,
    source: &S,
) -> Tell {
    let at = walk.next.wrapping_sub(source.start());
    let length = source.length();
    if at >= length {
        if at == length && walk.phase == phase::TRIAL {
            return landed(walk, shared, source);
        }
        return Tell::DONE;
    }
    match walk.phase {
        phase::SEARCH | phase::TRIAL => search(walk, shared, source, at, length - at),
        phase::IGNORE => {
            walk.next = source.end();
            Tell::DONE
        }
        phase::OPENING => open(walk, shared, source, at, length - at),
        _ => before_frames(walk, shared, direction, source, at),
    }
}

/// The next byte of nine that begin in an earlier segment, or that this one has not all of. `None`: not complete yet
/// (then `next` has moved); otherwise the last of them is still to be passed.
#[inline(always)]
fn take_byte<S: Source>(walk: &mut Walk, source: &S, at: u32) -> Option<[u8; HEAD]> {
    let [byte] = source.load::<1>(at)?;
    let held = walk.held as usize;
    if held < HEAD - 1 {
        walk.head[held] = byte;
        walk.held += 1;
        walk.next = walk.next.wrapping_add(1);
        return None;
    }
    walk.head[HEAD - 1] = byte;
    Some(walk.head)
}

#[inline(always)]
fn at_head<S: Source>(
    walk: &mut Walk,
    shared: &mut Shared,
    direction: Direction,
    source: &S,
    at: u32,
    left: u32,
) -> Tell {
    let (head, taken) = if walk.held == 0 && left >= HEAD_LENGTH {
        let Some(head) = source.head(at) else {
            return Tell::NOTHING;
        };
        (head, HEAD_LENGTH)
    } else {
        let Some(bytes) = take_byte(walk, source, at) else {
            return Tell::NOTHING;
        };
        (Head::decode(bytes), 1)
    };
    // A server may speak before its client, but as long as nothing else says that this is HTTP/2, only what such
    // servers send is believed: a chatter of another protocol may begin like SETTINGS, and WebSocket begins with a 101
    // just as h2c does. A place that was found by searching is kept under the same suspicion.
    let sure = shared.joined == 0 && shared.is_http2() && walk.found == 0;
    let in_step = if sure { head.allowed() } else { head.plausible() };
    if !in_step {
        if !shared.is_http2() {
            return settle(walk, shared, Protocol::Other, source);
        }
        walk.lose(source.end());
        return Tell::gap(Loss::ImplausibleFrame);
    }
    let stream = head.stream();
    if head.frame_type == DATA && walk.data.stream != stream && walk.data.bytes > 0 {
        // The other stream's count goes first; the next step comes back to this very head.
        return Tell {
            what: What::Data,
            ..Tell::NOTHING
        };
    }
    walk.held = 0;
    let behind = walk.next.wrapping_add(taken);
    match head.frame_type {
        DATA => {
            walk.next = behind.wrapping_add(head.length);
            data(walk, shared, direction, source.time(), head)
        }
        HEADERS | PUSH_PROMISE | CONTINUATION | SETTINGS | RST_STREAM | GOAWAY => {
            frame(walk, head, behind, at + taken, left - taken)
        }
        _ => {
            walk.next = behind.wrapping_add(head.length);
            Tell::NOTHING
        }
    }
}

#[inline(always)]
fn data(walk: &mut Walk, shared: &Shared, direction: Direction, time: u64, head: Head) -> Tell {
    let stream = head.stream();
    if walk.data.bytes == 0 {
        walk.data.stream = stream;
        walk.data_since = time;
    }
    // Lengths have 24 bits, and whatever exceeds `MAX_DATA_UNTOLD` is told: this cannot overflow.
    walk.data.bytes = walk.data.bytes.wrapping_add(head.length);
    // The end of a request tells nothing about its call; the end of a response may be the end of the call.
    let ends = head.flags & END_STREAM != 0 && shared.requests != direction as u8 + 1;
    let old = time.wrapping_sub(walk.data_since) > MAX_DATA_AGE;
    if ends || walk.data.bytes >= MAX_DATA_UNTOLD || old {
        let (stream, flags) = if ends { (stream, END_STREAM) } else { (0, 0) };
        return Tell {
            what: What::Data,
            flags,
            stream,
            ..Tell::NOTHING
        };
    }
    Tell::NOTHING
}

/// Begins to tell the frame whose head was just taken, and whose payload begins at `begin`, which is `at` in the source.
#[inline(always)]
fn frame(walk: &mut Walk, head: Head, begin: u32, at: u32, left: u32) -> Tell {
    let end = begin.wrapping_add(head.length);
    if head.frame_type == SETTINGS && head.flags & ACK != 0 {
        walk.next = end;
        return Tell::NOTHING;
    }
    let mut deliver = delivered_length(head.frame_type, head.length);
    if matches!(head.frame_type, HEADERS | PUSH_PROMISE | CONTINUATION) {
        let before = if head.frame_type == CONTINUATION {
            walk.block
        } else {
            0
        };
        walk.block = before.saturating_add(head.length);
        if before > MAX_HEADER_BLOCK && head.flags & END_HEADERS == 0 {
            walk.next = end;
            return Tell::NOTHING;
        }
        if walk.block > MAX_HEADER_BLOCK {
            deliver = 0;
        }
    }
    if deliver <= left && deliver <= MAX_PIECE {
        // The usual case: all that is told of it is at hand, and nothing of it has to be remembered.
        walk.next = end;
        return Tell {
            what: What::Frame,
            frame_type: head.frame_type,
            flags: head.flags,
            reserved: 0,
            stream: head.stream(),
            length: head.length,
            offset: 0,
            at,
            piece: deliver,
        };
    }
    walk.length = head.length;
    walk.stream = head.stream();
    walk.frame_type = head.frame_type;
    walk.flags = head.flags;
    walk.offset = 0;
    walk.deliver = deliver;
    // `next` only ever goes forward, and never over bytes that are still wanted: other runs read it without the claim, to
    // see whether a segment is passed already.
    walk.next = begin;
    walk.phase = phase::PAYLOAD;
    // What is at hand of it comes with the next step.
    Tell::NOTHING
}

#[inline(always)]
fn payload(walk: &mut Walk, at: u32, left: u32) -> Tell {
    let offset = walk.offset;
    let missing = walk.deliver.wrapping_sub(offset);
    let mut piece = if missing < left { missing } else { left };
    if piece > MAX_PIECE {
        piece = MAX_PIECE;
    }
    walk.offset = offset.wrapping_add(piece);
    walk.next = walk.next.wrapping_add(piece);
    if piece == missing {
        walk.next = walk.next.wrapping_add(walk.length.wrapping_sub(walk.deliver));
        walk.phase = phase::HEAD;
    }
    Tell {
        what: What::Frame,
        frame_type: walk.frame_type,
        flags: walk.flags,
        reserved: 0,
        stream: walk.stream,
        length: walk.length,
        offset,
        at,
        piece,
    }
}

/// The connection is hidden by something below it: its bytes are of no use. The caller tells the protocol.
#[inline(always)]
pub fn hide(walk: &mut Walk, shared: &mut Shared, protocol: Protocol) {
    walk.phase = phase::IGNORE;
    shared.settled = 1;
    shared.protocol = protocol as u8;
}

/// The connection is not HTTP/2, for good.
#[inline(always)]
fn settle<S: Source>(walk: &mut Walk, shared: &mut Shared, protocol: Protocol, source: &S) -> Tell {
    walk.phase = phase::IGNORE;
    walk.next = source.end();
    shared.settled = 1;
    // What was upgraded to something else (WebSocket) stays HTTP/1.
    if shared.protocol != Protocol::Http1 as u8 {
        shared.protocol = protocol as u8;
    }
    Tell::PROTOCOL
}
