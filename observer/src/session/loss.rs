//! Everything a connection could not tell, by cause.

use crate::rpc::CallLosses;

/// Counts since they were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLosses {
    /// Records that found the ring full.
    pub lost_records: u32,
    /// Places where the kernel's walker lost its way.
    pub gaps: u32,
    /// How often a direction had to begin anew, for whatever reason.
    pub resyncs: u32,
    /// Frames or pieces that no correct peer sends in that order.
    pub broken_frames: u32,
    /// Header blocks that could not be decoded.
    pub malformed_blocks: u32,
    /// Header blocks above [`MAX_HEADER_BLOCK`](observer_ebpf::record::MAX_HEADER_BLOCK).
    pub oversized_blocks: u32,
    /// Header fields that could not be known because they are older than what was seen.
    pub unknown_fields: u32,
    /// Header blocks from before it was clear who is the client.
    pub undecided_blocks: u32,
    /// Requests from the server, responses from the client.
    pub contradictions: u32,
    /// Records of a kind or with contents that the kernel does not write.
    pub bad_records: u32,
    pub calls: CallLosses,
}
