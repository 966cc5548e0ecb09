//! Waiting for something to become true: the one place in the tests that sleeps, and only between two looks.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Looks until `look` has an answer. The error tells what the last look said.
pub fn until<T>(limit: Duration, mut look: impl FnMut() -> Result<T, String>) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        match look() {
            Ok(answer) => return Ok(answer),
            Err(reason) if Instant::now() >= end => bail!("not within {limit:?}: {reason}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
