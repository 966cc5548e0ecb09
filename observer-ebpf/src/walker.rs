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
mod search;
pub mod slice;
#[cfg(test)]
mod tests;

use crate::loss::Loss;
use crate::record::{
    ACK, CONTINUATION, DATA, DataCount, Direction, END_HEADERS, END_STREAM, GOAWAY, HEADERS,
    MAX_HEADER_BLOCK, MAX_PIECE, PUSH_PROMISE, Protocol, RST_STREAM, SETTINGS, delivered_length,
};
use beginning::{before_frames, open};
use head::{HEAD, Head};
use search::{landed, search};

pub use opening::PREFACE;
pub use search::{MAX_ATTEMPTS, MAX_SCAN};

/// Bytes of one direction, in order, as far as they are at hand.
pub trait Source {
    /// Sequence number of the first byte.
    fn start(&self) -> u32;
    fn length(&self) -> u32;
    /// When they were seen, nanoseconds.
    fn time(&self) -> u64;
    /// `N` bytes at offset `at`; `None` only if they cannot be read although `at + N <= length()`.
    fn load<const N: usize>(&self, at: u32) -> Option<[u8; N]>;

    #[inline(always)]
    fn end(&self) -> u32 {
        self.start().wrapping_add(self.length())
    }
}

/// What a step found, for the caller to tell. A flat struct instead of an enum with fields, so that a kernel
/// program has one path for all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Tell {
    pub what: What,
    /// [`Record::frame_type`](crate::record::Record), or what [`Kind`](crate::record::Kind) wants there.
    pub frame_type: u8,
    pub flags: u8,
    pub reserved: u8,
    pub stream: u32,
    pub length: u32,
    /// Where in the frame's payload the piece begins, where in the source, and how long it is.
    pub offset: u32,
    pub at: u32,
    pub piece: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum What {
    /// Call [`step`] again.
    #[default]
    Nothing = 0,
    /// The source is exhausted.
    Done = 1,
    /// `Shared::protocol` has changed.
    Protocol = 2,
    /// `piece` bytes of a frame's payload.
    Frame = 3,
    /// DATA counts that must be told now; with `END_STREAM` in `flags`, a DATA frame ended `stream`.
    Data = 4,
    /// The place was lost; `frame_type` is the [`Loss`].
    Gap = 5,
    /// HTTP/1 was left for HTTP/2 (h2c): the other direction goes to [`phase::REOPEN`].
    Reopen = 6,
}

impl Tell {
    const NOTHING: Self = Self {
        what: What::Nothing,
        frame_type: 0,
        flags: 0,
        reserved: 0,
        stream: 0,
        length: 0,
        offset: 0,
        at: 0,
        piece: 0,
    };
    const DONE: Self = Self {
        what: What::Done,
        ..Self::NOTHING
    };
    const PROTOCOL: Self = Self {
        what: What::Protocol,
        ..Self::NOTHING
    };

    #[inline(always)]
    fn gap(loss: Loss) -> Self {
        Self {
            what: What::Gap,
            frame_type: loss as u8,
            ..Self::NOTHING
        }
    }
}

/// Where in the stream a direction is.
pub mod phase {
    /// Storage that nobody has set up yet.
    pub const NEW: u8 = 0;
    /// Before the first byte of the connection, or in its first nine.
    pub const OPENING: u8 = 1;
    pub const PREFACE: u8 = 2;
    pub const PROXY_LINE: u8 = 3;
    pub const PROXY_BINARY: u8 = 4;
    /// At a frame boundary, or inside a frame head that was cut.
    pub const HEAD: u8 = 5;
    /// Inside the payload of a frame that is told.
    pub const PAYLOAD: u8 = 6;
    /// Somewhere; the start of a segment may be a frame boundary.
    pub const SEARCH: u8 = 7;
    /// At what would be a frame boundary if the search was right.
    pub const TRIAL: u8 = 8;
    /// In the status of an HTTP/1 response: 101 changes everything.
    pub const STATUS: u8 = 9;
    /// In the rest of a 101 response.
    pub const UPGRADE: u8 = 10;
    /// Nothing more to learn here, unless the other direction says otherwise.
    pub const IGNORE: u8 = 11;
    /// The other direction said otherwise: the next segment is the first of an HTTP/2 connection.
    pub const REOPEN: u8 = 12;
}

/// The walker's place in one direction.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Walk {
    /// When `data` began to count.
    pub data_since: u64,
    /// DATA bytes seen and not told yet.
    pub data: DataCount,
    /// The next byte that has to be looked at.
    pub next: u32,
    /// Number of the next record of this direction.
    pub sequence: u32,
    /// The frame that `next` is in: length, stream, how much of it is told in all, how much was.
    pub length: u32,
    pub stream: u32,
    pub deliver: u32,
    pub offset: u32,
    /// Header bytes of the open block so far.
    pub block: u32,
    /// Where the trial began.
    pub trial: u32,
    /// Segments that were searched in vain, saturating.
    pub attempts: u16,
    pub frame_type: u8,
    pub flags: u8,
    /// One of [`phase`].
    pub phase: u8,
    /// Bytes of `head` that are there (in other phases: how far a pattern has matched).
    pub held: u8,
    /// Evidence for the trial, see [`Walk::convinced`].
    pub score: u8,
    /// Frames of the trial that were not DATA.
    pub control: u8,
    pub head: [u8; HEAD],
    /// 1: the trial did not begin where a segment does.
    pub inside: u8,
    /// 1: the place was found by a search, and not kept from the start.
    pub found: u8,
    /// Keeps the type free of padding, as all of the ABI is.
    pub reserved: [u8; 5],
}

const _: () = assert!(size_of::<Walk>() == 72);

