//! From records to calls: a session for each connection, and what comes out of it to the [`Report`].

use observer_ebpf::loss::Loss;
use observer_ebpf::record::{Kind, Protocol, Record, Socket};
use rustc_hash::FxHashMap;

use super::packet::Endpoint;
use super::report::{Method, Report};
use super::told::Sink;
use crate::event::decode_socket;
use crate::session::{CallEvent, Ended, MethodIndex, Session, Side};

/// Calls of which nothing was seen are looked for so often, in nanoseconds of the capture's time.
const SWEEP: u64 = 60_000_000_000;

#[derive(Debug)]
pub(super) struct Calls {
    connections: FxHashMap<u64, Open>,
    events: Vec<CallEvent>,
    report: Report,
    /// Nanoseconds.
    idle: u64,
    swept: u64,
}

#[derive(Debug)]
struct Open {
    session: Session,
    socket: Socket,
    /// By [`MethodIndex`].
    methods: Vec<Option<Method>>,
}

impl Calls {
    pub(super) fn new(report: Report, idle: u64) -> Self {
        Self {
            connections: FxHashMap::default(),
            events: Vec::new(),
            report,
            idle,
            swept: 0,
        }
    }

    pub(super) fn finish(mut self) -> Report {
        for (_, mut open) in self.connections.drain() {
            self.report.losses(open.session.losses());
        }
        self.report
    }

    fn on_socket(&mut self, cookie: u64, payload: &[u8]) {
        let Some(socket) = decode_socket(payload) else {
            return;
        };
        if !matches!(
            Protocol::from_raw(socket.protocol),
            Protocol::Undecided | Protocol::Http2
        ) {
            self.connections.remove(&cookie);
            self.report.hidden(Protocol::from_raw(socket.protocol));
            return;
        }
        let open = self.connections.entry(cookie).or_insert_with(|| Open {
            session: Session::new(socket.joined != 0),
            socket,
            methods: Vec::new(),
        });
        open.socket = socket;
    }

    fn sweep(&mut self, now: u64) {
        if now.saturating_sub(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        for open in self.connections.values_mut() {
            open.session.expire(now, self.idle, &mut self.events);
            open.tell(&mut self.events, &mut self.report);
        }
    }
}

impl Sink for Calls {
    fn record(&mut self, record: &Record, payload: &[u8]) {
        self.report.records += 1;
        if record.kind == Kind::Socket as u8 {
            self.on_socket(record.connection, payload);
        }
        let Some(open) = self.connections.get_mut(&record.connection) else {
            return;
        };
        open.session.on_record(record, payload, &mut self.events);
        open.tell(&mut self.events, &mut self.report);
        if open.session.is_closed()
            && let Some(mut open) = self.connections.remove(&record.connection)
        {
            self.report.losses(open.session.losses());
        }
        self.sweep(record.time);
    }

    fn lost(&mut self, loss: Loss) {
        self.report.lost(loss);
    }
}

impl Open {
    fn tell(&mut self, events: &mut Vec<CallEvent>, report: &mut Report) {
        for event in events.drain(..) {
            let index = match event {
                CallEvent::Started { method, .. }
                | CallEvent::Bytes { method, .. }
                | CallEvent::Ended(Ended { method, .. }) => method,
            };
            let method = self.method(index, report);
            report.event(method, &event);
        }
    }

    fn method(&mut self, index: MethodIndex, report: &mut Report) -> &mut Method {
        let place = index.index();
        if self.methods.len() <= place {
            self.methods.resize_with(place + 1, || None);
        }
        let Self {
            session,
            socket,
            methods,
        } = self;
        // Bounded by the line above; `MethodIndex` itself is bounded by the session.
        #[expect(clippy::indexing_slicing, reason = "just made long enough")]
        methods[place]
            .get_or_insert_with(|| report.method(server(session, socket), index, session.method(index)))
    }
}

/// Where the calls go to: which end that is, the traffic may have shown better than the ports.
fn server(session: &Session, socket: &Socket) -> Endpoint {
    match session.side() {
        Some(Side::Client) => Endpoint {
            address: socket.remote,
            port: socket.remote_port,
        },
        _ => Endpoint {
            address: socket.local,
            port: socket.local_port,
        },
    }
}
