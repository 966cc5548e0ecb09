//! What comes out of an [`Assembly`](super::Assembly).

use super::{ErrorCode, StreamId, TableSize};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole header block, HEADERS and CONTINUATIONs joined.
    Headers {
        stream: StreamId,
        end_stream: bool,
        /// Time of the first piece of the block.
        begun: u64,
        block: Block<'a>,
    },
    /// Changes the compression state; what is promised is of no interest here.
    PushPromise {
        block: Block<'a>,
    },
    Reset {
        stream: StreamId,
        code: ErrorCode,
    },
    GoAway {
        last: StreamId,
    },
    Settings(TableSize),
}

/// The compressed fields of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block<'a> {
    Whole(&'a [u8]),
    /// Above [`MAX_HEADER_BLOCK`](observer_ebpf::record::MAX_HEADER_BLOCK).
    Oversized,
    /// The padding is longer than the frame, or there is no room for the fixed fields.
    Malformed,
}
