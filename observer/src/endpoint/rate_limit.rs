//! `rate_limit` of the web configuration: a token bucket over all requests.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::web_config::RateLimit;

#[derive(Debug)]
pub struct Bucket {
    limit: RateLimit,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: usize,
    /// When the last token came.
    filled: Instant,
}

impl Bucket {
    /// Full.
    pub fn new(limit: RateLimit) -> Self {
        let state = State {
            tokens: limit.burst,
            filled: Instant::now(),
        };
        Self {
            limit,
            state: Mutex::new(state),
        }
    }

    /// Takes a token; false if there is none.
    pub fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let nanoseconds = self.limit.interval.as_nanos().max(1);
        let elapsed = now.saturating_duration_since(state.filled);
        let came = usize::try_from(elapsed.as_nanos() / nanoseconds).unwrap_or(usize::MAX);
        if came >= self.limit.burst.saturating_sub(state.tokens) {
            *state = State {
                tokens: self.limit.burst,
                filled: now,
            };
        } else {
            state.tokens += came;
            // Fewer than `burst`, which is below 2^32.
            state.filled += self.limit.interval * u32::try_from(came).unwrap_or(u32::MAX);
        }
        let some = state.tokens > 0;
        state.tokens -= usize::from(some);
        some
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_and_then_one_an_interval() {
        let bucket = Bucket::new(RateLimit {
            interval: Duration::from_secs(1),
            burst: 3,
        });
        let start = Instant::now();
        let at = |milliseconds| bucket.take(start + Duration::from_millis(milliseconds));
        let taken = [
            0, 0, 0, 10, 20, 1100, 1200, 2050, 2900, 3200, 60_000, 60_000, 60_000, 60_000,
        ]
        .map(at);
        let t = true;
        let f = false;
        assert_eq!(taken, [t, t, t, f, f, t, f, t, f, t, t, t, t, f]);
    }
}
