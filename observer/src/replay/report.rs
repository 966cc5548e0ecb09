//! What a capture's calls come to: by method and status for people, and in the daemon's own families for Prometheus.

use std::collections::HashMap;
use std::sync::Arc;

use observer_ebpf::loss::Loss;
use observer_ebpf::record::Protocol;

use super::packet::Endpoint;
use super::quantile::Durations;
use crate::metrics::own::Lost;
use crate::metrics::{self, End, MethodCells, Now, Recorder, Registry, ServiceLabels, label};
use crate::pipeline::loss;
use crate::session::{CallEvent, MethodIndex, SessionLosses, Status};

/// Methods with rows of their own; the rest is `_other`. As many as any table can be read with.
const MAX_METHODS: usize = 10_000;

/// Names the service of a server.
pub type Naming = Box<dyn Fn(Endpoint) -> String>;

pub struct Report {
    rows: Vec<Rows>,
    by_name: HashMap<Box<str>, usize>,
    recorder: Recorder,
    registry: Arc<Registry>,
    naming: Naming,
    pub records: u64,
    /// Connections that carry something else, by what.
    pub hidden: HashMap<&'static str, u64>,
}

impl std::fmt::Debug for Report {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Report")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// The calls of one method.
#[derive(Debug)]
pub struct Rows {
    pub method: Box<str>,
    pub started: u64,
    /// Those that ended of those that were seen to start.
    pub ended: u64,
    by_status: Vec<Row>,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub status: Status,
    pub count: u64,
    /// Of the calls whose beginning and end were seen.
    pub durations: Durations,
}

/// A connection's handle on a method.
#[derive(Debug)]
pub struct Method {
    row: usize,
    cells: MethodCells,
}

impl Report {
    pub fn new(settings: metrics::Settings, naming: Naming) -> Self {
        let (recorder, registry) = metrics::new(settings);
        Self {
            rows: Vec::new(),
            by_name: HashMap::new(),
            recorder,
            registry,
            naming,
            records: 0,
            hidden: HashMap::new(),
        }
    }

    pub fn method(&mut self, server: Endpoint, index: MethodIndex, path: &[u8]) -> Method {
        let method = match index {
            MethodIndex::UNKNOWN => metrics::Method::Unknown,
            MethodIndex::OTHER => metrics::Method::Other,
            _ => metrics::Method::Path(path),
        };
        let mut name = String::new();
        match method {
            metrics::Method::Path(path) => label::escape_into(&mut name, path),
            metrics::Method::Unknown => name.push_str(label::UNKNOWN),
            metrics::Method::Other => name.push_str(label::OTHER),
        }
        let service = (self.naming)(server);
        let labels = ServiceLabels {
            service: &service,
            namespace: "",
            pod: "",
        };
        let service = self.recorder.service(&labels);
        // Whichever end the capture was taken at: each call is in it once, and counts where it was served.
        let cells = self.recorder.method(&service, metrics::Side::Server, method);
        Method {
            row: self.row(name),
            cells,
        }
    }

    pub fn event(&mut self, method: &mut Method, event: &CallEvent) {
        let Some(rows) = self.rows.get_mut(method.row) else {
            return;
        };
        match *event {
            CallEvent::Started { .. } => {
                rows.started += 1;
                method.cells.started(&mut self.recorder);
            }
            CallEvent::Bytes {
                request, response, ..
            } => {
                method.cells.bytes(&mut self.recorder, request, response);
            }
            CallEvent::Ended(ended) => {
                let duration_nanoseconds = ended
                    .started
                    .filter(|_| ended.status != Status::Unobserved)
                    .map(|started| ended.ended.saturating_sub(started));
                rows.end(ended.status, ended.started.is_some(), duration_nanoseconds);
                // The other clock stands still, so that nothing expires.
                self.recorder.advance(Now {
                    monotonic: 0,
                    unix: ended.ended,
                });
                method
                    .cells
                    .bytes(&mut self.recorder, ended.request_bytes, ended.response_bytes);
                let was_started = ended.started.is_some();
                let end = End {
                    status: ended.status,
                    duration_nanoseconds,
                    was_started,
                };
                method.cells.ended(&mut self.recorder, end);
            }
        }
    }

    pub fn losses(&mut self, losses: &mut SessionLosses) {
        loss::tell(&std::mem::take(losses), self.registry.own());
    }

    pub fn lost(&mut self, loss: Loss) {
        self.registry.own().lost(Lost::Kernel(loss)).add(1);
    }

    pub fn hidden(&mut self, protocol: Protocol) {
        let word = match protocol {
            Protocol::Tls => "TLS",
            Protocol::Multipath => "MPTCP",
            Protocol::Http1 => "HTTP/1",
            _ => "other protocols",
        };
        *self.hidden.entry(word).or_default() += 1;
    }

    /// By method, then status, in order.
    pub fn rows(&self) -> Vec<(&str, &Row)> {
        let mut order: Vec<&Rows> = self.rows.iter().collect();
        order.sort_by(|one, other| one.method.cmp(&other.method));
        order
            .into_iter()
            .flat_map(|rows| {
                let mut by_status: Vec<&Row> = rows.by_status.iter().collect();
                by_status.sort_by_key(|row| row.status.index());
                by_status.into_iter().map(|row| (&*rows.method, row))
            })
            .collect()
    }

    /// Calls that began and did not end within the capture.
    pub fn open(&self) -> u64 {
        self.rows
            .iter()
            .map(|rows| rows.started.saturating_sub(rows.ended))
            .sum()
    }

    /// Everything lost, by reason, that was lost at all.
    pub fn losses_by_reason(&self) -> Vec<(&'static str, u64)> {
        let mut losses = Vec::new();
        self.registry.own().visit(|family, word, value| {
            if family.name == metrics::catalogue::LOST.name
                && value > 0
                && let Some(word) = word
            {
                losses.push((word, value));
            }
        });
        losses
    }

    /// Requests over HTTP/2 that are not gRPC, and header fields older than the capture.
    pub fn asides(&self) -> (u64, u64) {
        let own = self.registry.own();
        (own.other_requests.get(), own.unknown_fields.get())
    }

    /// The exposition, as the daemon would write it.
    pub fn exposition(&self) -> Vec<u8> {
        metrics::render::render(&self.registry, metrics::Format::Text)
    }

    fn row(&mut self, name: String) -> usize {
        if let Some(&row) = self.by_name.get(name.as_str()) {
            return row;
        }
        if self.rows.len() >= MAX_METHODS && name != label::OTHER {
            return self.row(label::OTHER.to_owned());
        }
        let (method, row) = (name.into_boxed_str(), self.rows.len());
        self.rows.push(Rows {
            method: method.clone(),
            started: 0,
            ended: 0,
            by_status: Vec::new(),
        });
        self.by_name.insert(method, row);
        row
    }
}

impl Rows {
    fn end(&mut self, status: Status, was_started: bool, duration: Option<u64>) {
        self.ended += u64::from(was_started);
        let place = self
            .by_status
            .iter()
            .position(|row| row.status == status)
            .unwrap_or_else(|| {
                self.by_status.push(Row {
                    status,
                    count: 0,
                    durations: Durations::default(),
                });
                self.by_status.len() - 1
            });
        let Some(row) = self.by_status.get_mut(place) else {
            return;
        };
        row.count += 1;
        if let Some(duration) = duration {
            row.durations.record(duration);
        }
    }
}
