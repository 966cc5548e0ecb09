//! Durations of any number of calls in little memory: counts per bucket, 128 buckets for each power of two, so that a
//! quantile is right within 0.4 %.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Durations {
    count: u64,
    /// At most 57 * 128 + 128 buckets; in practice some dozens.
    buckets: BTreeMap<u16, u64>,
}

/// Bits of a value that are kept.
const BITS: u32 = 7;

impl Durations {
    pub fn record(&mut self, nanoseconds: u64) {
        self.count += 1;
        *self.buckets.entry(bucket(nanoseconds)).or_default() += 1;
    }

    /// The duration that `hundredths` of 100 calls do not exceed; `None`: there are none.
    pub fn quantile(&self, hundredths: u64) -> Option<u64> {
        let rank = (self.count * hundredths).div_ceil(100).max(1);
        let mut seen = 0;
        self.buckets
            .iter()
            .find(|&(_, count)| {
                seen += count;
                seen >= rank
            })
            .map(|(&bucket, _)| middle(bucket))
    }
}

fn bucket(value: u64) -> u16 {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    let kept = u16::try_from(value >> shift).unwrap_or(u16::MAX);
    // Above the first power, `kept` has its top bit set, which the shift says already.
    u16::try_from(shift << BITS).unwrap_or(u16::MAX) + kept
}

/// The middle of what falls into the bucket.
fn middle(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let (power, kept) = (bucket >> BITS, bucket & ((1 << BITS) - 1));
    if power == 0 {
        return kept;
    }
    let shift = power - 1;
    let low = (kept | 1 << BITS) << shift;
    low + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_of_a_hundred() {
        let mut durations = Durations::default();
        assert_eq!(durations.quantile(50), None);
        (1..=100).for_each(|value| durations.record(value));
        let quantiles = [1, 50, 95, 99, 100].map(|hundredths| durations.quantile(hundredths));
        assert_eq!(quantiles, [1, 50, 95, 99, 100].map(Some));
    }

    #[test]
    fn one_call() {
        let mut durations = Durations::default();
        durations.record(u64::MAX);
        assert!(
            durations
                .quantile(50)
                .is_some_and(|value| value > u64::MAX - u64::MAX / 200)
        );
    }

    proptest! {
        #[test]
        fn buckets_are_narrow(value in prop_oneof![any::<u64>(), 0u64..1000, 0u64..1_000_000_000]) {
            let told = middle(bucket(value));
            prop_assert!(told.abs_diff(value) <= value / 250, "{} for {}", told, value);
        }

        #[test]
        fn buckets_are_in_order(one: u64, two: u64) {
            prop_assert!(one > two || bucket(one) <= bucket(two));
        }
    }
}
