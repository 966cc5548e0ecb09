//! One connection: its session, the name of its service, and the cells that its calls are counted in. Both are
//! resolved once; after that a call costs an index and a few adds.

use std::time::Instant;

use observer_ebpf::record::{Close, Kind, Protocol, Record, Role, Socket};

use super::waiting::Waiting;
use super::{Naming, carries, loss};
use crate::attribution::{Attributed, Resolution, Source};
use crate::metrics::own::{Carries, DaemonLoss, Lost};
use crate::metrics::{End, Method, MethodCells, Own, Recorder, ServiceCells, ServiceLabels};
use crate::rpc::Ended;
use crate::session::{CallEvent, MethodIndex, Session, Side};

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

#[derive(Debug, Default)]
struct Cells {
    /// Server side only: what counts the connection as active.
    service: Option<ServiceCells>,
    /// By [`MethodIndex`].
    methods: Vec<Option<MethodCells>>,
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

    #[inline(never)]
    fn wait_for_name(&mut self, events: &mut Vec<CallEvent>, cookie: u64, desk: &mut Desk<'_, impl Naming>) {
        if matches!(self.name, Name::Unasked) {
            self.name = Name::Pending(Waiting::default());
            if self.announced {
                self.ask(cookie, desk);
            }
        }
        match &mut self.name {
            Name::Known(_) => self.tell(events, desk.recorder),
            Name::Pending(waiting) => {
                let counted = |event: &&CallEvent| waiting.count(event, desk.recorder, desk.waiting);
                let kept = events.iter().take_while(counted).count();
                if kept < events.len() {
                    events.drain(..kept);
                    self.wait_no_longer(events, desk);
                }
                events.clear();
            }
            Name::Unasked => {}
        }
    }

    /// There is no room to wait. Calls that nobody can be named for are counted as such; to leave some out would
    /// part beginnings from ends.
    fn wait_no_longer(&mut self, events: &mut Vec<CallEvent>, desk: &mut Desk<'_, impl Naming>) {
        let nobody = desk.naming.nobody(&self.socket());
        self.asked = Asked::InVain;
        self.named(nobody, desk.recorder, desk.waiting);
        self.tell(events, desk.recorder);
    }

    /// The `Socket` record has come late, or is not waited for any more.
    pub(super) fn announce(&mut self, cookie: u64, desk: &mut Desk<'_, impl Naming>) {
        if self.asked == Asked::Never && matches!(self.name, Name::Pending(_)) {
            self.ask(cookie, desk);
        }
    }

    /// Whether it has waited for its `Socket` record for so long that none will come.
    pub(super) const fn is_unannounced(&self, now: u64) -> bool {
        !self.announced && matches!(self.asked, Asked::Never) && now.saturating_sub(self.born) >= ANNOUNCING
    }

    /// Whether it may have ended before it was taken on.
    pub(super) fn is_doubtful(&self, now: u64) -> bool {
        !self.announced
            && now.saturating_sub(self.seen) >= UNANNOUNCED_IDLE
            && self.open_streams() == 0
            && !self.waits_for_name()
    }

    /// Whether there may be a better name: it was nobody's for want of room, or is only the UID of a pod that no list
    /// had yet, because the API server was away when it was asked for. A connection may last for days.
    pub(super) fn is_provisional(&self, version: u64) -> bool {
        let by_uid = |name: &Attributed| name.identity.source == Source::PodUid;
        let unlisted = self.version != version && matches!(&self.name, Name::Known(name) if by_uid(name));
        self.renamed.is_none() && (unlisted || self.asked == Asked::InVain && self.announced)
    }

    /// Asks once more; the answer is from memory or comes to [`Self::named`].
    pub(super) fn ask_again(&mut self, cookie: u64, version: u64, desk: &mut Desk<'_, impl Naming>) {
        self.version = version;
        let refused = self.asked == Asked::InVain;
        match desk.naming.renew(cookie, &self.socket(), desk.now, refused) {
            Resolution::Known(attributed) => {
                self.asked = Asked::Once;
                self.named(attributed, desk.recorder, desk.waiting);
            }
            Resolution::Pending => self.asked = Asked::Once,
            Resolution::Refused(_) => {}
        }
    }

