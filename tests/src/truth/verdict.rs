//! The judgement on one cell: the applications' calls against the observer's, one call at a time as far as counts
//! can tell.

use std::collections::{BTreeMap, BTreeSet};

use super::counts::{Counts, Ends};

/// How many differing lines a failure shows.
const MAX_LINES: usize = 12;

/// Whether the situation lets the observer see everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sight {
    /// Every call must be right.
    #[default]
    Whole,
    /// Parts are out of its sight: what it does not know it must say, to the last call.
    Partial,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    pub made: u64,
    pub right: u64,
    /// Calls that the observer says it could not see, or not fully: their end, their method, or all of them.
    pub unobserved: u64,
    /// Everything else: a wrong end or method, a call too many, a call missing that no loss counter tells of.
    pub wrong: u64,
    /// Whether what is unobserved fails the cell.
    pub failed: bool,
    pub notes: Vec<String>,
}

impl Verdict {
    /// Adds another pair of programs to the same cell.
    pub fn add(&mut self, other: &Self) {
        let Self {
            made,
            right,
            unobserved,
            wrong,
            failed,
            notes,
        } = other;
        self.made += made;
        self.right += right;
        self.unobserved += unobserved;
        self.wrong += wrong;
        self.failed |= failed;
        self.notes.extend(notes.iter().cloned());
    }
}

/// Judges one side. `alike` are statuses that must not be told apart; `unseen` the calls of which the observer says that
/// it saw nothing, for both sides together: what is missing is taken from it.
pub fn judge(
    truth: &Ends,
    seen: &Ends,
    (counts, unseen): (&Counts, &mut u64),
    alike: &[&str],
    sight: Sight,
) -> Verdict {
    let (truth, seen) = (merged(truth, alike), merged(seen, alike));
    let made: u64 = truth.values().sum();
    let (vague, clear): (Ends, Ends) = seen.into_iter().partition(|((method, status), _)| {
        matches!(method.as_str(), "_unknown" | "_other") || status == "_unobserved"
    });
    let right: u64 = truth
        .iter()
        .map(|(end, count)| (*count).min(clear.get(end).copied().unwrap_or(0)))
        .sum();
    let clear_calls: u64 = clear.values().sum();
    let vague_calls: u64 = vague.values().sum();
    let mistaken = clear_calls - right;
    let seen_calls = clear_calls + vague_calls;
    let missing = made.saturating_sub(seen_calls);
    // Mistaken calls above what was made are counted once, as mistaken.
    let surplus = seen_calls.saturating_sub(made).saturating_sub(mistaken);
    let reported = missing.min(*unseen);
    *unseen -= reported;
    let unobserved = vague_calls - surplus.min(vague_calls) + reported;
    let wrong = mistaken + surplus + (missing - reported);
    let unexplained = vague_calls > 0 && counts.unknown_fields == 0 && counts.lost.is_empty();
    let failed = wrong > 0 || unexplained || (sight == Sight::Whole && unobserved > 0);
    let notes = if failed || unobserved > 0 {
        differing(&truth, &clear, &vague, counts)
    } else {
        Vec::new()
    };
    Verdict {
        made,
        right,
        unobserved,
        wrong,
        failed,
        notes,
    }
}

/// Calls of which the observer says that they were made, and that they are in none of its counts.
pub fn reported_missing(counts: &Counts) -> u64 {
    let reasons = ["unseen_call", "unrecognised_stream"];
    reasons.iter().filter_map(|reason| counts.lost.get(*reason)).sum()
}

/// The ends without that many calls of one status.
pub fn without(ends: &Ends, status: &str, mut count: u64) -> Ends {
    let mut left = ends.clone();
    for ((_, of), calls) in &mut left {
        if of == status {
            let taken = count.min(*calls);
            *calls -= taken;
            count -= taken;
        }
    }
    left
}

/// How many calls two views end the same way.
pub fn agreeing(one: &Ends, other: &Ends) -> u64 {
    one.iter()
        .map(|(end, count)| (*count).min(other.get(end).copied().unwrap_or(0)))
        .sum()
}

fn merged(ends: &Ends, alike: &[&str]) -> Ends {
    let mut merged = Ends::new();
    for ((method, status), count) in ends {
        let status = if alike.contains(&status.as_str()) {
            alike.join(" or ")
        } else {
            status.clone()
        };
        *merged.entry((method.clone(), status)).or_default() += count;
    }
    merged.retain(|_, count| *count > 0);
    merged
}

