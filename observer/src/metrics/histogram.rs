//! Durations in buckets: bounds that were checked once, and cells to count into.

use std::sync::Arc;

use thiserror::Error;

use super::cell::Cell;

/// Buckets a user may configure. Every one is a series per method.
pub const MAX_BUCKETS: usize = 64;

/// The contract's bounds, in seconds.
pub const DEFAULT_SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// What is wrong with configured bounds.
#[derive(Debug, Error, PartialEq)]
pub enum Unusable {
    #[error("at least one bucket is needed")]
    Empty,
    #[error("{0} buckets are too many; at most {MAX_BUCKETS}, since each is a series per method")]
    TooMany(usize),
    #[error(
        "{0} is not a duration in seconds between 1e-9 and 1e6 (the last bucket, +Inf, is there by itself)"
    )]
    NotADuration(f64),
    #[error("{1} does not come after {0}; bounds go up")]
    NotAscending(f64, f64),
}

/// Upper bounds, ascending, `+Inf` not among them. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// `None` is `+Inf`.
    bounds: Arc<[Bound]>,
}

#[derive(Clone, Debug, PartialEq)]
struct Bound {
    nanoseconds: u64,
    /// `le="0.005"`
    label: Box<str>,
}

impl Buckets {
    pub fn new(seconds: &[f64]) -> Result<Self, Unusable> {
        if seconds.is_empty() {
            return Err(Unusable::Empty);
        }
        if seconds.len() > MAX_BUCKETS {
            return Err(Unusable::TooMany(seconds.len()));
        }
        let mut bounds: Vec<Bound> = Vec::with_capacity(seconds.len());
        let mut before = None;
        for &bound in seconds {
            if !(1e-9..=1e6).contains(&bound) {
                return Err(Unusable::NotADuration(bound));
            }
            if let Some(before) = before.filter(|before| *before >= bound) {
                return Err(Unusable::NotAscending(before, bound));
            }
            before = Some(bound);
            bounds.push(Bound {
                nanoseconds: nanoseconds(bound),
                label: format!("le=\"{bound:?}\"").into(),
            });
        }
        Ok(Self {
            bounds: bounds.into(),
        })
    }

    /// Without `+Inf`.
    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    /// `le="…"` of every bucket, `+Inf` last. A whole number keeps its `.0`: `OpenMetrics` requires it,
    /// Prometheus 3 stores it so, and the services that were instrumented by hand send it so.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.bounds
            .iter()
            .map(|bound| &*bound.label)
            .chain(std::iter::once("le=\"+Inf\""))
    }

    /// The first bucket whose bound is not below the duration; `len()` is `+Inf`. With a dozen bounds, most calls
    /// in the first half, a walk beats a binary search.
    fn index(&self, nanoseconds: u64) -> usize {
        self.bounds
            .iter()
            .take_while(|bound| bound.nanoseconds < nanoseconds)
            .count()
    }
}

impl Default for Buckets {
    fn default() -> Self {
        let bounds = DEFAULT_SECONDS.map(|bound| Bound {
            nanoseconds: nanoseconds(bound),
            label: format!("le=\"{bound:?}\"").into(),
        });
        Self {
            bounds: bounds.into(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounds are within 1e-9..=1e6 seconds"
)]
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// One series of buckets and the sum of all durations.
#[derive(Debug)]
pub struct Histogram {
    buckets: Buckets,
    /// Not cumulative; the last is `+Inf`.
    counts: Box<[Cell]>,
    sum_nanoseconds: Cell,
}

impl Histogram {
    pub(super) fn new(buckets: Buckets) -> Self {
        let counts = (0..=buckets.len()).map(|_| Cell::default()).collect();
        Self {
            buckets,
            counts,
            sum_nanoseconds: Cell::default(),
        }
    }

    pub(super) fn observe(&self, nanoseconds: u64) {
        if let Some(cell) = self.counts.get(self.buckets.index(nanoseconds)) {
            cell.add(1);
        }
        self.sum_nanoseconds.add(nanoseconds);
    }

    /// Of the same bounds.
    pub(super) fn absorb(&self, other: &Self) {
        for (cell, more) in self.counts.iter().zip(&other.counts) {
            cell.add(more.get());
        }
        self.sum_nanoseconds.add(other.sum_nanoseconds.get());
    }

    /// Cumulative counts, `+Inf` last. The total of a histogram is taken from these, not from a cell of its own:
    /// so `_count` and `+Inf` agree in every scrape, whatever the writer does meanwhile.
    pub fn cumulative(&self) -> impl Iterator<Item = (&str, u64)> {
        self.buckets
            .labels()
            .zip(self.counts.iter().scan(0_u64, |total, cell| {
                *total = total.wrapping_add(cell.get());
                Some(*total)
            }))
    }

    pub fn sum_nanoseconds(&self) -> u64 {
        self.sum_nanoseconds.get()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(seconds: &[f64], expected: &str) {
        assert_eq!(
            Buckets::new(seconds).expect_err("must be refused").to_string(),
            expected
        );
    }

    #[test]
    fn refusals() {
        refused(&[], "at least one bucket is needed");
        refused(
            &vec![1.0; 65],
            "65 buckets are too many; at most 64, since each is a series per method",
        );
        let range =
            "is not a duration in seconds between 1e-9 and 1e6 (the last bucket, +Inf, is there by itself)";
        refused(&[0.0], &format!("0 {range}"));
        refused(&[1.0, f64::INFINITY], &format!("inf {range}"));
        refused(&[f64::NAN], &format!("NaN {range}"));
        refused(&[1.0, 1.0], "1 does not come after 1; bounds go up");
        refused(&[2.0, 1.0], "1 does not come after 2; bounds go up");
    }

    #[test]
    fn default_is_the_contract() {
        assert_eq!(Buckets::new(&DEFAULT_SECONDS), Ok(Buckets::default()));
        let labels: Vec<_> = Buckets::default().labels().map(str::to_owned).collect();
        assert_eq!(labels[0], "le=\"0.001\"");
        assert_eq!(labels[9], "le=\"1.0\"");
        assert_eq!(labels[13], "le=\"+Inf\"");
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::new(Buckets::new(&[0.001, 0.01]).expect("bounds"));
        for nanoseconds in [0, 1_000_000, 1_000_001, 10_000_000, 10_000_001, u64::MAX / 4] {
            histogram.observe(nanoseconds);
        }
        assert_eq!(
            histogram.cumulative().map(|(_, count)| count).collect::<Vec<_>>(),
            [2, 4, 6]
        );
    }

    proptest! {
        #[test]
        fn every_observation_is_in_the_last_bucket(durations in proptest::collection::vec(0..u64::from(u32::MAX) * 8, 0..200)) {
            let histogram = Histogram::new(Buckets::default());
            for duration in &durations {
                histogram.observe(*duration);
            }
            let counts: Vec<u64> = histogram.cumulative().map(|(_, count)| count).collect();
            prop_assert!(counts.is_sorted());
            prop_assert_eq!(counts.last().copied(), Some(durations.len() as u64));
            prop_assert_eq!(histogram.sum_nanoseconds(), durations.iter().sum::<u64>());
        }
    }
}