/// What both directions of a connection know together.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Shared {
    /// A [`Protocol`].
    pub protocol: u8,
    /// 1: this can never become HTTP/2; packets need not be looked at any more.
    pub settled: u8,
    /// 1: joined in the middle.
    pub joined: u8,
    /// Direction that carries requests, plus 1; 0: not known.
    pub requests: u8,
}

impl Shared {
    #[inline(always)]
    fn is_http2(self) -> bool {
        self.protocol == Protocol::Http2 as u8
    }
}

/// DATA of one stream is told at least this often, in bytes and in time, so that counters of long streams move.
const MAX_DATA_UNTOLD: u32 = 1 << 20;
const MAX_DATA_AGE: u64 = 1_000_000_000;
const HEAD_LENGTH: u32 = 9;

impl Walk {
    /// A direction that is seen from its first byte.
    #[must_use]
    #[inline(always)]
    pub fn from_start(next: u32) -> Self {
        Self {
            next,
            phase: phase::OPENING,
            ..Self::default()
        }
    }

    /// A direction that is older than the observer.
    #[must_use]
    #[inline(always)]
    pub fn joined(next: u32) -> Self {
        Self {
            next,
            phase: phase::SEARCH,
            ..Self::default()
        }
    }

    /// The place is lost; the next segment is searched for a boundary. The caller tells the gap.
    #[inline(always)]
    pub fn lose(&mut self, next: u32) {
        self.next = next;
        self.phase = phase::SEARCH;
        self.held = 0;
        self.score = 0;
        self.control = 0;
    }

    /// Whether the place is known by frames.
    #[must_use]
    #[inline(always)]
    pub fn in_frames(&self) -> bool {
        self.phase == phase::HEAD || self.phase == phase::PAYLOAD
    }

    /// The DATA count has been told.
    #[inline(always)]
    pub fn data_told(&mut self, time: u64) {
        self.data.bytes = 0;
        self.data_since = time;
    }

    /// Whether a hole before a segment matters: while searching, any place is as good as another.
    #[must_use]
    #[inline(always)]
    pub fn needs_order(&self) -> bool {
        !matches!(self.phase, phase::SEARCH | phase::TRIAL | phase::IGNORE)
    }

    /// Three things must agree: chained heads, and an end that falls together with the end of a segment. One of
    /// the heads must be other than DATA, which has the weakest head. Where the other direction is known to
    /// be HTTP/2, two will do. A trial inside of a segment had many chances to begin, so it has to show more: arrays
    /// of small numbers look like short DATA frames.
    #[inline(always)]
    fn convinced(&self, shared: Shared) -> bool {
        let http2 = shared.is_http2();
        let mut enough = if http2 { 2 } else { 3 };
        let mut enough_data = enough;
        if self.inside != 0 {
            enough = 5;
            enough_data = 8;
        }
        self.score >= enough && (self.control > 0 || (http2 && self.score >= enough_data))
    }
}

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

/// The nine bytes at `at`, in one piece or byte by byte over several steps; `None`: not complete yet (then `next`
/// has moved). With the bytes comes how far `next` has to move behind them.
#[inline(always)]
fn take_head<S: Source>(walk: &mut Walk, source: &S, at: u32, left: u32) -> Option<([u8; HEAD], u32)> {
    if walk.held == 0 && left >= HEAD_LENGTH {
        return Some((source.load::<HEAD>(at)?, HEAD_LENGTH));
    }
    let [byte] = source.load::<1>(at)?;
    let held = walk.held as usize;
    if held < HEAD - 1 {
        walk.head[held] = byte;
        walk.held += 1;
        walk.next = walk.next.wrapping_add(1);
        return None;
    }
    walk.head[HEAD - 1] = byte;
    Some((walk.head, 1))
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
    let Some((bytes, taken)) = take_head(walk, source, at, left) else {
        return Tell::NOTHING;
    };
    let head = Head::decode(bytes);
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
    walk.next = walk.next.wrapping_add(taken);
    match head.frame_type {
        DATA => data(walk, shared, direction, source.time(), head),
        HEADERS | PUSH_PROMISE | CONTINUATION | SETTINGS | RST_STREAM | GOAWAY => {
            frame(walk, head, at + taken, left - taken)
        }
        _ => {
            walk.next = walk.next.wrapping_add(head.length);
            Tell::NOTHING
        }
    }
}

#[inline(always)]
fn data(walk: &mut Walk, shared: &Shared, direction: Direction, time: u64, head: Head) -> Tell {
    walk.next = walk.next.wrapping_add(head.length);
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

/// Begins to tell the frame whose head was just taken.
#[inline(always)]
fn frame(walk: &mut Walk, head: Head, at: u32, left: u32) -> Tell {
    walk.length = head.length;
    walk.stream = head.stream();
    walk.frame_type = head.frame_type;
    walk.flags = head.flags;
    walk.offset = 0;
    walk.deliver = delivered_length(head.frame_type, head.length);
    if head.frame_type == SETTINGS && head.flags & ACK != 0 {
        walk.next = walk.next.wrapping_add(head.length);
        return Tell::NOTHING;
    }
    if matches!(head.frame_type, HEADERS | PUSH_PROMISE | CONTINUATION) {
        let before = if head.frame_type == CONTINUATION {
            walk.block
        } else {
            0
        };
        walk.block = before.saturating_add(head.length);
        if before > MAX_HEADER_BLOCK && head.flags & END_HEADERS == 0 {
            walk.next = walk.next.wrapping_add(head.length);
            return Tell::NOTHING;
        }
        if walk.block > MAX_HEADER_BLOCK {
            walk.deliver = 0;
        }
    }
    walk.phase = phase::PAYLOAD;
    if left == 0 && walk.deliver > 0 {
        return Tell::NOTHING;
    }
    payload(walk, at, left)
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