fn differing(truth: &Ends, clear: &Ends, vague: &Ends, counts: &Counts) -> Vec<String> {
    let keys: BTreeSet<_> = truth.keys().chain(clear.keys()).collect();
    let mut lines = Vec::new();
    for end in keys {
        let (application, observer) = (
            truth.get(end).copied().unwrap_or(0),
            clear.get(end).copied().unwrap_or(0),
        );
        if application != observer {
            lines.push(format!(
                "{} {}: application {application}, observer {observer}",
                end.0, end.1
            ));
        }
    }
    for ((method, status), count) in vague {
        lines.push(format!("{method} {status}: observer {count}"));
    }
    lines.truncate(MAX_LINES);
    lines.push(losses(counts));
    lines
}

/// What the observer says about itself.
fn losses(counts: &Counts) -> String {
    let mut told: BTreeMap<&str, u64> = counts
        .lost
        .iter()
        .map(|(reason, count)| (reason.as_str(), *count))
        .collect();
    if counts.unknown_fields > 0 {
        told.insert("unknown header fields", counts.unknown_fields);
    }
    if told.is_empty() {
        return "the observer reports no loss".to_owned();
    }
    let told: Vec<String> = told
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    format!("the observer reports: {}", told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(list: &[(&str, &str, u64)]) -> Ends {
        list.iter()
            .map(|(method, status, count)| (((*method).to_owned(), (*status).to_owned()), *count))
            .collect()
    }

    #[track_caller]
    fn check(
        truth: &[(&str, &str, u64)],
        seen: &[(&str, &str, u64)],
        lost: &[(&str, u64)],
        sight: Sight,
        expected: (u64, u64, u64, u64, bool),
    ) {
        let counts = Counts {
            lost: lost
                .iter()
                .map(|(reason, count)| ((*reason).to_owned(), *count))
                .collect(),
            ..Counts::default()
        };
        let verdict = judge(
            &ends(truth),
            &ends(seen),
            (&counts, &mut reported_missing(&counts)),
            &["CANCELLED", "DEADLINE_EXCEEDED"],
            sight,
        );
        let got = (
            verdict.made,
            verdict.right,
            verdict.unobserved,
            verdict.wrong,
            verdict.failed,
        );
        assert_eq!(got, expected, "{verdict:?}");
    }

    #[test]
    fn all_right() {
        let calls = [("/a", "OK", 5), ("/b", "NOT_FOUND", 2)];
        check(&calls, &calls, &[], Sight::Whole, (7, 7, 0, 0, false));
    }

    #[test]
    fn a_deadline_may_be_a_cancel() {
        let (truth, seen) = ([("/a", "DEADLINE_EXCEEDED", 5)], [("/a", "CANCELLED", 5)]);
        check(&truth, &seen, &[], Sight::Whole, (5, 5, 0, 0, false));
    }

    #[test]
    fn a_wrong_status_is_wrong_once() {
        let seen = [("/a", "OK", 4), ("/a", "UNKNOWN", 1)];
        check(&[("/a", "OK", 5)], &seen, &[], Sight::Whole, (5, 4, 0, 1, true));
    }

    #[test]
    fn a_call_too_many_is_wrong() {
        check(
            &[("/a", "OK", 5)],
            &[("/a", "OK", 6)],
            &[],
            Sight::Whole,
            (5, 5, 0, 1, true),
        );
        let seen = [("/a", "OK", 5), ("_unknown", "OK", 1)];
        check(
            &[("/a", "OK", 5)],
            &seen,
            &[("unseen_request", 1)],
            Sight::Partial,
            (5, 5, 0, 1, true),
        );
    }

    #[test]
    fn a_missing_call_needs_a_report() {
        let (truth, seen) = ([("/a", "OK", 5)], [("/a", "OK", 4)]);
        check(&truth, &seen, &[], Sight::Partial, (5, 4, 0, 1, true));
        check(
            &truth,
            &seen,
            &[("unseen_call", 1)],
            Sight::Partial,
            (5, 4, 1, 0, false),
        );
        check(
            &truth,
            &seen,
            &[("unseen_call", 1)],
            Sight::Whole,
            (5, 4, 1, 0, true),
        );
    }

    #[test]
    fn an_end_not_seen_needs_a_loss() {
        let (truth, seen) = ([("/a", "OK", 2)], [("/a", "OK", 1), ("/a", "_unobserved", 1)]);
        check(&truth, &seen, &[], Sight::Partial, (2, 1, 1, 0, true));
        check(
            &truth,
            &seen,
            &[("record_gap", 9)],
            Sight::Partial,
            (2, 1, 1, 0, false),
        );
    }
}
