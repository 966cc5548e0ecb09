//! Finding a frame boundary in the middle of a stream: joined late, or with the place lost.

use super::head::{HEAD, Head};
use super::opening::{Opening, judge};
use super::{HEAD_LENGTH, Shared, Source, Tell, Walk, phase, settle};
use crate::record::{DATA, Protocol};

/// In vain searched segments, after which a joined connection that shows no sign of HTTP/2 is given up. A busy
/// HTTP/2 connection starts a segment at a frame boundary much more often than once in so many; and among the
/// [`MAX_SCAN`] bytes of each, 16 heads of 16 KiB frames are to be expected.
pub const MAX_ATTEMPTS: u16 = 1024;
/// Bytes of a segment at which a frame is looked for, besides its first. Writers of calls begin segments with frames;
/// where a long body streams on, heads fall anywhere: with frames of 16 KiB one in 64 falls here, whatever the size
/// of the segments. A load of nine bytes each is what this costs, only while searching.
pub const MAX_SCAN: u32 = 256;
/// Longest DATA frame to begin a trial inside of a segment: one in a million random heads passes for DATA, and the
/// longer it claims to be, the longer it takes to see that it was none.
const MAX_SCANNED_DATA: u32 = 1 << 18;
/// A joined connection whose segments begin like TLS or HTTP/1 is given up after fewer.
const MAX_ATTEMPTS_NAMED: u16 = 8;
/// So many of them: one in a million of segments that begin with anything begins like a record of TLS.
const MIN_NAMED: u8 = 3;

/// SEARCH and TRIAL: the stream was joined in the middle, or the place was lost.
#[inline(always)]
pub(super) fn search<S: Source>(
    walk: &mut Walk,
    shared: &mut Shared,
    source: &S,
    at: u32,
    left: u32,
) -> Tell {
    let searching = walk.phase == phase::SEARCH;
    if searching && at > 0 {
        // Every segment is looked at in another part, in no order: sizes of segments and of frames may conspire.
        let mixed = u32::from(walk.attempts).wrapping_mul(0x9e37_79b1);
        let mixed = (mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b) >> 16;
        let begin = mixed % ((source.length() - 1) / MAX_SCAN + 1) * MAX_SCAN;
        if at < begin {
            walk.next = source.start().wrapping_add(begin);
            return Tell::NOTHING;
        }
        if at >= begin + MAX_SCAN {
            return failed(walk, shared, source);
        }
    }
    // A cut head inside a trial is not worth remembering: the next segment is as good a start.
    let head = if left >= HEAD_LENGTH {
        source.load::<HEAD>(at)
    } else {
        None
    };
    let head = match head {
        Some(bytes) => Head::decode(bytes),
        None => return failed(walk, shared, source),
    };
    let too_long = searching && at > 0 && head.frame_type == DATA && head.length > MAX_SCANNED_DATA;
    if too_long || !head.plausible() {
        if searching {
            walk.next = walk.next.wrapping_add(1);
            return Tell::NOTHING;
        }
        return failed(walk, shared, source);
    }
    if searching {
        walk.phase = phase::TRIAL;
        walk.inside = u8::from(at != 0);
        walk.trial = walk.next;
        walk.score = 0;
        walk.control = 0;
    }
    walk.held = 0;
    walk.score = walk.score.saturating_add(1);
    if head.frame_type != DATA {
        walk.control = walk.control.saturating_add(1);
    }
    if walk.convinced(*shared) {
        return believe(walk, shared, source);
    }
    walk.next = walk.next.wrapping_add(HEAD_LENGTH).wrapping_add(head.length);
    Tell::NOTHING
}

/// A frame of the trial ends where the segment ends.
#[inline(always)]
pub(super) fn landed<S: Source>(walk: &mut Walk, shared: &mut Shared, source: &S) -> Tell {
    if walk.held != 0 {
        return Tell::DONE;
    }
    walk.held = 1;
    walk.score = walk.score.saturating_add(1);
    if walk.convinced(*shared) {
        believe(walk, shared, source)
    } else {
        Tell::DONE
    }
}

/// The trial has convinced: back to where it began, if that is still at hand, and tell from there.
#[inline(always)]
fn believe<S: Source>(walk: &mut Walk, shared: &mut Shared, source: &S) -> Tell {
    walk.phase = phase::HEAD;
    walk.held = 0;
    walk.found = 1;
    walk.attempts = 0;
    walk.named = 0;
    if walk.trial.wrapping_sub(source.start()) < source.length() {
        walk.next = walk.trial;
    }
    if shared.is_http2() {
        return Tell::NOTHING;
    }
    shared.protocol = Protocol::Http2 as u8;
    Tell::PROTOCOL
}

#[inline(always)]
fn failed<S: Source>(walk: &mut Walk, shared: &mut Shared, source: &S) -> Tell {
    let from_start = walk.phase == phase::SEARCH;
    walk.lose(source.end());
    walk.attempts = walk.attempts.saturating_add(1);
    if shared.is_http2() {
        return Tell::DONE;
    }
    // What a segment of an old connection begins with is a hint at best; it names the connection when it is
    // given up.
    let mut protocol = Protocol::Other;
    if from_start
        && source.length() >= HEAD_LENGTH
        && let Some(bytes) = source.load::<HEAD>(0)
    {
        protocol = hint(bytes);
    }
    let is_named = protocol as u8 != Protocol::Other as u8;
    walk.named = walk.named.saturating_add(u8::from(is_named));
    let limit = if is_named && walk.named >= MIN_NAMED {
        MAX_ATTEMPTS_NAMED
    } else {
        MAX_ATTEMPTS
    };
    if walk.attempts >= limit {
        settle(walk, shared, protocol, source)
    } else {
        Tell::DONE
    }
}

/// The protocol whose segments begin like this.
#[inline(always)]
fn hint(bytes: [u8; HEAD]) -> Protocol {
    if let [0x14..=0x17, 3, 0..=4, ..] = bytes {
        return Protocol::Tls;
    }
    match judge(bytes, HEAD_LENGTH) {
        Opening::Http1Request | Opening::Http1Response => Protocol::Http1,
        _ => Protocol::Other,
    }
}
