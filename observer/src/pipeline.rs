//! The process: records of all connections come in, each goes to its connection's session, and what comes out is
//! counted under the name of its service. One thread; the loop around it is in [`drive`].
//!
//! Besides `session` the only module that composes stages. It knows no kernel types but records, and no I/O.

mod connection;
pub mod drive;
pub mod loss;
mod naming;
mod plaintext;
mod waiting;

use std::time::{Duration, Instant};

use observer_ebpf::record::{Kind, Protocol, Record};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::attribution::Attributed;
use crate::event;
use crate::metrics::own::{Carries, DaemonLoss, Lost};
use crate::metrics::{Now, Recorder};
use crate::session::CallEvent;

use self::connection::{Connection, Desk};
pub use self::naming::Naming;
use self::plaintext::{Departing, socket_of};

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Calls of which nothing was seen for so long end as `_unobserved`.
    pub call_idle: Duration,
    /// Connections held at most; see [`DEFAULT_MAX_CONNECTIONS`].
    pub max_connections: usize,
}

/// A node's default limit of open files times its busy services; at 0.5 to 2 KiB each this is the larger part of
/// the memory ceiling.
pub const DEFAULT_MAX_CONNECTIONS: usize = 65_536;
/// Longer than any streaming call goes without a keep-alive, a message or a window update on its stream.
pub const DEFAULT_CALL_IDLE: Duration = Duration::from_hours(2);

impl Default for Settings {
    fn default() -> Self {
        Self {
            call_idle: DEFAULT_CALL_IDLE,
            max_connections: DEFAULT_MAX_CONNECTIONS,
        }
    }
}

/// One in so many connections goes at once at the ceiling: to find the quiet ones takes a pass over all.
const EVICTED_SHARE: usize = 64;
/// Connections that ended within a second; 600 KiB. Of more than so many it is forgotten, and counted.
const MAX_ENDED: usize = 1 << 16;

/// Connections of one sweep for which a better name is asked; some 10 µs of the attribution thread each. The others
/// come next.
const MAX_RENEWALS: usize = 512;

/// What is looked after for all connections takes a pass over them; once in so many nanoseconds.
const SWEEP: u64 = 1_000_000_000;

#[derive(Debug)]
pub struct Pipeline<N> {
    connections: FxHashMap<u64, Connection>,
    recorder: Recorder,
    naming: N,
    settings: Settings,
    /// Reused by every record.
    events: Vec<CallEvent>,
    now: Now,
    instant: Instant,
    swept: u64,
    /// Methods that wait for names, of all connections.
    waiting: usize,
    /// Connections that ended since the last sweep, and those before it. Another CPU may have been about to tell
    /// something when a socket was closed: that is no new connection.
    ended: [FxHashSet<u64>; 2],
    departing: Departing,
}

impl<N: Naming> Pipeline<N> {
    pub fn new(recorder: Recorder, naming: N, settings: Settings) -> Self {
        Self {
            connections: FxHashMap::default(),
            recorder,
            naming,
            settings,
            events: Vec::new(),
            now: Now::default(),
            instant: Instant::now(),
            swept: 0,
            waiting: 0,
            ended: <[FxHashSet<u64>; 2]>::default(),
            departing: Departing::default(),
        }
    }

    /// To be called before a batch of records, and also when there are none: time passes here and nowhere else.
    pub fn advance(&mut self, now: Now, instant: Instant) {
        self.now = now;
        self.instant = instant;
        self.recorder.advance(now);
        for (cookie, attributed) in self.naming.answers(instant) {
            self.named(cookie, attributed);
        }
        if now.monotonic.saturating_sub(self.swept) >= SWEEP {
            self.swept = now.monotonic;
            self.sweep();
        }
    }

    /// One record, in the order in which the kernel wrote them.
    pub fn on_record(&mut self, record: &Record, payload: &[u8]) {
        let cookie = record.connection;
        let kind = Kind::from_raw(record.kind);
        if kind == Some(Kind::Socket) {
            self.on_socket(cookie, payload);
        }
        if kind == Some(Kind::Closed) && self.depart_inside(cookie, record.time) {
            return;
        }
        let (connections, events, mut desk) = self.parts();
        let Some(connection) = connections.get_mut(&cookie) else {
            // Evicted, or its `Socket` record was lost; the end of a connection needs no beginning.
            if kind != Some(Kind::Closed) {
                self.adopt(cookie, record, payload);
            }
            return;
        };
        connection.on_record(record, payload, events);
        if !events.is_empty() {
            connection.deliver(events, cookie, &mut desk);
        }
        if connection.is_over() {
            // No `Socket` record comes after this one.
            connection.announce(cookie, &mut desk);
            self.depart(cookie, record.time);
            self.remember_end(cookie);
            self.remove(cookie);
        }
    }

