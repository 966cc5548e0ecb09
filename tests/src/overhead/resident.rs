//! The daemon while nothing happens: its CPU time and its memory.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::cpu;
use crate::observer::Observer;
use crate::wait;

#[derive(Debug, Clone, Copy)]
pub struct Resident {
    /// Of one CPU, in per cent.
    pub cpu: f64,
    pub wakes: f64,
    /// KiB: all that is resident, and what of it is its own (neither program text nor the ring).
    pub all: u64,
    pub own: u64,
    pub most: u64,
}

/// Watches the daemon for `time`.
pub fn measure(observer: &Observer, time: Duration) -> Result<Resident> {
    let process = observer.process.id();
    let (before, waits, begin) = (cpu::of(process)?, cpu::waits(process)?, Instant::now());
    wait::until(time * 2, || {
        let left = time.saturating_sub(begin.elapsed());
        if left.is_zero() {
            Ok(())
        } else {
            Err(format!("{left:?} left"))
        }
    })?;
    let (after, waits_after, took) = (cpu::of(process)?, cpu::waits(process)?, begin.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let wakes = (waits_after - waits) as f64 / took.as_secs_f64();
    Ok(Resident {
        cpu: 100.0 * after.saturating_sub(before).as_secs_f64() / took.as_secs_f64(),
        wakes,
        all: cpu::memory(process, "VmRSS")?,
        own: cpu::memory(process, "RssAnon")?,
        most: cpu::memory(process, "VmHWM")?,
    })
}
