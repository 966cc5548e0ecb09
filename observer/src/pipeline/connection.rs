//! One connection: its session, the name of its service, and the cells that its calls are counted in. Both are
//! resolved once; after that a call costs an index and a few adds.

mod cells;
mod name;

use std::time::Instant;

use observer_ebpf::record::{Close, Kind, Protocol, Record, Role, Socket};

use super::waiting::Waiting;
use super::{Naming, carries, loss};
use crate::attribution::Attributed;
use crate::metrics::own::{Carries, DaemonLoss, Lost};
use crate::metrics::{Own, Recorder};
use crate::session::{CallEvent, Session, Side};

pub(super) use self::cells::end_of;
use self::cells::{Cells, tell_end};

/// How long a connection whose `Socket` record was lost is not named: the kernel tells it again with the next packet.
const ANNOUNCING: u64 = 2_000_000_000;
/// A connection without `Socket` record and without calls, quiet for so long, may have ended before it was taken on.
const UNANNOUNCED_IDLE: u64 = 60_000_000_000;

#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    /// For connections that (may) carry HTTP/2.
    session: Option<Box<Session>>,
    name: Name,
    /// A better name than the one it was given, from when no call is open.
    renamed: Option<Attributed>,
    cells: Cells,
    /// Under which word it is counted as open.
    counted: Option<Carries>,
    /// What it carries is seen in plaintext, and counted there.
    decrypted: bool,
    /// Whether its `Socket` record has come.
    announced: bool,
    asked: Asked,
    /// Of the names, when a better one was asked for last.
    version: u64,
    /// Times of its first and last record.
    born: u64,
    seen: u64,
    over: bool,
}

/// Whether its name has been asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Never,
    Once,
    /// There was no room for the question, or to wait for the answer.
    InVain,
}

/// Where connections get their names and calls their cells.
pub(super) struct Desk<'a, N> {
    pub(super) naming: &'a mut N,
    pub(super) now: Instant,
    pub(super) recorder: &'a mut Recorder,
    /// Methods that wait for the names of all connections.
    pub(super) waiting: &'a mut usize,
}

#[derive(Debug)]
enum Name {
    /// No call yet, so nobody has asked.
    Unasked,
    /// Asked for, or not to be asked for before the `Socket` record that may still come.
    Pending(Waiting),
    Known(Attributed),
}

impl Connection {
    pub(super) fn new(socket: &Socket) -> Self {
        Self {
            socket: *socket,
            session: None,
            name: Name::Unasked,
            renamed: None,
            cells: Cells::default(),
            counted: None,
            decrypted: false,
            announced: true,
            asked: Asked::Never,
            version: 0,
            born: 0,
            seen: 0,
            over: false,
        }
    }

    /// A connection whose beginning was lost: decoded as one that was joined late, and named by what can be found.
    pub(super) fn unannounced() -> Self {
        let nowhere = Socket {
            cgroup: 0,
            local: [0; 16],
            remote: [0; 16],
            local_port: 0,
            remote_port: 0,
            process: 0,
            command: [0; 16],
            protocol: Protocol::Http2 as u8,
            role: Role::Unknown as u8,
            joined: 1,
            requests: 0,
            reserved: [0; 4],
        };
        let mut connection = Self::new(&nowhere);
        connection.session = Some(Box::new(Session::new(true)));
        connection.announced = false;
        connection
    }

    /// The connection as the kernel knows it now.
    pub(super) fn on_socket(&mut self, socket: &Socket, own: &Own) {
        // Two directions tell at once, and the one that knows less may come last.
        let decided = self.announced && self.socket.protocol != Protocol::Undecided as u8;
        if decided && socket.protocol == Protocol::Undecided as u8 {
            return;
        }
        self.socket = *socket;
        self.announced = true;
        match Protocol::from_raw(socket.protocol) {
            Protocol::Http2 | Protocol::Undecided => {
                self.session
                    .get_or_insert_with(|| Box::new(Session::new(socket.joined != 0)));
            }
            // Until the answer shows that it stays HTTP/1, of which the kernel tells again, it may be left for HTTP/2:
            // what was numbered and sent by then belongs to that.
            Protocol::Http1 if socket.joined == 0 && self.counted != Some(Carries::Http1) => {
                self.session.get_or_insert_with(|| Box::new(Session::new(false)));
            }
            Protocol::Http1 | Protocol::Tls | Protocol::Other | Protocol::Multipath => self.session = None,
        }
        self.count(own);
    }

