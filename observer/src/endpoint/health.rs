//! Whether the observer works: told by those who do the work, asked by `/health`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::clock::Clock;

/// What `/health` calls this service.
pub const SERVICE: &str = "marty-observer";

/// The pipeline turns every few tens of milliseconds, also when there is nothing to do. A machine so loaded that a
/// thread does not run for this long exists; a pipeline that does not turn for longer is stuck.
pub const MAX_SILENCE: Duration = Duration::from_secs(15);

/// Shared by the pipeline (which beats), the loader (which attaches) and the endpoint.
#[derive(Debug)]
pub struct Health {
    clock: Arc<dyn Clock>,
    started: u64,
    /// Monotonic nanoseconds of the last turn of the pipeline; the start counts as one.
    beat: AtomicU64,
    attached: AtomicBool,
    others: Mutex<BTreeMap<&'static str, bool>>,
}

/// Which of the three pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    Healthy,
    Live,
    Ready,
}

impl Health {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let started = clock.monotonic();
        Self {
            clock,
            started,
            beat: started.into(),
            attached: AtomicBool::new(false),
            others: Mutex::default(),
        }
    }

    /// The pipeline has turned once.
    pub fn beat(&self) {
        self.beat.store(self.clock.monotonic(), Relaxed);
    }

    /// Programs were attached, or are not any more.
    pub fn set_attached(&self, attached: bool) {
        self.attached.store(attached, Relaxed);
    }

    /// One more thing that must be well for `healthy`; it does not touch `live` and `ready`, because a restart
    /// would not mend it.
    pub fn set_check(&self, name: &'static str, well: bool) {
        self.others
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, well);
    }

    pub fn is_live(&self) -> bool {
        let silence = self.clock.monotonic().saturating_sub(self.beat.load(Relaxed));
        u128::from(silence) <= MAX_SILENCE.as_nanos()
    }

    pub fn is_ready(&self) -> bool {
        self.attached.load(Relaxed) && self.is_live()
    }

    /// The page's JSON, and whether the answer is yes.
    pub fn answer(&self, question: Question) -> (bool, String) {
        let (live, ready) = (self.is_live(), self.is_ready());
        let mut checks = self.others.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let healthy = live && ready && checks.values().all(|well| *well);
        checks.insert("programs_attached", self.attached.load(Relaxed));
        checks.insert("pipeline_moving", live);
        let page = json!({
            "service": SERVICE,
            "healthy": healthy,
            "ready": ready,
            "live": live,
            "uptime_seconds": (self.clock.monotonic().saturating_sub(self.started)) / 1_000_000_000,
            "checks": checks,
            "timestamp": seconds(self.clock.unix()),
        });
        let yes = match question {
            Question::Healthy => healthy,
            Question::Live => live,
            Question::Ready => ready,
        };
        (yes, format!("{page}\n"))
    }
}

/// Milliseconds are enough for a page, and exact in a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 stay below 2^53"
)]
fn seconds(nanoseconds: u64) -> f64 {
    (nanoseconds / 1_000_000) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn health() -> (Arc<ManualClock>, Health) {
        let clock = Arc::new(ManualClock::new(5_000_000_000, 1_697_875_200_250_000_000));
        (Arc::clone(&clock), Health::new(clock))
    }

    #[test]
    fn page_has_the_fields_of_the_contract() {
        let (clock, health) = health();
        health.set_attached(true);
        health.set_check("kubernetes", true);
        clock.advance(3_000_000_000);
        let (yes, page) = health.answer(Question::Healthy);
        assert!(yes);
        let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
        let expected = json!({
            "service": "marty-observer", "healthy": true, "ready": true, "live": true, "uptime_seconds": 3,
            "checks": {"kubernetes": true, "programs_attached": true, "pipeline_moving": true},
            "timestamp": 1_697_875_203.25,
        });
        assert_eq!(page, expected);
    }

    fn check(health: &Health, healthy: bool, live: bool, ready: bool) {
        let answers = [Question::Healthy, Question::Live, Question::Ready].map(|ask| health.answer(ask).0);
        assert_eq!(answers, [healthy, live, ready]);
    }

    #[test]
    fn not_attached_yet() {
        check(&health().1, false, true, false);
    }

    #[test]
    fn pipeline_stopped_moving() {
        let (clock, health) = health();
        health.set_attached(true);
        clock.advance(15_000_000_000);
        check(&health, true, true, true);
        clock.advance(1);
        check(&health, false, false, false);
        health.beat();
        check(&health, true, true, true);
    }

    #[test]
    fn another_check_fails() {
        let (_, health) = health();
        health.set_attached(true);
        health.set_check("kubernetes", false);
        check(&health, false, true, true);
    }
}
