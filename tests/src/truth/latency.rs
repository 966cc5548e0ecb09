//! Durations of calls: the observer's histogram against what the server itself measured.

use crate::scrape::Scrape;
use crate::workload::tally::{BOUNDS, MethodTally};

const FAMILY: &str = "marty_grpc_request_duration_seconds";
/// How far the means may be apart: a part of the server's, and what it takes to read a request and write an answer.
const MAX_PART: f64 = 0.02;
const MAX_MORE: f64 = 0.0002;
const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// A histogram of one method, whatever service it was called at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durations {
    seconds: f64,
    /// Not cumulative, one for each of [`BOUNDS`] and one for the rest.
    buckets: Vec<f64>,
}

impl Durations {
    pub fn of(scrape: &Scrape, method: &str) -> Self {
        let labels = [("method", method)];
        let bounds = BOUNDS.iter().copied().chain([f64::INFINITY]);
        let bucket = format!("{FAMILY}_bucket");
        let mut before = 0.0;
        let buckets = bounds.map(|bound| {
            let of_bound = |sample: &&crate::scrape::Sample| {
                let said = sample.label("le").replace("+Inf", "inf").parse::<f64>();
                said.is_ok_and(|said| said.to_bits() == bound.to_bits())
            };
            let total: f64 = scrape
                .find(&bucket, &labels)
                .filter(of_bound)
                .map(|sample| sample.value)
                .sum();
            let own = total - before;
            before = total;
            own
        });
        Self {
            buckets: buckets.collect(),
            seconds: scrape.sum(&format!("{FAMILY}_sum"), &labels),
        }
    }

    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&before.buckets);
        Self {
            seconds: self.seconds - before.seconds,
            buckets: buckets.map(|(now, before)| now - before).collect(),
        }
    }

    fn of_server(tally: &MethodTally) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts of tests are far below 2^53")]
        let buckets = tally.buckets.iter().map(|count| *count as f64).collect();
        Self {
            seconds: tally.seconds,
            buckets,
        }
    }

    fn mean(&self) -> f64 {
        self.seconds / self.buckets.iter().sum::<f64>().max(1.0)
    }

    /// The bucket that a quantile is in.
    fn bucket_of(&self, quantile: f64) -> usize {
        let wanted = self.buckets.iter().sum::<f64>() * quantile;
        let mut sum = 0.0;
        let reached = self.buckets.iter().position(|count| {
            sum += count;
            sum >= wanted
        });
        reached.unwrap_or(self.buckets.len())
    }
}

/// The figures, and whether they are near enough.
pub fn compare(method: &str, observer: &Durations, server: &MethodTally) -> (String, bool) {
    let server = Durations::of_server(server);
    let (seen, own) = (observer.mean(), server.mean());
    let buckets = QUANTILES.map(|quantile| (observer.bucket_of(quantile), server.bucket_of(quantile)));
    let is_near = (seen - own).abs() <= own * MAX_PART + MAX_MORE;
    let is_near = is_near && buckets.iter().all(|(seen, own)| seen.abs_diff(*own) <= 1);
    let figures = format!(
        "{method}: mean {:.3} ms, server {:.3} ms; buckets of p50, p90, p99 {buckets:?}",
        seen * 1000.0,
        own * 1000.0
    );
    (figures, is_near)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tally(milliseconds: &[u64]) -> MethodTally {
        let mut tally = MethodTally::default();
        for each in milliseconds {
            tally.end("OK", Duration::from_millis(*each));
        }
        tally
    }

    #[track_caller]
    fn check(observer: &[u64], server: &[u64], expected: bool) {
        let observer = Durations::of_server(&tally(observer));
        let (figures, is_near) = compare("/a", &observer, &tally(server));
        assert_eq!(is_near, expected, "{figures}");
    }

    #[test]
    fn near_and_far() {
        check(&[20, 20, 21], &[20, 20, 20], true);
        check(&[20, 20, 24], &[20, 20, 20], false);
        check(&[200; 100], &[200; 100], true);
        check(&[7], &[200], false);
    }

    #[test]
    fn histograms_of_a_scrape() {
        let line =
            |bound: String, count: u8| format!("{FAMILY}_bucket{{method=\"/a\",le=\"{bound}\"}} {count}\n");
        let lines = BOUNDS.map(|bound| line(format!("{bound:?}"), u8::from(bound > 0.02)));
        let text = [
            format!("# TYPE {FAMILY} histogram\n"),
            lines.concat(),
            line("+Inf".into(), 1),
            format!("{FAMILY}_sum{{method=\"/a\"}} 0.021\n{FAMILY}_count{{method=\"/a\"}} 1\n"),
        ]
        .concat();
        let durations = Durations::of(&Scrape::parse(&text).unwrap(), "/a");
        assert_eq!(durations, Durations::of_server(&tally(&[21])));
    }
}