    /// What it carries has been seen in plaintext, inside of its process: it is hidden no more. Gives what is known of
    /// the socket.
    pub(super) fn decrypt(&mut self, own: &Own) -> &Socket {
        self.decrypted = true;
        self.count(own);
        &self.socket
    }

    pub(super) const fn is_decrypted(&self) -> bool {
        self.decrypted
    }

    /// Whether the kernel may still walk it.
    pub(super) fn may_wait(&self) -> bool {
        matches!(
            Protocol::from_raw(self.socket.protocol),
            Protocol::Undecided | Protocol::Http2 | Protocol::Http1
        )
    }

    pub(super) fn on_record(&mut self, record: &Record, payload: &[u8], events: &mut Vec<CallEvent>) {
        if self.born == 0 {
            self.born = record.time;
        }
        self.seen = record.time;
        match &mut self.session {
            Some(session) => {
                session.on_record(record, payload, events);
                self.over = session.is_closed();
            }
            None if record.kind == Kind::Closed as u8 => {
                self.over = Close::from_raw(record.frame_type) != Some(Close::Fin);
            }
            None => {}
        }
    }

    pub(super) fn expire(&mut self, now: u64, idle: u64, events: &mut Vec<CallEvent>) {
        if let Some(session) = &mut self.session {
            session.expire(now, idle, events);
            self.over = self.over || session.is_closed();
        }
    }

    pub(super) fn end(&mut self, time: u64, events: &mut Vec<CallEvent>) {
        if let Some(session) = &mut self.session {
            session.end(time, events);
        }
        self.over = true;
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn open_streams(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.open_streams())
    }

    pub(super) fn waits_for_name(&self) -> bool {
        matches!(&self.name, Name::Pending(waiting) if !waiting.is_empty())
    }

    /// Counts the events under the connection's name, or keeps them until it is known.
    #[inline]
    pub(super) fn deliver(
        &mut self,
        events: &mut Vec<CallEvent>,
        cookie: u64,
        desk: &mut Desk<'_, impl Naming>,
    ) {
        if matches!(self.name, Name::Known(_)) {
            self.tell(events, desk.recorder);
        } else {
            self.wait_for_name(events, cookie, desk);
        }
        if self.renamed.is_some() {
            self.rename(desk.recorder);
        }
        // gRPC once is gRPC for good, and another protocol is told by a `Socket` record.
        if self.counted != Some(Carries::Grpc) {
            self.count(desk.recorder.registry().own());
        }
    }

    /// Drains what the session could not tell into the observer's own numbers.
    pub(super) fn tell_losses(&mut self, own: &Own) {
        if let Some(session) = &mut self.session {
            loss::tell(&std::mem::take(session.losses()), own);
        }
    }

    /// The connection is gone for good.
    pub(super) fn leave(mut self, recorder: &mut Recorder, total: &mut usize) {
        self.tell_losses(recorder.registry().own());
        if let Name::Pending(waiting) = std::mem::replace(&mut self.name, Name::Unasked) {
            let calls = waiting
                .take(total)
                .iter()
                .map(|(_, backlog)| backlog.calls())
                .sum();
            let own = recorder.registry().own();
            own.lost(Lost::Daemon(DaemonLoss::UnnamedCall)).add(calls);
        }
        if let Some(mut service) = self.cells.service.take() {
            service.connection_closed(recorder);
        }
        if let Some(word) = self.counted.take() {
            recorder.registry().own().connections.of(word).subtract(1);
        }
    }

    fn side(&self) -> Option<Side> {
        self.session.as_ref().and_then(|session| session.side())
    }

    /// Keeps the number of open connections by what they carry.
    fn count(&mut self, own: &Own) {
        let grpc = self.session.as_ref().is_some_and(|session| session.is_grpc());
        let word = carries(Protocol::from_raw(self.socket.protocol), grpc).filter(|_| !self.decrypted);
        if word == self.counted {
            return;
        }
        if let Some(before) = self.counted {
            own.connections.of(before).subtract(1);
        }
        if let Some(word) = word {
            own.connections.of(word).add(1);
            own.connections_seen.of(word).add(1);
        }
        self.counted = word;
    }

    fn tell(&mut self, events: &mut Vec<CallEvent>, recorder: &mut Recorder) {
        for event in events.iter() {
            let Some(cells) = self.cells(event.method(), recorder) else {
                continue;
            };
            match event {
                CallEvent::Started { .. } => cells.started(recorder),
                CallEvent::Bytes {
                    request, response, ..
                } => cells.bytes(recorder, *request, *response),
                CallEvent::Ended(ended) => tell_end(cells, ended, recorder),
            }
        }
        events.clear();
    }
}
