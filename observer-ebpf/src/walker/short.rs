//! The short way of a frame that says nothing but how long it is, or of a header block that is whole at hand: nearly
//! every frame of a call. It does what [`step_frames`](super::step_frames) does with them, which is a test, and leaves to it
//! everything else.

use super::head::Head;
use super::{HEAD_LENGTH, MAX_DATA_AGE, MAX_DATA_UNTOLD, Shared, Source, Walk, phase};
use crate::record::{DATA, Direction, END_STREAM, HEADERS, PING, WINDOW_UPDATE};

/// Longest header block that goes the short way; most of gRPC calls are below 100 bytes.
pub const SHORT_BLOCK: u32 = 128;

/// What there is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// A frame that is passed; how many bytes it has.
    Passed(u64),
    /// A header block to be told, of 1 to [`SHORT_BLOCK`] bytes, all at hand behind this head.
    Block(Head),
    /// Nothing for the short way.
    Not,
}

/// Whether a walk can go the short way at all: it was in step from the start, and is at a frame.
#[must_use]
#[inline(always)]
pub fn is_short(walk: &Walk, shared: &Shared) -> bool {
    walk.phase == phase::HEAD && walk.held == 0 && walk.found == 0 && shared.joined == 0 && shared.is_http2()
}

/// The frame at offset `at`, if it can go the short way; `walk.next` is the caller's. Offsets have 64 bits here, because
/// the kernel's machine has no others, and each of 32 costs two instructions more.
#[inline(always)]
pub fn short<S: Source>(
    walk: &mut Walk,
    shared: &Shared,
    direction: Direction,
    source: &S,
    at: u64,
) -> Short {
    let left = u64::from(source.length()).wrapping_sub(at);
    if left < u64::from(HEAD_LENGTH) {
        return Short::Not;
    }
    let Some(head) = source.head(at as u32) else {
        return Short::Not;
    };
    let stream = head.stream();
    match head.frame_type {
        DATA => data(walk, shared, direction, source.time(), head),
        HEADERS => {
            let is_whole = head.length <= SHORT_BLOCK && passed(head.length) <= left;
            if stream != 0 && head.length != 0 && is_whole {
                walk.block = head.length;
                return Short::Block(head);
            }
            Short::Not
        }
        PING if stream == 0 && head.length == 8 => Short::Passed(passed(8)),
        WINDOW_UPDATE if head.length == 4 => Short::Passed(passed(4)),
        _ => Short::Not,
    }
}

/// Bytes of a frame with its head.
#[inline(always)]
fn passed(length: u32) -> u64 {
    u64::from(HEAD_LENGTH) + u64::from(length)
}

/// DATA that is only counted.
#[inline(always)]
fn data(walk: &mut Walk, shared: &Shared, direction: Direction, time: u64, head: Head) -> Short {
    let stream = head.stream();
    let before = walk.data;
    let (bytes, since) = if before.bytes == 0 {
        (head.length, time)
    } else {
        (before.bytes.wrapping_add(head.length), walk.data_since)
    };
    let ends = head.flags & END_STREAM != 0 && shared.requests != direction as u8 + 1;
    let other = before.bytes != 0 && before.stream != stream;
    let due = bytes >= MAX_DATA_UNTOLD || time.wrapping_sub(since) > MAX_DATA_AGE;
    if stream == 0 || ends || other || due {
        return Short::Not;
    }
    walk.data.stream = stream;
    walk.data.bytes = bytes;
    walk.data_since = since;
    Short::Passed(passed(head.length))
}
