//! An exchange as seen from outside while it goes on: how far it is, and the wish that it end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::tap::{Mark, Tap};

#[derive(Debug, Default)]
pub struct Progress {
    calls: AtomicU64,
    stop: AtomicBool,
    taps: Mutex<Vec<Tap>>,
}

impl Progress {
    pub fn begin(&self, tap: &Tap) {
        self.taps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(tap.clone());
    }

    pub fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls that have ended.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Waits until `more` calls have ended.
    ///
    /// # Panics
    /// When nothing moves for a minute.
    pub fn wait(&self, more: u64) {
        let (begin, wanted) = (Instant::now(), self.calls() + more);
        while self.calls() < wanted {
            assert!(
                begin.elapsed() < Duration::from_mins(1),
                "{} of {wanted} calls after a minute",
                self.calls()
            );
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// No call begins from now on.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// How far every application is.
    pub fn marks(&self) -> Vec<Mark> {
        self.taps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(Tap::mark)
            .collect()
    }
}
