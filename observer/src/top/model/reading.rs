//! What of one scrape matters here.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::super::scrape::{self, Labels, Url};
use super::quantile::Buckets;
use crate::metrics::catalogue as families;
use crate::metrics::family::Family;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Server,
    Client,
}

/// What a row is about. Fit to be shown: no character that moves a cursor or turns the direction of text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// With its namespace before it, where it has one.
    pub service: String,
    /// The called service; empty at the server's side.
    pub peer: String,
    pub method: String,
}

/// What of the labels of a series is not shown, but tells it from others of the same row. Each may expire, or begin
/// anew, by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pod: String,
    /// The status, or which way the bytes go.
    word: String,
}

/// What one side's series say, row by row.
pub type Rows = BTreeMap<Key, BTreeMap<Part, Totals>>;

/// Counters and gauges of one row, or of a part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    pub ended: f64,
    pub errors: f64,
    pub durations: Buckets,
    pub in_flight: Option<f64>,
    pub bytes: Option<f64>,
}

impl Totals {
    pub fn add(&mut self, other: &Self) {
        let Self {
            ended,
            errors,
            durations,
            in_flight,
            bytes,
        } = other;
        self.ended += ended;
        self.errors += errors;
        self.durations.merge(durations);
        add_to(&mut self.in_flight, *in_flight);
        add_to(&mut self.bytes, *bytes);
    }

    /// What was counted since; gauges are those of now.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let bytes = self.bytes.map(|bytes| grown(before.bytes.unwrap_or(0.0), bytes));
        Self {
            ended: grown(before.ended, self.ended),
            errors: grown(before.errors, self.errors),
            durations: self
                .durations
                .map(|bound, count| grown(before.durations.at(bound), count)),
            in_flight: self.in_flight,
            bytes,
        }
    }
}

/// Of the counter of one series. One that went down began anew: it had expired and came back. Sums of several go down
/// when one of them expires, so they are not to be given to this.
pub fn grown(before: f64, after: f64) -> f64 {
    if after >= before { after - before } else { after }
}

fn add_to(sum: &mut Option<f64>, value: Option<f64>) {
    if let Some(value) = value {
        *sum = Some(sum.unwrap_or(0.0) + value);
    }
}

#[derive(Clone, Debug)]
pub struct Reading {
    pub at: Instant,
    /// The same moment on the clock on the wall, in seconds.
    pub unix: f64,
    /// When the observer started, in Unix seconds.
    pub started: Option<f64>,
    pub lost: BTreeMap<String, f64>,
    pub hidden: f64,
    server: Rows,
    client: Rows,
}

impl Reading {
    /// Asks an observer.
    pub fn take(url: &Url) -> Result<Self, scrape::Error> {
        let mut reading = Self::empty(Instant::now(), SystemTime::now());
        scrape::read(url, |name, labels, value| reading.see(name, labels, value))?;
        Ok(reading)
    }

    pub fn empty(at: Instant, now: SystemTime) -> Self {
        Self {
            at,
            unix: now
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
            started: None,
            lost: BTreeMap::new(),
            hidden: 0.0,
            server: BTreeMap::new(),
            client: BTreeMap::new(),
        }
    }

    pub fn side(&self, side: Side) -> &Rows {
        match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        }
    }

    /// Takes in one sample; those of families that are not shown change nothing.
    pub fn see(&mut self, name: &str, labels: &Labels, value: f64) {
        if !value.is_finite() {
            return;
        }
        if let Some(family) = name.strip_suffix("_bucket") {
            let bound = labels.get("le").parse().unwrap_or(f64::NAN);
            if let Some(totals) = self.totals(family, labels) {
                totals.durations.add(bound, value);
            }
        } else if name == families::LOST.name {
            *self.lost.entry(shown(labels.get("reason"))).or_default() += value;
        } else if name == families::SERIES_REFUSED.name {
            let reason = format!("refused {}", shown(labels.get("reason")));
            *self.lost.entry(reason).or_default() += value;
        } else if name == families::CONNECTIONS.name && labels.get("protocol") == "tls" {
            self.hidden += value;
        } else if name == families::START_TIME.name {
            self.started = Some(value);
        } else if let Some(totals) = self.totals(name, labels) {
            match name {
                _ if name == families::REQUESTS.name || name == families::CLIENT_REQUESTS.name => {
                    totals.ended += value;
                }
                _ if name == families::ERRORS.name || name == families::CLIENT_ERRORS.name => {
                    totals.errors += value;
                }
                _ if name == families::IN_FLIGHT.name => add_to(&mut totals.in_flight, Some(value)),
                _ if name == families::REQUEST_BYTES.name || name == families::RESPONSE_BYTES.name => {
                    add_to(&mut totals.bytes, Some(value));
                }
                _ => {}
            }
        }
    }

    /// The part of a row that a sample of this family belongs to.
    fn totals(&mut self, family: &str, labels: &Labels) -> Option<&mut Totals> {
        let is = |families: &[&Family]| families.iter().any(|one| one.name == family);
        let side = if is(&[
            &families::REQUESTS,
            &families::ERRORS,
            &families::DURATION,
            &families::IN_FLIGHT,
            &families::REQUEST_BYTES,
            &families::RESPONSE_BYTES,
        ]) {
            &mut self.server
        } else if is(&[
            &families::CLIENT_REQUESTS,
            &families::CLIENT_ERRORS,
            &families::CLIENT_DURATION,
        ]) {
            &mut self.client
        } else {
            return None;
        };
        let word = match family {
            _ if is(&[&families::REQUESTS, &families::CLIENT_REQUESTS]) => labels.get("status"),
            _ if is(&[&families::ERRORS, &families::CLIENT_ERRORS]) => labels.get("error_type"),
            _ if is(&[&families::REQUEST_BYTES, &families::RESPONSE_BYTES]) => family,
            _ => "",
        };
        let part = Part {
            pod: labels.get("pod").to_owned(),
            word: word.to_owned(),
        };
        Some(side.entry(key(labels)).or_default().entry(part).or_default())
    }
}

fn key(labels: &Labels) -> Key {
    let service = match (labels.get("namespace"), labels.get("service")) {
        ("", service) => shown(service),
        (namespace, service) => shown(&format!("{namespace}/{service}")),
    };
    Key {
        service,
        peer: shown(labels.get("peer")),
        method: shown(labels.get("method")),
    }
}

/// A method is whatever a client sent: what would move the cursor or turn the text around is replaced.
fn shown(text: &str) -> String {
    let bad = |char: char| {
        char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.replace(bad, "\u{fffd}")
}
