//! What a program says it did and saw: the truth that everything else is compared with.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The observer's default bounds, so that histograms can be compared bucket by bucket.
pub const BOUNDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub peer: String,
    pub version: String,
    pub methods: BTreeMap<String, MethodTally>,
    #[serde(default)]
    pub unexpected: Vec<Unexpected>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MethodTally {
    pub started: u64,
    pub ended: BTreeMap<String, u64>,
    pub request_messages: u64,
    pub request_bytes: u64,
    pub response_messages: u64,
    pub response_bytes: u64,
    pub seconds: f64,
    pub buckets: Vec<u64>,
}

/// An end of calls, or an answer, that the plan did not ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unexpected {
    pub method: String,
    pub wanted: String,
    pub got: String,
    pub count: u64,
    pub detail: String,
}

impl Tally {
    pub fn new(peer: &str, version: &str) -> Self {
        Self {
            peer: peer.into(),
            version: version.into(),
            ..Self::default()
        }
    }

    pub fn method(&mut self, method: &str) -> &mut MethodTally {
        self.methods.entry(method.into()).or_default()
    }

    pub fn unexpected(&mut self, method: &str, wanted: &str, got: &str, detail: &str) {
        let same =
            |entry: &&mut Unexpected| entry.method == method && entry.wanted == wanted && entry.got == got;
        if let Some(entry) = self.unexpected.iter_mut().find(same) {
            entry.count += 1;
            return;
        }
        let detail = detail.chars().take(200).collect();
        let (method, wanted, got) = (method.into(), wanted.into(), got.into());
        self.unexpected.push(Unexpected {
            method,
            wanted,
            got,
            count: 1,
            detail,
        });
    }

    /// Adds another tally, as of a second plan or a second client.
    pub fn add(&mut self, other: &Self) {
        for (method, theirs) in &other.methods {
            self.method(method).add(theirs);
        }
        self.unexpected.extend(other.unexpected.iter().cloned());
    }

    /// What was counted after `earlier`, a tally of the same program. Durations are left out.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let nothing = MethodTally::default();
        let methods = self.methods.iter().map(|(method, now)| {
            let before = earlier.methods.get(method).unwrap_or(&nothing);
            (method.clone(), now.since(before))
        });
        Self {
            methods: methods.filter(|(_, of)| of.started > 0).collect(),
            ..self.clone()
        }
    }

    /// Calls begun, of all methods.
    pub fn started(&self) -> u64 {
        self.methods.values().map(|method| method.started).sum()
    }

    /// Calls that ended, of all methods.
    pub fn ended(&self) -> u64 {
        self.methods.values().map(MethodTally::ended_in_all).sum()
    }
}

impl MethodTally {
    pub fn request(&mut self, size: usize) {
        self.request_messages += 1;
        self.request_bytes += size as u64;
    }

    pub fn response(&mut self, size: usize) {
        self.response_messages += 1;
        self.response_bytes += size as u64;
    }

    pub fn end(&mut self, status: &str, took: Duration) {
        *self.ended.entry(status.into()).or_default() += 1;
        self.seconds += took.as_secs_f64();
        self.buckets.resize(BOUNDS.len() + 1, 0);
        let bucket = BOUNDS.partition_point(|bound| *bound < took.as_secs_f64());
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
    }

    pub fn ended_in_all(&self) -> u64 {
        self.ended.values().sum()
    }

    /// Seconds that a call took on average.
    #[expect(clippy::cast_precision_loss, reason = "counts of tests are far below 2^53")]
    pub fn mean(&self) -> f64 {
        self.seconds / self.ended_in_all().max(1) as f64
    }

    /// Bytes of DATA payload that the request messages take: five of framing each.
    pub fn request_data(&self) -> u64 {
        self.request_bytes + 5 * self.request_messages
    }

    /// Bytes of DATA payload that the response messages take.
    pub fn response_data(&self) -> u64 {
        self.response_bytes + 5 * self.response_messages
    }

    fn since(&self, before: &Self) -> Self {
        let ended = self.ended.iter().map(|(status, count)| {
            let earlier = before.ended.get(status).copied().unwrap_or(0);
            (status.clone(), count - earlier)
        });
        Self {
            started: self.started - before.started,
            ended: ended.filter(|(_, count)| *count > 0).collect(),
            request_messages: self.request_messages - before.request_messages,
            request_bytes: self.request_bytes - before.request_bytes,
            response_messages: self.response_messages - before.response_messages,
            response_bytes: self.response_bytes - before.response_bytes,
            seconds: 0.0,
            buckets: Vec::new(),
        }
    }

    fn add(&mut self, other: &Self) {
        let Self {
            started,
            ended,
            request_messages,
            request_bytes,
            response_messages,
            response_bytes,
            seconds,
            buckets,
        } = other;
        self.started += started;
        for (status, count) in ended {
            *self.ended.entry(status.clone()).or_default() += count;
        }
        self.request_messages += request_messages;
        self.request_bytes += request_bytes;
        self.response_messages += response_messages;
        self.response_bytes += response_bytes;
        self.seconds += seconds;
        self.buckets.resize(BOUNDS.len() + 1, 0);
        for (mine, theirs) in self.buckets.iter_mut().zip(buckets) {
            *mine += theirs;
        }
    }
}
