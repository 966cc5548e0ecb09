//! How the list of pods is doing: for the self-metrics, and one line in the log at each change.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where names of pods come from now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody was asked for them: this is no node of a cluster, or they are switched off.
    #[default]
    Off,
    /// They were asked for and nobody has answered: what is left is the UID in the cgroup's name.
    Cgroup,
    Kubelet,
    Api,
}

impl Origin {
    pub const ALL: [Self; 4] = [Self::Off, Self::Cgroup, Self::Kubelet, Self::Api];

    /// The word for labels and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Cgroup => "cgroup",
            Self::Kubelet => "kubelet",
            Self::Api => "api",
        }
    }
}

/// Which of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Of the API server.
    Pods,
    /// Of the API server.
    Services,
    /// The kubelet's pods.
    Kubelet,
}

impl List {
    pub const ALL: [Self; 3] = [Self::Pods, Self::Services, Self::Kubelet];

    /// The word for labels and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Services => "services",
            Self::Kubelet => "kubelet_pods",
        }
    }
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
    /// The last failure of each list, while it lasts.
    failures: [Option<String>; List::ALL.len()],
    /// Whether the list was ever had.
    listed: [bool; List::ALL.len()],
}

impl Status {
    pub fn origin(&self) -> Origin {
        self.lock().origin
    }

    /// Why a list is not, or no longer, told: the last failure, while it lasts.
    pub fn failure(&self, list: List) -> Option<String> {
        self.lock().failures.get(list as usize).cloned().flatten()
    }

    /// Objects received.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Whole lists received from the API server; more than one for each kind means that a watch could not be resumed.
    pub fn lists(&self) -> u64 {
        self.lists.load(Ordering::Relaxed)
    }

    /// Whether the API server tells of pods as far as is known.
    pub fn api_is_well(&self) -> bool {
        let state = self.lock();
        state.listed(List::Pods) && !state.is_failing(List::Pods)
    }

    /// From now on pods are asked for.
    pub fn expected(&self) {
        self.lock().origin = Origin::Cgroup;
    }

    pub fn listed(&self, list: List) {
        self.lists
            .fetch_add(u64::from(list != List::Kubelet), Ordering::Relaxed);
        let mut state = self.lock();
        if let Some(listed) = state.listed.get_mut(list as usize) {
            *listed = true;
        }
        state.works(list);
    }

    /// An object has come, or the list has been found to answer again.
    pub fn received(&self, list: List) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.lock().works(list);
    }

    /// It was failing, and answers again.
    pub fn recovered(&self, list: List) {
        self.lock().works(list);
    }

    /// Logged when it begins; that it lasts is in the metrics.
    pub fn failed(&self, list: List, failure: &dyn Display) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let failure = failure.to_string();
        let mut state = self.lock();
        let fallback = if state.listed(list) {
            "what was known stays known"
        } else {
            "names fall back"
        };
        let Some(place) = state.failures.get_mut(list as usize) else {
            return;
        };
        if place.replace(failure.clone()).is_none() {
            tracing::warn!(
                list = list.name(),
                failure,
                "Kubernetes cannot be asked; {fallback}"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn listed(&self, list: List) -> bool {
        self.listed.get(list as usize).is_some_and(|listed| *listed)
    }

    fn is_failing(&self, list: List) -> bool {
        self.failures.get(list as usize).is_some_and(Option::is_some)
    }

    fn works(&mut self, list: List) {
        let failed = self.failures.get_mut(list as usize).and_then(Option::take);
        if failed.is_some() {
            tracing::info!(list = list.name(), "Kubernetes answers again");
        }
        let origin = match list {
            List::Pods if self.listed(List::Pods) => Origin::Api,
            List::Kubelet => Origin::Kubelet,
            List::Pods | List::Services => return,
        };
        if origin != self.origin {
            tracing::info!(
                from = self.origin.name(),
                to = origin.name(),
                "names of pods have another origin"
            );
            self.origin = origin;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_follow_who_answers() {
        let status = Status::default();
        let check = |expected, well| {
            assert_eq!((status.origin(), status.api_is_well()), (expected, well));
        };
        check(Origin::Off, false);
        status.expected();
        check(Origin::Cgroup, false);
        status.failed(List::Pods, &"away");
        status.listed(List::Kubelet);
        check(Origin::Kubelet, false);
        // Objects of a list that is not complete yet.
        status.received(List::Pods);
        check(Origin::Kubelet, false);
        status.listed(List::Pods);
        check(Origin::Api, true);
        status.failed(List::Pods, &"gone");
        check(Origin::Api, false);
        assert_eq!(status.failure(List::Pods).as_deref(), Some("gone"));
        status.listed(List::Kubelet);
        check(Origin::Kubelet, false);
        status.recovered(List::Pods);
        check(Origin::Api, true);
        status.failed(List::Services, &"forbidden");
        check(Origin::Api, true);
        assert_eq!((status.errors(), status.lists(), status.events()), (3, 1, 1));
    }
}
