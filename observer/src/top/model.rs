//! What is shown: the difference between two readings, as one row for each method or service.
//!
//! Boundary: numbers in, numbers out; how they look is `table`'s and `screen`'s.

use std::collections::BTreeMap;

pub mod quantile;
pub mod reading;

use quantile::Buckets;
pub use reading::{Key, Reading, Side, Totals};

/// What the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    Methods,
    Services,
}

/// One line of the table. `None` is what nobody measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub key: Key,
    /// Calls that ended, per second.
    pub rate: Option<f64>,
    /// Of the calls that ended, in percent.
    pub errors: Option<f64>,
    /// p50, p95, p99 in seconds.
    pub quantiles: [Option<f64>; 3],
    pub in_flight: Option<f64>,
    /// Both ways, per second.
    pub bytes: Option<f64>,
}

/// What was lost, for one reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    pub reason: String,
    pub total: f64,
    /// Since the reading before.
    pub new: f64,
}

/// The time that rates are over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Span {
    /// Seconds between two readings.
    Interval(f64),
    /// Seconds since the observer started: there is one reading only.
    SinceStart(f64),
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub rows: Vec<Row>,
    pub all: Row,
    pub losses: Vec<Loss>,
    pub span: Span,
    /// Connections in which gRPC would not be seen.
    pub hidden: f64,
    /// Seconds that the observer has been running.
    pub uptime: Option<f64>,
}

/// The report of one side. Without an earlier reading, averages since the observer started.
pub fn report(earlier: Option<&Reading>, now: &Reading, side: Side, grouping: Grouping) -> Report {
    // Counters of an observer that was started in between begin at 0 again.
    let earlier = earlier.filter(|earlier| earlier.started == now.started);
    let uptime = now
        .started
        .map(|started| now.unix - started)
        .filter(|seconds| *seconds > 0.0);
    let span = match (earlier, uptime) {
        (Some(earlier), _) => Span::Interval((now.at - earlier.at).as_secs_f64()),
        (None, Some(uptime)) => Span::SinceStart(uptime),
        (None, None) => Span::Unknown,
    };
    let after = grouped(now, side, grouping);
    let before = earlier
        .map(|earlier| grouped(earlier, side, grouping))
        .unwrap_or_default();
    let none = Totals::default();
    let rows = after
        .iter()
        .map(|(key, totals)| row(key.clone(), before.get(key).unwrap_or(&none), totals, span))
        .collect();
    let sum = |groups: &BTreeMap<Key, Totals>| {
        let mut sum = Totals::default();
        for totals in groups.values() {
            sum.add(totals);
        }
        sum
    };
    Report {
        rows,
        all: row(Key::default(), &sum(&before), &sum(&after), span),
        losses: losses(earlier, now),
        span,
        hidden: now.hidden,
        uptime,
    }
}

fn grouped(reading: &Reading, side: Side, grouping: Grouping) -> BTreeMap<Key, Totals> {
    let mut groups = BTreeMap::<Key, Totals>::new();
    for (key, totals) in reading.side(side) {
        let key = match grouping {
            Grouping::Methods => key.clone(),
            Grouping::Services => Key {
                service: key.service.clone(),
                ..Key::default()
            },
        };
        groups.entry(key).or_default().add(totals);
    }
    groups
}

fn row(key: Key, before: &Totals, after: &Totals, span: Span) -> Row {
    let seconds = match span {
        Span::Interval(seconds) | Span::SinceStart(seconds) => Some(seconds).filter(|seconds| *seconds > 0.0),
        Span::Unknown => None,
    };
    let per_second = |value: f64| seconds.map(|seconds| value / seconds);
    let ended = grown(before.ended, after.ended);
    let errors = grown(before.errors, after.errors);
    let bytes = after.bytes.map(|after| grown(before.bytes.unwrap_or(0.0), after));
    let interval = after.durations.since(&before.durations);
    let durations = if interval.count() > 0.0 {
        interval
    } else {
        after.durations.clone()
    };
    Row {
        key,
        rate: per_second(ended),
        errors: (ended > 0.0).then(|| (errors / ended * 100.0).clamp(0.0, 100.0)),
        quantiles: [0.5, 0.95, 0.99].map(|share| durations.quantile(share)),
        in_flight: after.in_flight,
        bytes: bytes.and_then(per_second),
    }
}

/// Of a counter. One that went down began anew: its series had expired and came back.
fn grown(before: f64, after: f64) -> f64 {
    if after >= before { after - before } else { after }
}

fn losses(earlier: Option<&Reading>, now: &Reading) -> Vec<Loss> {
    let before = |reason: &str| earlier.and_then(|earlier| earlier.lost.get(reason)).copied();
    let mut losses: Vec<_> = now
        .lost
        .iter()
        .filter(|(_, total)| **total > 0.0)
        .map(|(reason, total)| Loss {
            reason: reason.clone(),
            total: *total,
            new: earlier.map_or(0.0, |_| grown(before(reason).unwrap_or(0.0), *total)),
        })
        .collect();
    // What is being lost now comes first.
    losses.sort_by(|one, two| two.new.total_cmp(&one.new).then(two.total.total_cmp(&one.total)));
    losses
}

impl Buckets {
    fn since(&self, before: &Self) -> Self {
        self.map(|bound, count| grown(before.at(bound), count))
    }
}

#[cfg(test)]
mod tests;
