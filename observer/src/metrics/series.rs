//! The series of one service and of one method: their labels, ready to be copied into a scrape, and their cells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::cell::Cell;
use super::histogram::{Buckets, Histogram};
use super::label::{Side, Status};

/// Rendered and escaped labels. What a family puts between the two (`status`) goes between; `namespace` and `pod`
/// come last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    pub own: Box<str>,
    pub pod: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Half {
    Server,
    Client,
}

impl From<Side<'_>> for Half {
    fn from(side: Side<'_>) -> Self {
        match side {
            Side::Server => Self::Server,
            Side::Client { .. } => Self::Client,
        }
    }
}

/// Whether a series is in the exposition. A handle may outlive that; see [`MethodCells`](super::MethodCells).
#[derive(Debug, Default)]
pub(super) struct Life {
    /// Monotonic nanoseconds of the last count.
    pub touched: Cell,
    retired: AtomicBool,
}

impl Life {
    pub fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    pub fn retire(&self) {
        self.retired.store(true, Relaxed);
    }
}

#[derive(Debug)]
pub struct ServiceSeries {
    pub labels: Labels,
    pub active_connections: Cell,
    /// Unix nanoseconds; 0: none yet.
    pub last_success: Cell,
    pub(super) life: Life,
}

impl ServiceSeries {
    /// `marty_grpc_active_connections` and `marty_last_successful_operation_timestamp`.
    pub const COST: usize = 2;

    pub(super) fn new(labels: Labels) -> Self {
        let life = Life::default();
        Self {
            labels,
            active_connections: Cell::default(),
            last_success: Cell::default(),
            life,
        }
    }

    /// What tells services apart; not a valid label set by itself.
    pub(super) fn key(labels: &Labels) -> String {
        format!("{}|{}", labels.own, labels.pod)
    }
}

/// Everything that is counted for one method of one service, or, on the client's side, of one peer.
#[derive(Debug)]
pub struct MethodSeries {
    pub half: Half,
    pub labels: Labels,
    pub started: Cell,
    pub in_flight: Cell,
    pub request_bytes: Cell,
    pub response_bytes: Cell,
    pub ended: [Cell; Status::ALL.len()],
    pub duration: Histogram,
    pub(super) service: Arc<ServiceSeries>,
    pub(super) life: Life,
}

impl MethodSeries {
    pub(super) fn new(half: Half, own: Box<str>, service: Arc<ServiceSeries>, buckets: &Buckets) -> Self {
        Self {
            half,
            labels: Labels {
                own,
                pod: Arc::clone(&service.labels.pod),
            },
            started: Cell::default(),
            in_flight: Cell::default(),
            request_bytes: Cell::default(),
            response_bytes: Cell::default(),
            ended: std::array::from_fn(|_| Cell::default()),
            duration: Histogram::new(buckets.clone()),
            service,
            life: Life::default(),
        }
    }

    /// Series of a method before its first call ended.
    pub(super) fn cost(half: Half, buckets: &Buckets) -> usize {
        // Buckets, +Inf, sum, count.
        let histogram = buckets.len() + 3;
        match half {
            // And started, in flight, bytes each way.
            Half::Server => histogram + 4,
            Half::Client => histogram,
        }
    }

    /// Series that the first call with a status adds.
    pub(super) fn status_cost(status: Status) -> usize {
        if status == Status::Ok { 1 } else { 2 }
    }

    /// Series this method has now.
    pub(super) fn held(&self, buckets: &Buckets) -> usize {
        let statuses = Status::ALL
            .iter()
            .zip(&self.ended)
            .filter(|(_, cell)| cell.get() > 0);
        Self::cost(self.half, buckets)
            + statuses
                .map(|(status, _)| Self::status_cost(*status))
                .sum::<usize>()
    }
}
