//! The observer's calls against the applications' own counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::Scrape;
use crate::workload::comparison::without_abandoned;
use crate::workload::tally::Tally;

/// Whose sockets the calls were seen at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Server,
    Client,
}

impl Side {
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }

    fn family(self, end: &str) -> String {
        match self {
            Self::Server => format!("marty_grpc_{end}"),
            Self::Client => format!("marty_grpc_client_{end}"),
        }
    }
}

/// Whether a cancel and a met deadline must be told apart. Applications disagree about them among themselves, so only
/// a test that has made the wire unambiguous can ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abandoned {
    Exact,
    Together,
}

type Ends = BTreeMap<String, BTreeMap<String, u64>>;

/// Compares ended calls by method and status, among the series that have `labels`, with a tally. The error is a table of
/// every line that differs.
pub fn compare(
    scrape: &Scrape,
    side: Side,
    labels: &[(&str, &str)],
    tally: &Tally,
    abandoned: Abandoned,
) -> Result<(), String> {
    let merge = |ended: &BTreeMap<String, u64>| match abandoned {
        Abandoned::Exact => ended.clone(),
        Abandoned::Together => without_abandoned(ended),
    };
    let mut seen = Ends::new();
    for sample in scrape.find(&side.family("requests_total"), labels) {
        let method = seen.entry(sample.label("method").to_owned()).or_default();
        *method.entry(sample.label("status").to_owned()).or_default() += whole(sample.value);
    }
    let seen: Ends = seen
        .iter()
        .map(|(method, ended)| (method.clone(), merge(ended)))
        .collect();
    let counted: Ends = tally
        .methods
        .iter()
        .map(|(method, of)| (method.clone(), merge(&of.ended)))
        .collect();
    let mut table = differing(&counted, &seen);
    table += &inconsistencies(scrape, side, labels);
    if table.is_empty() { Ok(()) } else { Err(table) }
}

fn differing(counted: &Ends, seen: &Ends) -> String {
    let keys = |ends: &Ends| -> BTreeSet<(String, String)> {
        let pairs = ends
            .iter()
            .flat_map(|(method, ended)| ended.keys().map(|status| (method.clone(), status.clone())));
        pairs.collect()
    };
    let count = |ends: &Ends, method: &str, status: &str| {
        ends.get(method)
            .and_then(|ended| ended.get(status))
            .copied()
            .unwrap_or_default()
    };
    let mut table = String::new();
    for (method, status) in &keys(counted) | &keys(seen) {
        let (application, observer) = (count(counted, &method, &status), count(seen, &method, &status));
        if application != observer {
            let _ = write!(
                table,
                "\n  {method} {status}: application {application}, observer {observer}"
            );
        }
    }
    table
}

/// What must hold within any scrape once all calls have ended: durations and errors say the same as the calls.
fn inconsistencies(scrape: &Scrape, side: Side, labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let mut same = |what: &str, one: f64, other: f64| {
        if whole(one) != whole(other) {
            let _ = write!(text, "\n  {what}: {one} and {other}");
        }
    };
    let calls = side.family("requests_total");
    let all = scrape.sum(&calls, labels);
    // A call whose end was not seen is not known to be an error.
    let right: f64 = scrape
        .find(&calls, labels)
        .filter(|sample| matches!(sample.label("status"), "OK" | "_unobserved"))
        .map(|s| s.value)
        .sum();
    same(
        "calls and durations",
        all,
        scrape.sum(&side.family("request_duration_seconds_count"), labels),
    );
    same(
        "calls other than OK and errors",
        all - right,
        scrape.sum(&side.family("errors_total"), labels),
    );
    if side == Side::Server {
        same(
            "calls and calls begun",
            all,
            scrape.sum("marty_grpc_requests_started_total", labels),
        );
        same(
            "calls in flight and none",
            scrape.sum("marty_grpc_requests_in_flight", labels),
            0.0,
        );
    }
    text
}

/// A count, which a counter shows as a float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of tests are far below 2^53"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(calls: &str) -> Scrape {
        Scrape::parse(&format!(
            "# TYPE marty_grpc_requests_total counter\n{calls}# TYPE marty_grpc_request_duration_seconds histogram\n\
             marty_grpc_request_duration_seconds_count 5\n# TYPE marty_grpc_requests_started_total counter\n\
             marty_grpc_requests_started_total 5\n# TYPE marty_grpc_errors_total counter\nmarty_grpc_errors_total 2\n"
        ))
        .unwrap()
    }

    fn tally() -> Tally {
        let mut tally = Tally::default();
        tally.method("/a").ended = [("OK".to_owned(), 3), ("CANCELLED".to_owned(), 2)].into();
        tally
    }

    #[test]
    fn the_same_counts_agree() {
        let scrape = scrape(
            "marty_grpc_requests_total{method=\"/a\",status=\"OK\"} 3\n\
             marty_grpc_requests_total{method=\"/a\",status=\"DEADLINE_EXCEEDED\"} 2\n",
        );
        assert_eq!(
            compare(&scrape, Side::Server, &[], &tally(), Abandoned::Together),
            Ok(())
        );
        let error = compare(&scrape, Side::Server, &[], &tally(), Abandoned::Exact).unwrap_err();
        assert!(
            error.contains("/a CANCELLED: application 2, observer 0"),
            "{error}"
        );
    }

    #[test]
    fn a_lost_call_is_named() {
        let scrape = scrape(
            "marty_grpc_requests_total{method=\"/a\",status=\"OK\"} 2\n\
             marty_grpc_requests_total{method=\"/a\",status=\"CANCELLED\"} 2\n",
        );
        let error = compare(&scrape, Side::Server, &[], &tally(), Abandoned::Exact).unwrap_err();
        assert!(
            error.contains("/a OK: application 3, observer 2")
                && error.contains("calls and durations: 4 and 5")
        );
    }
}