    /// A socket has ended: so will what was seen of it in plaintext, if anything was.
    fn depart(&mut self, cookie: u64, time: u64) {
        if self
            .connections
            .get(&cookie)
            .is_some_and(Connection::is_decrypted)
        {
            self.departing.add(cookie, time);
        }
    }

    /// The end of a socket that was told under the name of what was seen of it in plaintext, because nothing else was known of it: says
    /// whether it is such a name.
    fn depart_inside(&mut self, cookie: u64, time: u64) -> bool {
        let Some(socket) = socket_of(cookie) else {
            return false;
        };
        if self.connections.contains_key(&cookie) {
            self.departing.add(socket, time);
        }
        true
    }

    /// What a connection needs, each borrowed for itself.
    fn parts(&mut self) -> (&mut FxHashMap<u64, Connection>, &mut Vec<CallEvent>, Desk<'_, N>) {
        let desk = Desk {
            naming: &mut self.naming,
            now: self.instant,
            recorder: &mut self.recorder,
            waiting: &mut self.waiting,
        };
        (&mut self.connections, &mut self.events, desk)
    }

    fn remember_end(&mut self, cookie: u64) {
        let [young, _] = &mut self.ended;
        if young.len() < MAX_ENDED {
            young.insert(cookie);
        } else {
            let own = self.recorder.registry().own();
            own.lost(Lost::Daemon(DaemonLoss::ForgottenEnd)).add(1);
        }
    }

    /// Ends everything, as when the observer stops: calls that go on stay in flight, nothing is invented.
    pub fn finish(&mut self, instant: Instant) {
        for (cookie, attributed) in self.naming.answers(instant) {
            self.named(cookie, attributed);
        }
        // Nobody reads any more.
        self.end_departed();
        self.sweep();
    }

    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Whether the connection is known and segments of it may have to wait in the kernel: the programs leave alone what
    /// can never become HTTP/2, also when some of it waits already.
    pub fn holds(&self, cookie: u64) -> bool {
        self.connections.get(&cookie).is_some_and(Connection::may_wait)
    }

    /// A connection that waited for its name has it; one that has ended meanwhile can go now.
    fn named(&mut self, cookie: u64, attributed: Attributed) {
        let Some(connection) = self.connections.get_mut(&cookie) else {
            return;
        };
        connection.named(attributed, &mut self.recorder, &mut self.waiting);
        if connection.is_over() {
            self.remove(cookie);
        }
    }

    fn on_socket(&mut self, cookie: u64, payload: &[u8]) {
        let Some(mut socket) = event::decode_socket(payload) else {
            return;
        };
        let (connections, _, mut desk) = self.parts();
        if let Some(encrypted) = socket_of(cookie).and_then(|cookie| connections.get_mut(&cookie)) {
            plaintext::inherit(&mut socket, encrypted.decrypt(desk.recorder.registry().own()));
        }
        if let Some(connection) = connections.get_mut(&cookie) {
            connection.on_socket(&socket, desk.recorder.registry().own());
            connection.announce(cookie, &mut desk);
            return;
        }
        self.make_room();
        let mut connection = Connection::new(&socket);
        connection.on_socket(&socket, self.recorder.registry().own());
        self.connections.insert(cookie, connection);
    }

    /// A connection of which only this record is known: everything before it is lost.
    fn adopt(&mut self, cookie: u64, record: &Record, payload: &[u8]) {
        if self.ended.iter().any(|ended| ended.contains(&cookie)) {
            return;
        }
        self.make_room();
        let mut connection = Connection::unannounced();
        let (connections, events, mut desk) = self.parts();
        connection.on_record(record, payload, events);
        if !events.is_empty() {
            connection.deliver(events, cookie, &mut desk);
        }
        connections.insert(cookie, connection);
    }

