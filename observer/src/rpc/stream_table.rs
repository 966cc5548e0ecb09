//! The open streams of a connection, by id.
//!
//! A dense array of calls and beside it the ids in order. Ids only grow, so a new one goes to the end; on most
//! connections there are a few, and idle ones hold nothing.

use super::call::Call;
use crate::http2::StreamId;

/// Streams held per connection. Servers commonly allow 100 to 250 at once, and some any number; beyond this the
/// longest idle are given up.
pub const MAX_STREAMS: usize = 4096;

/// Rooms kept by an idle connection.
const KEPT: usize = 4;

#[derive(Debug, Default)]
pub(super) struct StreamTable {
    /// Ascending, with the place in `calls`.
    order: Vec<(StreamId, u32)>,
    calls: Vec<Call>,
    /// Where in `order` a stream was last found: what is looked for once is mostly looked for again.
    recent: usize,
}

impl StreamTable {
    pub(super) const fn new() -> Self {
        Self {
            order: Vec::new(),
            calls: Vec::new(),
            recent: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.calls.len() >= MAX_STREAMS
    }

    #[inline]
    pub(super) fn get_mut(&mut self, stream: StreamId) -> Option<&mut Call> {
        let at = self.find(stream).ok()?;
        self.recent = at;
        let place = self.order.get(at)?.1;
        self.calls.get_mut(usize::try_from(place).ok()?)
    }

    /// Replaces nothing: the caller has looked.
    pub(super) fn insert(&mut self, call: Call) {
        let Ok(place) = u32::try_from(self.calls.len()) else {
            return;
        };
        if let Err(at) = self.find(call.stream) {
            self.order.insert(at, (call.stream, place));
            self.calls.push(call);
        }
    }

    pub(super) fn remove(&mut self, stream: StreamId) -> Option<Call> {
        let at = self.find(stream).ok()?;
        let place = usize::try_from(self.order.remove(at).1).ok()?;
        if place >= self.calls.len() {
            return None;
        }
        let call = self.calls.swap_remove(place);
        if let Some(moved) = self.calls.get(place)
            && let Ok(at) = self.find(moved.stream)
            && let Some(entry) = self.order.get_mut(at)
        {
            entry.1 = u32::try_from(place).unwrap_or(u32::MAX);
        }
        Some(call)
    }

    pub(super) fn last(&self) -> Option<StreamId> {
        self.order.last().map(|&(stream, _)| stream)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Call> {
        self.calls.iter_mut()
    }

    /// The streams that nothing was seen of since `time`, ascending. Allocates only where there are some.
    pub(super) fn idle_since(&self, time: u64) -> Vec<StreamId> {
        let idle = self.calls.iter().filter(|call| call.seen <= time);
        let mut streams: Vec<StreamId> = idle.map(|call| call.stream).collect();
        streams.sort_unstable();
        streams
    }

    /// The time before which an eighth of the calls was last seen.
    pub(super) fn idle_eighth(&self) -> u64 {
        let mut times: Vec<u64> = self.calls.iter().map(|call| call.seen).collect();
        let eighth = times.len() / 8;
        if times.is_empty() {
            return 0;
        }
        *times.select_nth_unstable(eighth).1
    }

    pub(super) fn release(&mut self) {
        if self.calls.len() < self.calls.capacity() / 4 {
            let kept = (2 * self.calls.len()).max(KEPT);
            self.calls.shrink_to(kept);
            self.order.shrink_to(kept);
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.calls.capacity() * size_of::<Call>() + self.order.capacity() * size_of::<(StreamId, u32)>()
    }

    fn find(&self, stream: StreamId) -> Result<usize, usize> {
        // Almost always the newest, or one beyond.
        if self.order.get(self.recent).is_some_and(|&(id, _)| id == stream) {
            return Ok(self.recent);
        }
        match self.order.last() {
            None => Err(0),
            Some(&(last, _)) if last < stream => Err(self.order.len()),
            Some(&(last, _)) if last == stream => Ok(self.order.len() - 1),
            _ => self.order.binary_search_by_key(&stream, |&(id, _)| id),
        }
    }
}
