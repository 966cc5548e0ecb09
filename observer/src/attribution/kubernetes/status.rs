//! How the list of pods is doing: for the self-metrics, `observer check` and one line in the log at each change.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where names of pods come from now. What is left without either is the UID in the cgroup's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    #[default]
    Nowhere,
    Api,
    Kubelet,
}

#[derive(Debug, Default)]
pub struct Status {
    state: Mutex<State>,
    events: AtomicU64,
    errors: AtomicU64,
    lists: AtomicU64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    origin: Origin,
    error: Option<String>,
}

impl Status {
    pub fn origin(&self) -> Origin {
        self.state().origin
    }

    /// The last failure, while it lasts.
    pub fn error(&self) -> Option<String> {
        self.state().error
    }

    /// Objects received.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Whole lists received; more than one for each kind means that a watch could not be resumed.
    pub fn lists(&self) -> u64 {
        self.lists.load(Ordering::Relaxed)
    }

    pub(super) fn listed(&self, origin: Origin) {
        self.lists.fetch_add(1, Ordering::Relaxed);
        *self.lock() = State { origin, error: None };
    }

    pub(super) fn received(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        state.error = None;
    }

    pub(super) fn failed(&self, error: &dyn std::fmt::Display) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.lock().error = Some(error.to_string());
    }

    fn state(&self) -> State {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