    /// Takes on the better name. Calls are counted under one name from beginning to end, so not while one is open.
    fn rename(&mut self, recorder: &mut Recorder) {
        if self.renamed.is_none() || self.open_streams() > 0 {
            return;
        }
        if let Some(attributed) = self.renamed.take() {
            let Some(mut before) = std::mem::take(&mut self.cells).service else {
                self.name = Name::Known(attributed);
                return;
            };
            before.connection_closed(recorder);
            // It stays open, whether there will be another call or not.
            let mut service = recorder.service(&labels(&attributed));
            service.connection_opened(recorder);
            self.cells.service = Some(service);
            self.name = Name::Known(attributed);
        }
    }

    /// The answer to what `ask` asked.
    pub(super) fn named(&mut self, attributed: Attributed, recorder: &mut Recorder, total: &mut usize) {
        if let Name::Known(before) = &self.name {
            // A name is not taken away because there is none now: the process may have ended.
            if *before != attributed && attributed.identity.source != Source::Unknown {
                self.renamed = Some(attributed);
                self.rename(recorder);
            }
            return;
        }
        let before = std::mem::replace(&mut self.name, Name::Known(attributed));
        if let Name::Pending(waiting) = before {
            for (method, backlog) in waiting.take(total) {
                if let Some(cells) = self.cells(method, recorder) {
                    cells.absorb(recorder, &backlog);
                }
            }
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

    fn ask(&mut self, cookie: u64, desk: &mut Desk<'_, impl Naming>) {
        self.asked = Asked::Once;
        let socket = self.socket();
        match desk.naming.resolve(cookie, &socket, desk.now) {
            Resolution::Known(attributed) => self.named(attributed, desk.recorder, desk.waiting),
            Resolution::Pending => {}
            Resolution::Refused(nobody) => {
                self.asked = Asked::InVain;
                self.named(nobody, desk.recorder, desk.waiting);
            }
        }
    }

    /// What is known of the socket.
    fn socket(&self) -> Socket {
        let mut socket = self.socket;
        if let Some(side) = self.side() {
            // What the traffic shows is worth more than what the kernel saw, which may be nothing.
            socket.role = match side {
                Side::Server => Role::Passive,
                Side::Client => Role::Active,
            } as u8;
        }
        socket
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

    /// The cells of a method; `None`: calls of this side are not counted.
    #[inline]
    fn cells(&mut self, method: MethodIndex, recorder: &mut Recorder) -> Option<&mut MethodCells> {
        let index = method.index();
        if self.cells.methods.get(index).is_none_or(Option::is_none) {
            self.make_cells(method, recorder)?;
        }
        self.cells.methods.get_mut(index)?.as_mut()
    }

    #[cold]
    fn make_cells(&mut self, method: MethodIndex, recorder: &mut Recorder) -> Option<()> {
        let made = self.make(method, recorder)?;
        let index = method.index();
        if self.cells.methods.len() <= index {
            self.cells.methods.resize(index + 1, None);
        }
        *self.cells.methods.get_mut(index)? = Some(made);
        Some(())
    }

    fn make(&mut self, method: MethodIndex, recorder: &mut Recorder) -> Option<MethodCells> {
        let Name::Known(attributed) = &self.name else {
            return None;
        };
        let session = self.session.as_ref()?;
        let side = match session.side()? {
            Side::Server => crate::metrics::Side::Server,
            Side::Client if recorder.registry().settings().client => crate::metrics::Side::Client {
                peer: &attributed.peer,
            },
            Side::Client => return None,
        };
        let service = recorder.service(&labels(attributed));
        let path = match method {
            MethodIndex::UNKNOWN => Method::Unknown,
            MethodIndex::OTHER => Method::Other,
            known => Method::Path(session.method(known)),
        };
        let cells = recorder.method(&service, side, path);
        if matches!(side, crate::metrics::Side::Server) && self.cells.service.is_none() {
            self.cells.service.insert(service).connection_opened(recorder);
        }
        Some(cells)
    }
}

fn labels(attributed: &Attributed) -> ServiceLabels<'_> {
    let identity = &attributed.identity;
    ServiceLabels {
        service: &identity.service,
        namespace: &identity.namespace,
        pod: &identity.pod,
    }
}

fn tell_end(cells: &mut MethodCells, ended: &Ended, recorder: &mut Recorder) {
    cells.bytes(recorder, ended.request_bytes, ended.response_bytes);
    cells.ended(recorder, end_of(ended));
}

/// As the metrics see it.
pub(super) fn end_of(ended: &Ended) -> End {
    End {
        status: ended.status,
        // A call whose end was not seen has no duration either.
        duration_nanoseconds: ended
            .started
            .filter(|_| ended.status != crate::rpc::Status::Unobserved)
            .map(|started| ended.ended.saturating_sub(started)),
        was_started: ended.started.is_some(),
    }
}
