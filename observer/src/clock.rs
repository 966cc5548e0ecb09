//! Time as a thing that is handed in, so that what depends on it can be tested without waiting.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Both clocks that the observer uses.
pub trait Clock: Debug + Send + Sync {
    /// `CLOCK_MONOTONIC` in nanoseconds: the kernel's timestamps are of this clock.
    fn monotonic(&self) -> u64;
    /// Nanoseconds since 1970.
    fn unix(&self) -> u64;
}

/// The machine's. (`std::time::Instant` does not tell its number, so it cannot be compared with the kernel's.)
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn monotonic(&self) -> u64 {
        let time = clock_gettime(ClockId::Monotonic);
        let (seconds, rest) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
        seconds
            .unwrap_or_default()
            .saturating_mul(1_000_000_000)
            .saturating_add(rest.unwrap_or_default())
    }

    fn unix(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Stands still until it is moved. For tests, and for `observer replay`, whose time is the capture's.
#[derive(Debug, Default)]
pub struct ManualClock {
    monotonic: AtomicU64,
    unix: AtomicU64,
}

impl ManualClock {
    pub fn new(monotonic: u64, unix: u64) -> Self {
        Self {
            monotonic: monotonic.into(),
            unix: unix.into(),
        }
    }

    pub fn advance(&self, nanoseconds: u64) {
        self.monotonic.fetch_add(nanoseconds, Relaxed);
        self.unix.fetch_add(nanoseconds, Relaxed);
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> u64 {
        self.monotonic.load(Relaxed)
    }

    fn unix(&self) -> u64 {
        self.unix.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_clock_goes_forward() {
        let before = SystemClock.monotonic();
        assert!(before > 0 && SystemClock.monotonic() >= before);
        // 2020, in nanoseconds.
        assert!(SystemClock.unix() > 1_577_836_800_000_000_000);
    }
}
