//! What is shown: the difference between two readings, as one row for each method or service.
//!
//! Boundary: numbers in, numbers out; how they look is `table`'s and `screen`'s.

use std::collections::BTreeMap;

pub mod quantile;
pub mod reading;

use reading::grown;
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
    let groups = grouped(earlier, now, side, grouping);
    let mut all = Group::default();
    for group in groups.values() {
        all.add(group);
    }
    let rows = groups.into_iter().map(|(key, group)| row(key, group, span));
    Report {
        rows: rows.collect(),
        all: row(Key::default(), all, span),
        losses: losses(earlier, now),
        span,
        hidden: now.hidden,
        uptime,
    }
}

/// What one row is made of.
#[derive(Debug, Default)]
struct Group {
    /// Since the reading before.
    new: Totals,
    total: Totals,
}

impl Group {
    fn add(&mut self, other: &Self) {
        self.new.add(&other.new);
        self.total.add(&other.total);
    }
}

/// Differences come first, series by series, and are added up then.
fn grouped(earlier: Option<&Reading>, now: &Reading, side: Side, grouping: Grouping) -> BTreeMap<Key, Group> {
    let mut groups = BTreeMap::<Key, Group>::new();
    let none = Totals::default();
    for (key, parts) in now.side(side) {
        let before = earlier.and_then(|earlier| earlier.side(side).get(key));
        let key = match grouping {
            Grouping::Methods => key.clone(),
            Grouping::Services => Key {
                service: key.service.clone(),
                ..Key::default()
            },
        };
        let group = groups.entry(key).or_default();
        for (part, totals) in parts {
            let before = before.and_then(|before| before.get(part)).unwrap_or(&none);
            group.new.add(&totals.since(before));
            group.total.add(totals);
        }
    }
    groups
}

fn row(key: Key, group: Group, span: Span) -> Row {
    let Group { new, total } = group;
    let seconds = match span {
        Span::Interval(seconds) | Span::SinceStart(seconds) => Some(seconds).filter(|seconds| *seconds > 0.0),
        Span::Unknown => None,
    };
    let per_second = |value: f64| seconds.map(|seconds| value / seconds);
    let durations = if new.durations.count() > 0.0 {
        new.durations
    } else {
        total.durations
    };
    Row {
        key,
        rate: per_second(new.ended),
        errors: (new.ended > 0.0).then(|| (new.errors / new.ended * 100.0).clamp(0.0, 100.0)),
        quantiles: [0.5, 0.95, 0.99].map(|share| durations.quantile(share)),
        in_flight: total.in_flight,
        bytes: new.bytes.and_then(per_second),
    }
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

#[cfg(test)]
mod tests;
