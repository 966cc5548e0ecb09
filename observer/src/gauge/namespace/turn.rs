//! Which lists of sockets are read first, where there is not time for all. Pure.

use std::collections::VecDeque;
use std::time::Instant;

/// What there is to say for reading a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Changed,
    /// As many sockets as when it was read.
    Unchanged,
    /// Nothing.
    Current,
}

#[derive(Clone, Copy, Debug)]
pub struct Due {
    pub kind: Kind,
    pub read: Option<Instant>,
}

/// One that has changed, one that has not, and so on, of each kind the oldest first. Of those that need not be read, for a
/// check the oldest.
pub fn in_turn<T>(due: Vec<(Due, T)>, is_check: bool) -> Vec<T> {
    let (mut changed, mut unchanged) = (VecDeque::new(), VecDeque::new());
    let mut may_check = is_check;
    let mut all = due;
    all.sort_by_key(|(due, _)| due.read);
    for (due, item) in all {
        match due.kind {
            Kind::Changed => changed.push_back(item),
            Kind::Unchanged => unchanged.push_back(item),
            Kind::Current if may_check => {
                may_check = false;
                unchanged.push_front(item);
            }
            Kind::Current => {}
        }
    }
    let total = changed.len() + unchanged.len();
    let mut order = Vec::with_capacity(total);
    while order.len() < total {
        order.extend(changed.pop_front());
        order.extend(unchanged.pop_front());
    }
    order
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Five change in every pass, which is all that there is time for: the others have their turn nevertheless.
    #[test]
    fn a_quiet_namespace_among_busy_ones() {
        let start = Instant::now();
        let mut read: Vec<Option<Instant>> = vec![Some(start); 8];
        for pass in 1..=6 {
            let now = start + Duration::from_secs(5 * pass);
            let due = |number: usize, read: Option<Instant>| Due {
                kind: if number >= 5 {
                    Kind::Unchanged
                } else {
                    Kind::Changed
                },
                read,
            };
            let all = read.iter().enumerate();
            let all = all.map(|(number, at)| (due(number, *at), number)).collect();
            let order = in_turn(all, false);
            assert_eq!(order.len(), read.len());
            for number in order.into_iter().take(5) {
                read[number] = Some(now);
            }
        }
        let oldest = read.iter().flatten().min().unwrap();
        assert!(
            *oldest >= start + Duration::from_secs(5 * 3),
            "{:?}",
            start - *oldest
        );
    }

    /// A check takes the oldest of those that need none, and nothing else.
    #[test]
    fn one_for_a_check() {
        let start = Instant::now();
        let due = |(kind, age): (Kind, u64)| Due {
            kind,
            read: Some(start + Duration::from_secs(10 - age)),
        };
        let all = [(Kind::Current, 1), (Kind::Current, 3), (Kind::Changed, 2)];
        let all: Vec<_> = all.map(due).into_iter().zip(["new", "old", "changed"]).collect();
        assert_eq!(in_turn(all.clone(), false), ["changed"]);
        assert_eq!(in_turn(all, true), ["changed", "old"]);
    }
}
