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
    pods: Option<String>,
    services: Option<String>,
}

/// Which of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pods,
    Services,
}

impl Status {
    pub fn origin(&self) -> Origin {
        self.state().origin
    }

    /// Why pods are not, or no longer, told: the last failure, while it lasts.
    pub fn pods_error(&self) -> Option<String> {
        self.state().pods
    }

    /// The same for Services.
    pub fn services_error(&self) -> Option<String> {
        self.state().services
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

    pub(super) fn listed(&self, kind: Kind, origin: Origin) {
        self.lists.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        *state.error(kind) = None;
        if kind == Kind::Pods {
            state.origin = origin;
        }
    }

    pub(super) fn received(&self, kind: Kind) {
        self.events.fetch_add(1, Ordering::Relaxed);
        *self.lock().error(kind) = None;
    }

    pub(super) fn failed(&self, kind: Kind, error: &dyn std::fmt::Display) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self.lock().error(kind) = Some(error.to_string());
    }

    fn state(&self) -> State {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn error(&mut self, kind: Kind) -> &mut Option<String> {
        match kind {
            Kind::Pods => &mut self.pods,
            Kind::Services => &mut self.services,
        }
    }
}
