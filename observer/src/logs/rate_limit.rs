//! Warnings and errors that repeat: a few of each within a window, the rest are counted
//! (`marty_observer_log_suppressed_total`). Each place in the code has its own allowance, so a flood of one warning does
//! not hide another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::clock::Clock;
use crate::metrics::Registry;

/// Enough to see that something repeats and whom it concerns.
pub const MAX_IN_WINDOW: usize = 5;
pub const WINDOW: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct RateLimit {
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
    /// As many entries as the code has warnings.
    windows: Mutex<HashMap<Identifier, Window>>,
}

#[derive(Debug)]
struct Window {
    begun: u64,
    lines: usize,
}

impl RateLimit {
    pub fn new(clock: Arc<dyn Clock>, registry: Arc<Registry>) -> Self {
        Self {
            clock,
            registry,
            windows: Mutex::default(),
        }
    }

    fn admits(&self, place: Identifier) -> bool {
        let now = self.clock.monotonic();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(place).or_insert(Window { begun: now, lines: 0 });
        if u128::from(now.saturating_sub(window.begun)) >= WINDOW.as_nanos() {
            *window = Window { begun: now, lines: 0 };
        }
        window.lines += 1;
        window.lines <= MAX_IN_WINDOW
    }
}

impl<S: Subscriber> Layer<S> for RateLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let repeats = *event.metadata().level() <= Level::WARN;
        let admitted = !repeats || self.admits(event.metadata().callsite());
        if !admitted {
            self.registry.own().log_suppressed.add(1);
        }
        admitted
    }
}
