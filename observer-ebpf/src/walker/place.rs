//! Where the walker is: all that is remembered of a direction between segments, and of a connection.

use super::head::HEAD;
use crate::record::{DataCount, Protocol};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Segments that began like another protocol, of those that were searched in vain.
    pub named: u8,
    pub reserved: [u8; 4],
}

const _: () = assert!(size_of::<Walk>() == 72);

/// What both directions of a connection know together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    pub(super) fn is_http2(self) -> bool {
        self.protocol == Protocol::Http2 as u8
    }
}

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
    pub(super) fn convinced(&self, shared: Shared) -> bool {
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
