//! The two kinds of number: written by one thread, or by several.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Written by the pipeline alone (whoever writes holds `&mut Recorder`), read by scrapes. A load and a store: on
/// `x86_64` that is a plain add to memory, where `fetch_add` would lock the cache line (about 20 times as long).
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Wraps at 2^64, as Prometheus would see a reset.
    pub(super) fn add(&self, amount: u64) {
        self.0.store(self.get().wrapping_add(amount), Relaxed);
    }

    /// Stays at 0: what goes down here was counted up by somebody else's observation.
    pub(super) fn subtract(&self, amount: u64) {
        self.0.store(self.get().saturating_sub(amount), Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
}

/// Written by any thread, at most once per batch or event that is rare.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

impl Tally {
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    pub fn subtract(&self, amount: u64) {
        // The closure always returns a value, so there is no failure to look at.
        let _ = self
            .0
            .fetch_update(Relaxed, Relaxed, |old| Some(old.saturating_sub(amount)));
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_does_not_go_below_zero() {
        let cell = Cell::default();
        cell.add(1);
        cell.subtract(2);
        assert_eq!(cell.get(), 0);
        let tally = Tally::default();
        tally.add(1);
        tally.subtract(2);
        assert_eq!(tally.get(), 0);
    }
}
