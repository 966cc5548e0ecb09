//! What goes into an [`Assembly`](super::Assembly).

use observer_ebpf::record::Record;

use super::StreamId;

/// A piece of a frame's payload, with the frame's head.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    pub frame_type: u8,
    pub flags: u8,
    pub stream: StreamId,
    /// Length of the frame's payload on the wire.
    pub length: u32,
    /// Where in it this piece begins.
    pub offset: u32,
    pub time: u64,
    pub payload: &'a [u8],
}

impl<'a> Piece<'a> {
    /// What a [`Kind::Frame`](observer_ebpf::record::Kind::Frame) brings.
    #[inline]
    #[must_use]
    pub fn of(record: &Record, payload: &'a [u8]) -> Self {
        Self {
            frame_type: record.frame_type,
            flags: record.flags,
            stream: StreamId::new(record.stream),
            length: record.length,
            offset: record.offset,
            time: record.time,
            payload,
        }
    }
}
