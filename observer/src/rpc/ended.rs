//! The streams that ended last: what still comes on them changes nothing, except that their bytes count.

use super::MethodIndex;
use crate::http2::StreamId;

/// Late frames and byte counts follow within a round trip; on connections seen from their beginning the order of
/// stream ids tells ended streams from unseen ones anyway, so this needs not to be long.
pub const MAX_REMEMBERED: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Was {
    Call(MethodIndex),
    NoCall,
}

#[derive(Debug)]
pub(super) struct RecentlyEnded {
    /// Stream 0 is no call's.
    streams: [(u32, Was); MAX_REMEMBERED],
    next: usize,
    /// The highest id that was ever among them: most that are looked for are above.
    highest: u32,
}

impl RecentlyEnded {
    pub(super) const fn new() -> Self {
        Self {
            streams: [(0, Was::NoCall); MAX_REMEMBERED],
            next: 0,
            highest: 0,
        }
    }

    pub(super) fn push(&mut self, stream: StreamId, was: Was) {
        if let Some(place) = self.streams.get_mut(self.next) {
            *place = (stream.number(), was);
        }
        self.next = (self.next + 1) % MAX_REMEMBERED;
        self.highest = self.highest.max(stream.number());
    }

    pub(super) fn contains(&self, stream: StreamId) -> bool {
        self.find(stream).is_some()
    }

    /// What the stream was.
    #[inline]
    pub(super) fn find(&self, stream: StreamId) -> Option<Was> {
        if stream.number() > self.highest {
            return None;
        }
        self.streams
            .iter()
            .find(|&&(ended, _)| ended == stream.number())
            .map(|&(_, was)| was)
    }
}
