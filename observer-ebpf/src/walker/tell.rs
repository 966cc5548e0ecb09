//! What a step of the walker found.

use crate::loss::Loss;

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
    pub(super) const NOTHING: Self = Self {
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
    pub(super) const DONE: Self = Self {
        what: What::Done,
        ..Self::NOTHING
    };
    pub(super) const PROTOCOL: Self = Self {
        what: What::Protocol,
        ..Self::NOTHING
    };

    #[inline(always)]
    pub(super) fn gap(loss: Loss) -> Self {
        Self {
            what: What::Gap,
            frame_type: loss as u8,
            ..Self::NOTHING
        }
    }
}
