//! Calls of one connection whose service has no name yet, counted method by method.

use super::connection::end_of;
use crate::metrics::Recorder;
use crate::metrics::call::Backlog;
use crate::session::{CallEvent, MethodIndex};

/// Methods that wait, of all connections together; about 350 bytes each, so 12 MiB. Of one connection there are as
/// many as its session tells apart. A name takes milliseconds, that of a pod that no list has yet some seconds: this is
/// a flood of new connections, and those above are counted without a name.
pub(super) const MAX_WAITING: usize = 1 << 15;

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By [`MethodIndex`].
    methods: Vec<Option<Box<Backlog>>>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.methods.is_empty()
    }

    /// False: there is no room for another method. `total` is that of all connections.
    pub(super) fn count(&mut self, event: &CallEvent, recorder: &Recorder, total: &mut usize) -> bool {
        let index = event.method().index();
        if self.methods.get(index).is_none_or(Option::is_none) {
            if *total >= MAX_WAITING {
                return false;
            }
            *total += 1;
            if self.methods.len() <= index {
                self.methods.resize_with(index + 1, || None);
            }
        }
        let Some(place) = self.methods.get_mut(index) else {
            return false;
        };
        let backlog = place.get_or_insert_with(|| Box::new(recorder.backlog()));
        match event {
            CallEvent::Started { .. } => backlog.started(),
            CallEvent::Bytes {
                request, response, ..
            } => backlog.bytes(*request, *response),
            CallEvent::Ended(ended) => {
                backlog.bytes(ended.request_bytes, ended.response_bytes);
                backlog.ended(recorder, end_of(ended));
            }
        }
        true
    }

    /// What has waited, which waits no longer.
    pub(super) fn take(self, total: &mut usize) -> Vec<(MethodIndex, Backlog)> {
        let taken: Vec<_> = self
            .methods
            .into_iter()
            .enumerate()
            .filter_map(|(index, backlog)| Some((MethodIndex::from_index(index), *backlog?)))
            .collect();
        *total = total.saturating_sub(taken.len());
        taken
    }
}
