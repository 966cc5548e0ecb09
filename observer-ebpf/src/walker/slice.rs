//! Bytes in memory as something to walk: for `observer replay` and the tests.

use super::Source;

/// A segment's payload.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    /// Sequence number of the first byte.
    pub start: u32,
    /// When it was seen, nanoseconds.
    pub time: u64,
    /// At most 2 GiB, as all that TCP can have under way.
    pub bytes: &'a [u8],
}

impl Source for Slice<'_> {
    fn start(&self) -> u32 {
        self.start
    }

    fn length(&self) -> u32 {
        self.bytes.len() as u32
    }

    fn time(&self) -> u64 {
        self.time
    }

    fn load<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        self.bytes.get(at as usize..)?.first_chunk().copied()
    }
}
