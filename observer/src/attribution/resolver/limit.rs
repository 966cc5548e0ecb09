//! What the resolver left out or was denied, for the self-metrics: written by its thread, read by anybody.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::host::Host;

#[derive(Debug, Default)]
pub struct Limits {
    cgroups_refused: AtomicU64,
    sockets_refused: AtomicU64,
    owners_refused: AtomicU64,
    processes_denied: AtomicU64,
    answered: AtomicU64,
    unknown: AtomicU64,
}

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Folders above `MAX_CGROUPS`, in all readings of the tree.
    pub cgroups_refused: u64,
    /// Sockets above `MAX_SOCKETS` in the lists that are held now.
    pub sockets_refused: u64,
    /// Sockets or descriptors above their ceilings in the last pass over all processes.
    pub owners_refused: u64,
    /// Processes whose descriptors we may not see (no `CAP_SYS_PTRACE`), in the last pass.
    pub processes_denied: u64,
    pub answered: u64,
    /// Answers in which nothing was known.
    pub unknown: u64,
}

impl Limits {
    pub fn read(&self) -> Reading {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Self {
            cgroups_refused,
            sockets_refused,
            owners_refused,
            processes_denied,
            answered,
            unknown,
        } = self;
        Reading {
            cgroups_refused: load(cgroups_refused),
            sockets_refused: load(sockets_refused),
            owners_refused: load(owners_refused),
            processes_denied: load(processes_denied),
            answered: load(answered),
            unknown: load(unknown),
        }
    }

    pub(super) fn answered(&self, unknown: bool) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.unknown.fetch_add(u64::from(unknown), Ordering::Relaxed);
    }

    pub(super) fn note(&self, host: &Host) {
        let (denied, refused) = host.owners_limits();
        self.cgroups_refused.store(host.tree.refused, Ordering::Relaxed);
        self.sockets_refused
            .store(host.sockets_refused(), Ordering::Relaxed);
        self.owners_refused.store(refused, Ordering::Relaxed);
        self.processes_denied.store(denied, Ordering::Relaxed);
    }
}
