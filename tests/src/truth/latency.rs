//! Durations of calls: the observer's histogram against what the server itself measured. A server's own clock starts when
//! its program is run: on a busy machine that is later than the request's arrival, which the observer counts from. Then
//! the times of the packets decide.

use std::fmt::Write as _;
use std::time::Duration;

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

    /// What calls took, in seconds.
    pub fn of_calls(calls: impl Iterator<Item = f64>) -> Self {
        let mut tally = MethodTally::default();
        for took in calls {
            tally.end("", Duration::from_secs_f64(took.max(0.0)));
        }
        Self::of_server(&tally)
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

/// The figures, and whether they are near enough to the server's, or to those of the wire where they are known.
pub fn compare(
    method: &str,
    observer: &Durations,
    server: &MethodTally,
    wire: Option<&Durations>,
) -> (String, bool) {
    let server = Durations::of_server(server);
    let mut figures = format!(
        "{method}: mean {:.3} ms, server {:.3} ms; buckets of p50, p90, p99 {:?}",
        observer.mean() * 1000.0,
        server.mean() * 1000.0,
        buckets(observer, &server)
    );
    let mut is_near = near(observer, &server);
    if let Some(wire) = wire {
        let _ = write!(figures, "; packets {:.3} ms", wire.mean() * 1000.0);
        if !is_near && near(observer, wire) {
            is_near = true;
            figures += ", which decide: the machine was too busy for the server's clock";
        }
    }
    (figures, is_near)
}

fn buckets(observer: &Durations, other: &Durations) -> [(usize, usize); 3] {
    QUANTILES.map(|quantile| (observer.bucket_of(quantile), other.bucket_of(quantile)))
}

fn near(observer: &Durations, other: &Durations) -> bool {
    let apart = (observer.mean() - other.mean()).abs();
    apart <= other.mean() * MAX_PART + MAX_MORE
        && buckets(observer, other)
            .iter()
            .all(|(seen, own)| seen.abs_diff(*own) <= 1)
}

#[cfg(test)]
mod tests {
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
        let (figures, is_near) = compare("/a", &observer, &tally(server), None);
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
    fn packets_decide_where_the_server_was_late() {
        let observer = Durations::of_server(&tally(&[21; 10]));
        for (wire, expected) in [(0.021, true), (0.019, false)] {
            let wire = Durations::of_calls([wire; 10].into_iter());
            let (figures, is_near) = compare("/a", &observer, &tally(&[20; 10]), Some(&wire));
            assert_eq!(is_near, expected, "{figures}");
        }
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
