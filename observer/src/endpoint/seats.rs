//! A bounded number of places, where the newest comer always gets one: the one who has sat longest without a sign of
//! life has to go.
//!
//! Refusing the newest instead was the alternative: then a handful of stuck readers would keep the scraper and the
//! kubelet's probes out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
pub struct Seats {
    max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// By order of coming (or of the last refresh).
    seats: BTreeMap<u64, Arc<Notify>>,
}

impl Taken {
    fn sit(&mut self, notify: Arc<Notify>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.seats.insert(number, notify);
        number
    }
}

impl Seats {
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            taken: Mutex::default(),
        })
    }

    /// A place for somebody who will listen to `displaced`. True if another had to go for it.
    pub fn take(self: &Arc<Self>, displaced: Arc<Notify>) -> (Seat, bool) {
        let mut taken = self.lock();
        let crowded = taken.seats.len() >= self.max;
        if let Some((_, oldest)) = crowded.then(|| taken.seats.pop_first()).flatten() {
            oldest.notify_one();
        }
        let number = taken.sit(displaced);
        (
            Seat {
                seats: Arc::clone(self),
                number,
            },
            crowded,
        )
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    number: u64,
}

impl Seat {
    /// Becomes the newest. Nothing for one who was displaced already.
    pub fn refresh(&mut self) {
        let mut taken = self.seats.lock();
        if let Some(notify) = taken.seats.remove(&self.number) {
            self.number = taken.sit(notify);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().seats.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn told(notify: &Notify) -> bool {
        pin!(notify.notified())
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn the_oldest_goes() {
        let seats = Seats::new(2);
        let who: [Arc<Notify>; 4] = std::array::from_fn(|_| Arc::default());
        let (mut first, crowded) = seats.take(Arc::clone(&who[0]));
        assert!(!crowded);
        let (second, _) = seats.take(Arc::clone(&who[1]));
        first.refresh();
        let (_third, crowded) = seats.take(Arc::clone(&who[2]));
        assert!(crowded);
        assert_eq!(
            who.each_ref().map(|notify| told(notify)),
            [false, true, false, false]
        );
        drop(second);
        drop(first);
        let (_fourth, crowded) = seats.take(Arc::clone(&who[3]));
        assert!(!crowded, "a place was free again");
    }
}
