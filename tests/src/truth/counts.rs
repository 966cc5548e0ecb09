//! What the observer counted: the calls of one scrape, or of the time between two.

use std::collections::BTreeMap;

use crate::scrape::Scrape;
use crate::scrape::calls::Side;
use crate::workload::tally::Tally;

/// Calls that ended, by method and status.
pub type Ends = BTreeMap<(String, String), u64>;

/// Everything that one cell is judged by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub server: Ends,
    pub client: Ends,
    /// Calls at the server's socket, by service.
    pub services: BTreeMap<String, u64>,
    /// DATA payload, by method: of requests, of responses.
    pub bytes: BTreeMap<String, (u64, u64)>,
    pub lost: BTreeMap<String, u64>,
    pub unknown_fields: u64,
    pub events: u64,
    /// Connections and calls that the daemon holds state for: a level, not a count.
    pub held: u64,
    pub in_flight: u64,
}

impl Counts {
    pub fn of(scrape: &Scrape) -> Self {
        let mut counts = Self {
            server: ends(scrape, "marty_grpc_requests_total"),
            client: ends(scrape, "marty_grpc_client_requests_total"),
            unknown_fields: whole(scrape.sum("marty_observer_unknown_header_fields_total", &[])),
            events: whole(scrape.sum("marty_observer_events_read_total", &[])),
            held: whole(scrape.sum("marty_observer_connections_held", &[]))
                + whole(scrape.sum("marty_observer_calls_held", &[])),
            in_flight: whole(scrape.sum("marty_grpc_requests_in_flight", &[])),
            ..Self::default()
        };
        for sample in scrape.find("marty_grpc_requests_total", &[]) {
            *counts.services.entry(sample.label("service").into()).or_default() += whole(sample.value);
        }
        for sample in scrape.find("marty_observer_lost_total", &[]) {
            *counts.lost.entry(sample.label("reason").into()).or_default() += whole(sample.value);
        }
        for sample in scrape.find("marty_grpc_request_bytes_total", &[]) {
            counts.bytes.entry(sample.label("method").into()).or_default().0 += whole(sample.value);
        }
        for sample in scrape.find("marty_grpc_response_bytes_total", &[]) {
            counts.bytes.entry(sample.label("method").into()).or_default().1 += whole(sample.value);
        }
        counts
    }

    pub fn ends(&self, side: Side) -> &Ends {
        match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        }
    }

    /// What came after `before`; levels stay what they are.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            server: less(&self.server, &before.server),
            client: less(&self.client, &before.client),
            services: less(&self.services, &before.services),
            bytes: less_bytes(&self.bytes, &before.bytes),
            lost: less(&self.lost, &before.lost),
            unknown_fields: self.unknown_fields.saturating_sub(before.unknown_fields),
            events: self.events.saturating_sub(before.events),
            held: self.held,
            in_flight: self.in_flight,
        }
    }

    /// Adds what another observer counted; levels are those of `self`.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        add(&mut sum.server, &other.server);
        add(&mut sum.client, &other.client);
        add(&mut sum.services, &other.services);
        add(&mut sum.lost, &other.lost);
        for (method, (request, response)) in &other.bytes {
            let bytes = sum.bytes.entry(method.clone()).or_default();
            *bytes = (bytes.0 + request, bytes.1 + response);
        }
        sum.unknown_fields += other.unknown_fields;
        sum.events += other.events;
        sum
    }
}

/// The ends that a program counted.
pub fn told(tally: &Tally) -> Ends {
    let mut ends = Ends::new();
    for (method, of) in &tally.methods {
        for (status, count) in &of.ended {
            *ends.entry((method.clone(), status.clone())).or_default() += count;
        }
    }
    ends
}

/// All calls of `tally`, each with the same end.
pub fn all_ended(tally: &Tally, status: &str) -> Ends {
    let of = |(method, of): (&String, &crate::workload::tally::MethodTally)| {
        ((method.clone(), status.to_owned()), of.started)
    };
    tally.methods.iter().map(of).collect()
}

pub fn add<K: Ord + Clone>(to: &mut BTreeMap<K, u64>, other: &BTreeMap<K, u64>) {
    for (key, count) in other {
        *to.entry(key.clone()).or_default() += count;
    }
}

fn less<K: Ord + Clone>(now: &BTreeMap<K, u64>, before: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    let left = now.iter().map(|(key, count)| {
        (
            key.clone(),
            count.saturating_sub(before.get(key).copied().unwrap_or(0)),
        )
    });
    left.filter(|(_, count)| *count > 0).collect()
}

fn less_bytes(
    now: &BTreeMap<String, (u64, u64)>,
    before: &BTreeMap<String, (u64, u64)>,
) -> BTreeMap<String, (u64, u64)> {
    let left = now.iter().map(|(method, (request, response))| {
        let (earlier_request, earlier_response) = before.get(method).copied().unwrap_or_default();
        let bytes = (
            request.saturating_sub(earlier_request),
            response.saturating_sub(earlier_response),
        );
        (method.clone(), bytes)
    });
    left.filter(|(_, bytes)| *bytes != (0, 0)).collect()
}

fn ends(scrape: &Scrape, family: &str) -> Ends {
    let mut ends = Ends::new();
    for sample in scrape.find(family, &[]) {
        let key = (
            sample.label("method").to_owned(),
            sample.label("status").to_owned(),
        );
        *ends.entry(key).or_default() += whole(sample.value);
    }
    ends
}

/// A count, which a counter shows as a float.
#[expect(
    clippy::cast_sign_loss,
    reason = "counts of tests are far below 2^53 and never negative"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(ok: u64, lost: u64) -> Counts {
        let mut counts = Counts::default();
        counts.server.insert(("/a".into(), "OK".into()), ok);
        counts.lost.insert("ring_full".into(), lost);
        counts.bytes.insert("/a".into(), (ok * 5, 0));
        counts
    }

    #[test]
    fn the_time_between_two_scrapes() {
        let between = counts(7, 2).since(&counts(4, 2));
        assert_eq!(between.server.values().sum::<u64>(), 3);
        assert!(between.lost.is_empty());
        assert_eq!(between.bytes["/a"], (15, 0));
    }

    #[test]
    fn two_observers_together() {
        assert_eq!(counts(7, 2).plus(&counts(4, 1)), counts(11, 3));
    }
}
