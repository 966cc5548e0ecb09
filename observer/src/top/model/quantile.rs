//! Quantiles out of cumulative buckets, as Prometheus' `histogram_quantile` finds them.

use std::collections::BTreeMap;

/// Counts of durations up to each bound, in seconds. Keyed by the bits of the bound: those of floats that are not
/// negative are in the order of the floats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets(BTreeMap<u64, Count>);

/// Whole, but kept as bits so that `Buckets` is comparable.
type Count = u64;

impl Buckets {
    /// Adds to the bucket up to `bound`, which may be infinite. Bounds of durations are not negative.
    pub fn add(&mut self, bound: f64, count: f64) {
        if bound >= 0.0 && count >= 0.0 {
            let sum = self.at(bound) + count;
            self.0.insert(bound.to_bits(), sum.to_bits());
        }
    }

    pub fn at(&self, bound: f64) -> f64 {
        self.0
            .get(&bound.to_bits())
            .map_or(0.0, |count| f64::from_bits(*count))
    }

    pub fn merge(&mut self, other: &Self) {
        for (bound, count) in other.iter() {
            self.add(bound, count);
        }
    }

    #[must_use]
    pub fn map(&self, mut change: impl FnMut(f64, f64) -> f64) -> Self {
        let mut changed = Self::default();
        for (bound, count) in self.iter() {
            changed.add(bound, change(bound, count));
        }
        changed
    }

    pub fn count(&self) -> f64 {
        self.at(f64::INFINITY)
    }

    /// Linear within the bucket that it falls into; the last finite bound where it lies above that.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let count = self.count();
        if count <= 0.0 {
            return None;
        }
        let rank = share * count;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, upto) in self.iter() {
            if bound.is_infinite() {
                break;
            }
            if upto >= rank && upto > below {
                return Some(lower + (bound - lower) * ((rank - below) / (upto - below)).clamp(0.0, 1.0));
            }
            // Counts of two readings that disagree may go down.
            (lower, below) = (bound, upto.max(below));
        }
        (lower > 0.0).then_some(lower)
    }

    fn iter(&self) -> impl Iterator<Item = (f64, f64)> {
        self.0
            .iter()
            .map(|(bound, count)| (f64::from_bits(*bound), f64::from_bits(*count)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn buckets(counts: &[(f64, f64)]) -> Buckets {
        let mut buckets = Buckets::default();
        for (bound, count) in counts {
            buckets.add(*bound, *count);
        }
        buckets
    }

    #[test]
    fn quantiles() {
        let check = |counts: &[(f64, f64)], share, expected: Option<f64>| {
            assert_eq!(buckets(counts).quantile(share), expected, "{counts:?}");
        };
        let infinite = f64::INFINITY;
        check(&[], 0.5, None);
        check(&[(1.0, 0.0), (infinite, 0.0)], 0.5, None);
        check(&[(1.0, 10.0), (infinite, 10.0)], 0.5, Some(0.5));
        check(&[(1.0, 10.0), (2.0, 20.0), (infinite, 20.0)], 0.75, Some(1.5));
        check(&[(1.0, 0.0), (2.0, 4.0), (infinite, 4.0)], 0.5, Some(1.5));
        check(&[(1.0, 1.0), (2.0, 1.0), (infinite, 100.0)], 0.99, Some(2.0));
        check(&[(infinite, 5.0)], 0.5, None);
    }

    proptest! {
        #[test]
        fn within_the_bounds_and_in_order(counts in prop::collection::vec((0.001..10.0, 0u32..1000), 1..20)) {
            let mut cumulated = Buckets::default();
            let mut sorted = counts;
            sorted.sort_by(|one: &(f64, u32), two| one.0.total_cmp(&two.0));
            let mut sum = 0.0;
            for (bound, count) in &sorted {
                sum += f64::from(*count);
                if cumulated.at(*bound) == 0.0 {
                    cumulated.add(*bound, sum);
                }
            }
            cumulated.add(f64::INFINITY, sum);
            let found = [0.5, 0.95, 0.99].map(|share| cumulated.quantile(share));
            let last = sorted.last().map_or(0.0, |(bound, _)| *bound);
            prop_assert!(found.iter().flatten().all(|value| (0.0..=last).contains(value)));
            prop_assert!(found.is_sorted());
        }
    }
}
