//! Processor time of an account, as a counter and as the percentage between two passes.

use std::collections::HashMap;
use std::time::Instant;

use super::account::{Books, Census};
use crate::attribution::roster::Account;

/// Seconds of processor time since its beginning.
pub fn seconds(books: &Books, account: &Account, census: &mut Lazy) -> Option<f64> {
    if let Some((text, v1)) = books.cpu_file(account, "cpuacct.usage", "cpu.stat") {
        return if v1 {
            nanoseconds(&text)
        } else {
            microseconds(&text)
        };
    }
    let census = census.get(books);
    let members = books.members(account, census);
    let ticks: u64 = members
        .iter()
        .filter_map(|pid| Some(census.stat(*pid)?.cpu_ticks_with_children()))
        .sum();
    (!members.is_empty()).then(|| to_f64(ticks) / TICKS_PER_SECOND)
}

/// `USER_HZ` is part of the kernel's ABI on every architecture that Rust supports with a Linux target but Alpha.
const TICKS_PER_SECOND: f64 = 100.0;

fn nanoseconds(text: &str) -> Option<f64> {
    Some(to_f64(text.trim().parse().ok()?) / 1e9)
}

fn microseconds(text: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    Some(to_f64(value.trim().parse().ok()?) / 1e6)
}

/// A gauge is a float; above 2^53 the loss is a rounding.
#[expect(clippy::cast_precision_loss, reason = "the exposition format has floats only")]
pub fn to_f64(value: u64) -> f64 {
    value as f64
}

/// A census that is taken when first asked for, at most once in a pass.
#[derive(Debug, Default)]
pub struct Lazy(Option<Census>);

impl Lazy {
    pub fn get(&mut self, books: &Books) -> &Census {
        self.0.get_or_insert_with(|| Census::take(&books.processes))
    }
}

/// What each account had used at the last pass.
#[derive(Debug, Default)]
pub struct Meter {
    last: HashMap<Account, (f64, Instant)>,
}

impl Meter {
    /// Percent of one core since the last reading; nothing at the first, for what came before is not known to be
    /// of this interval.
    pub fn percent(&mut self, account: &Account, seconds: f64, now: Instant) -> Option<f64> {
        let (before, at) = self.last.insert(account.clone(), (seconds, now))?;
        let elapsed = now.saturating_duration_since(at).as_secs_f64();
        // A counter that fell is another's: a cgroup made anew under the old name.
        let used = if seconds >= before {
            seconds - before
        } else {
            seconds
        };
        (elapsed > 0.0).then(|| 100.0 * used / elapsed)
    }

    pub fn retain(&mut self, mut known: impl FnMut(&Account) -> bool) {
        self.last.retain(|account, _| known(account));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn files() {
        assert_eq!(nanoseconds("1500000000\n"), Some(1.5));
        assert_eq!(
            microseconds("usage_usec 2500000\nuser_usec 1\nsystem_usec 2\n"),
            Some(2.5)
        );
        for broken in ["", "x", "usage_usec\n", "usage_usec x"] {
            assert_eq!(nanoseconds(broken), None);
            assert_eq!(microseconds(broken), None);
        }
    }

    #[test]
    fn percent_between_passes() {
        let account = Account::Process { pid: 1, started: 1 };
        let mut meter = Meter::default();
        let start = Instant::now();
        let mut check = |seconds: f64, at: u64, expected: Option<f64>| {
            assert_eq!(
                meter.percent(&account, seconds, start + Duration::from_secs(at)),
                expected
            );
        };
        check(100.0, 0, None);
        check(105.0, 10, Some(50.0));
        check(105.0, 20, Some(0.0));
        check(145.0, 30, Some(400.0));
        // Restarted.
        check(2.5, 40, Some(25.0));
    }
}
