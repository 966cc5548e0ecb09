//! When the observer has counted what it is going to count.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::counts::Counts;
use super::watch::Watch;
use crate::wait;

/// From the end of a call to its count. Bounded by the drain interval; the rest is for a loaded machine.
const COUNTING: Duration = Duration::from_mins(1);
/// After so long without a record, with nothing held, no more is to come.
const QUIET: Duration = Duration::from_secs(3);

/// Waits until `calls` calls more than `before` were seen to end.
pub fn await_calls(watch: &Watch, before: &Counts, calls: u64) -> Result<()> {
    wait::until(COUNTING, || {
        let counts = watch
            .counts()
            .map_err(|error| format!("{error:#}"))?
            .since(before);
        let seen = [&counts.server, &counts.client].map(|ends| ends.values().sum::<u64>());
        if seen.iter().all(|seen| *seen >= calls) {
            Ok(())
        } else {
            Err(format!("{seen:?} of {calls} calls were seen to end"))
        }
    })
}

/// What was counted since `before`: as soon as it is `enough`, else when nothing more can come.
pub fn counts(watch: &Watch, before: &Counts, enough: impl Fn(&Counts) -> bool) -> Result<Counts> {
    let (mut events, mut since) = (None, Instant::now());
    let settled = wait::until(COUNTING, || {
        let counts = match watch.counts() {
            Ok(counts) => counts.since(before),
            // It has ended, and answers no more however long we wait.
            Err(error) if is_refused(&error) => return Ok(Err(error)),
            Err(error) => return Err(format!("{error:#}")),
        };
        if events.replace(counts.events) != Some(counts.events) {
            since = Instant::now();
        }
        let is_quiet = counts.held == 0 && counts.in_flight == 0 && since.elapsed() >= QUIET;
        if enough(&counts) || is_quiet {
            Ok(Ok(counts))
        } else {
            Err(format!("{} connections and calls are still held", counts.held))
        }
    });
    // What never comes to rest is judged as it is.
    settled.unwrap_or_else(|_| Ok(watch.counts()?.since(before)))
}

fn is_refused(error: &anyhow::Error) -> bool {
    let causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes
        .into_iter()
        .any(|cause| cause.kind() == std::io::ErrorKind::ConnectionRefused)
}
