//! The ring buffer, as records.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use aya::maps::{MapData, RingBuf};
use observer_ebpf::record::Record;

/// The consuming end of the ring buffer.
pub struct Ring {
    buffer: RingBuf<MapData>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ring").finish_non_exhaustive()
    }
}

impl Ring {
    pub(super) fn new(buffer: RingBuf<MapData>) -> Self {
        Self { buffer }
    }

    /// Hands every waiting record to `handle`, `most` at most; returns how many there were.
    pub fn drain(&mut self, most: usize, mut handle: impl FnMut(&Record, &[u8])) -> usize {
        let mut count = 0;
        while count < most {
            let Some(item) = self.buffer.next() else { break };
            count += 1;
            if let Some((record, payload)) = crate::event::decode(&item) {
                handle(&record, payload);
            }
        }
        count
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        #[expect(
            unsafe_code,
            reason = "the descriptor is owned by the buffer, which outlives the borrow"
        )]
        // SAFETY: as the reason says; aya has no borrowing accessor.
        unsafe {
            BorrowedFd::borrow_raw(self.buffer.as_raw_fd())
        }
    }
}