    /// At the ceiling, the connections that were quiet for longest go.
    fn make_room(&mut self) {
        if self.connections.len() < self.settings.max_connections {
            return;
        }
        let mut quiet: Vec<(u64, u64)> = self
            .connections
            .iter()
            .map(|(&cookie, connection)| (connection.seen(), cookie))
            .collect();
        let most = quiet.len().div_ceil(EVICTED_SHARE);
        if most < quiet.len() {
            quiet.select_nth_unstable(most);
            quiet.truncate(most);
        }
        let own = self.recorder.registry().own();
        own.lost(Lost::Daemon(DaemonLoss::EvictedConnection))
            .add(quiet.len() as u64);
        for (_, cookie) in quiet {
            self.evict(cookie);
        }
    }

    /// Ends a connection whose end was told outside of the ring.
    pub fn end(&mut self, cookie: u64) {
        if self.depart_inside(cookie, self.now.monotonic) {
            return;
        }
        self.depart(cookie, self.now.monotonic);
        self.tell_end(cookie, self.now.monotonic);
        self.remove(cookie);
    }

    fn tell_end(&mut self, cookie: u64, time: u64) {
        let (connections, events, mut desk) = self.parts();
        if let Some(connection) = connections.get_mut(&cookie) {
            connection.end(time, events);
            if !events.is_empty() {
                connection.deliver(events, cookie, &mut desk);
            }
        }
    }

    /// Ends a connection that no record ended; whether it has a name or not, its room is needed.
    fn evict(&mut self, cookie: u64) {
        self.tell_end(cookie, self.now.monotonic);
        self.leave(cookie);
    }

    fn remove(&mut self, cookie: u64) {
        // Calls that wait for a name are not lost: the connection goes when it has come.
        if !self
            .connections
            .get(&cookie)
            .is_some_and(Connection::waits_for_name)
        {
            self.leave(cookie);
        }
    }

    fn leave(&mut self, cookie: u64) {
        if let Some(connection) = self.connections.remove(&cookie) {
            connection.leave(&mut self.recorder, &mut self.waiting);
        }
    }

    /// What was seen in plaintext of sockets that ended a while ago.
    fn end_departed(&mut self) {
        for (id, time) in self.departing.turn() {
            self.tell_end(id, time);
            self.remember_end(id);
            self.remove(id);
        }
    }

    fn sweep(&mut self) {
        self.end_departed();
        let idle = u64::try_from(self.settings.call_idle.as_nanos()).unwrap_or(u64::MAX);
        let time = self.now.monotonic;
        let mut over = Vec::new();
        let mut calls = 0;
        let mut renewals = 0;
        let version = self.naming.version();
        let (connections, events, mut desk) = self.parts();
        for (&cookie, connection) in connections.iter_mut() {
            connection.expire(time, idle, events);
            if !events.is_empty() {
                connection.deliver(events, cookie, &mut desk);
            }
            connection.tell_losses(desk.recorder.registry().own());
            calls += connection.open_streams();
            // Asked before the two below, which may give it a name.
            if connection.is_over() || connection.is_doubtful(time) {
                over.push(cookie);
            }
            if connection.is_unannounced(time) {
                connection.announce(cookie, &mut desk);
            } else if renewals < MAX_RENEWALS && connection.is_provisional(version) {
                connection.ask_again(cookie, version, &mut desk);
                renewals += 1;
            }
        }
        for cookie in over {
            self.remove(cookie);
        }
        let [young, old] = &mut self.ended;
        old.clear();
        std::mem::swap(young, old);
        let own = self.recorder.registry().own();
        own.connections_held.set(self.connections.len() as u64);
        own.calls_held.set(calls as u64);
        own.attribution_misses.set(self.naming.missed());
    }
}

/// The word under which a connection is counted.
fn carries(protocol: Protocol, grpc: bool) -> Option<Carries> {
    match protocol {
        Protocol::Undecided => None,
        Protocol::Http2 if grpc => Some(Carries::Grpc),
        Protocol::Http2 => Some(Carries::OtherHttp2),
        Protocol::Http1 => Some(Carries::Http1),
        Protocol::Tls => Some(Carries::Tls),
        Protocol::Other => Some(Carries::Other),
        Protocol::Multipath => Some(Carries::Multipath),
    }
}

#[cfg(test)]
mod tests;
