//! Whose connection is it: from what the kernel tells of a socket to an [`Identity`]. The pipeline asks once for
//! each connection and is answered at once for a cgroup or process that is known; everything slow happens on the
//! resolver's thread. Never on the path of a call.
//!
//! Knows nothing of calls and metrics.

pub mod cache;
pub mod catalog;
pub mod cgroup;
pub mod container;
pub mod container_name;
pub mod file;
pub mod glob;
pub mod host;
pub mod identity;
pub mod kubernetes;
pub mod owner;
pub mod pod;
pub mod process;
pub mod resolver;
pub mod roster;
pub mod rule;
pub mod service;
pub mod socket;
pub mod unit;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use observer_ebpf::record::{Role, Socket};

use self::cache::{Cache, Hit};
use self::catalog::Catalog;
use self::container_name::Runtimes;
use self::host::Host;
pub use self::identity::{Identity, Source};
use self::resolver::Resolver;
use self::resolver::burst::Burst;
use self::resolver::limit::Limits;
use self::resolver::worker::{Answer, Question, Worker};
use self::roster::Roster;
use self::rule::{Rules, ServiceRule};

/// Where to look and what the configuration says.
#[derive(Clone, Debug)]
pub struct Settings {
    pub proc: PathBuf,
    pub cgroups: PathBuf,
    pub runtimes: Runtimes,
    pub node: String,
    pub rules: Vec<ServiceRule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            cgroups: "/sys/fs/cgroup".into(),
            runtimes: Runtimes::default(),
            node: String::new(),
            rules: Vec::new(),
        }
    }
}

/// Both halves of the answer for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributed {
    pub identity: Arc<Identity>,
    /// Name of whom this socket talks to, else its address; empty where this socket was accepted.
    pub peer: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    Known(Attributed),
    /// The answer will be among the [`Attribution::answers`], within [`MAX_WAIT`](resolver::worker::MAX_WAIT) and a little.
    Pending,
    /// There are too many questions: this is nobody's name. To be asked for again.
    Refused(Attributed),
}

/// What was attributed and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub cached: u64,
    pub asked: u64,
    /// Answered "unknown", at first, because too many questions were open or too many calls waited for answers.
    pub refused: u64,
    /// Answers in which nothing was known.
    pub missed: u64,
}

#[derive(Debug)]
pub struct Attribution {
    cache: Cache,
    questions: SyncSender<Question>,
    answers: Receiver<Answer>,
    pending: HashSet<u64>,
    /// Answers that have only an address for the other end, which may be named in a moment.
    late: Vec<(Instant, Answer)>,
    unknown: Arc<Identity>,
    catalog: Arc<RwLock<Catalog>>,
    limits: Arc<Limits>,
    pub counts: Counts,
}

/// Questions under way; about 120 bytes each. A flood of short-lived processes fills this first, and what is above
/// is named unknown and counted.
const MAX_PENDING: usize = 8192;

/// How long a caller waits for the name of the other end, where that is on this machine too: both are asked for when their first
/// call is seen, the caller first.
const OTHER_END: Duration = Duration::from_millis(250);

impl Attribution {
    /// Starts the resolver's thread; it ends when the `Attribution` is dropped.
    pub fn start(
        settings: Settings,
        catalog: Arc<RwLock<Catalog>>,
        roster: Arc<Mutex<Roster>>,
    ) -> io::Result<Self> {
        let Settings {
            proc,
            cgroups,
            runtimes,
            node,
            rules,
        } = settings;
        let unknown = Arc::new(Identity::unknown(&node));
        let host = Host::new(&proc, &cgroups);
        let resolver = Resolver::new(
            host,
            Rules::new(rules),
            runtimes,
            node,
            Arc::clone(&catalog),
            roster,
        );
        let (questions, asked) = mpsc::sync_channel(MAX_PENDING);
        // Bounded by the questions.
        let (answer, answers) = mpsc::channel();
        let limits = Arc::<Limits>::default();
        let worker = Worker {
            resolver,
            answers: answer,
            limits: Arc::clone(&limits),
            burst: Burst::default(),
        };
        thread::Builder::new()
            .name("attribution".to_owned())
            .spawn(move || worker.run(&asked))?;
        Ok(Self {
            cache: Cache::default(),
            questions,
            answers,
            pending: HashSet::new(),
            late: Vec::new(),
            unknown,
            catalog,
            limits,
            counts: Counts::default(),
        })
    }

    /// What the resolver could not see or hold; to be read at every scrape.
    pub fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits)
    }

    /// `socket.role` should be what the traffic has shown by now, not only what the kernel saw.
    pub fn resolve(&mut self, connection: u64, socket: &Socket, now: Instant) -> Resolution {
        if let Some(known) = self.remembered(socket, now) {
            return Resolution::Known(known);
        }
        let resolution = self.ask(connection, socket, now, true);
        self.counts.refused += u64::from(matches!(resolution, Resolution::Refused(_)));
        resolution
    }

    /// A better name for a connection that goes by the UID of its pod, if there is one by now, or (`patient`) for one
    /// that was refused a name.
    pub fn renew(&mut self, connection: u64, socket: &Socket, now: Instant, patient: bool) -> Resolution {
        if let Some(known) = self.remembered(socket, now)
            && known.identity.source != Source::PodUid
        {
            return Resolution::Known(known);
        }
        self.ask(connection, socket, now, patient)
    }

    /// Of the list of pods: another one may have names that this one had not.
    pub fn version(&self) -> u64 {
        self.catalog
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .version()
    }

    fn remembered(&mut self, socket: &Socket, now: Instant) -> Option<Attributed> {
        let accepted = Role::from_raw(socket.role) == Role::Passive;
        let known = match self.cache.get(socket, !accepted, now) {
            Hit::Fresh(known) => known,
            Hit::Stale(known) => {
                // Nobody waits for it; if there is no room, the next connection asks again.
                let _ = self.questions.try_send(Question {
                    connection: 0,
                    socket: *socket,
                    asked: now,
                    patient: true,
                });
                known
            }
            Hit::Missing => return None,
        };
        self.counts.cached += 1;
        if accepted {
            self.cache.accept(socket, &known.identity, now);
        }
        Some(known)
    }

    fn ask(&mut self, connection: u64, socket: &Socket, now: Instant, patient: bool) -> Resolution {
        if self.pending.contains(&connection) {
            return Resolution::Pending;
        }
        let question = Question {
            connection,
            socket: *socket,
            asked: now,
            patient,
        };
        if self.pending.len() >= MAX_PENDING || self.questions.try_send(question).is_err() {
            return Resolution::Refused(self.unknown(socket));
        }
        self.counts.asked += 1;
        self.pending.insert(connection);
        Resolution::Pending
    }

    /// The answer where there is no room to wait for another.
    pub fn refuse(&mut self, socket: &Socket) -> Attributed {
        self.counts.refused += 1;
        self.unknown(socket)
    }

    fn unknown(&self, socket: &Socket) -> Attributed {
        let accepted = Role::from_raw(socket.role) == Role::Passive;
        Attributed {
            identity: Arc::clone(&self.unknown),
            peer: if accepted { "".into() } else { address(socket) },
        }
    }

    /// Connections that were pending and no longer are. To be asked for in every turn of the pipeline's loop.
    pub fn answers(&mut self, now: Instant) -> Vec<(u64, Attributed)> {
        // Bounded by the questions, those that are late too.
        let mut answers = std::mem::take(&mut self.late);
        answers.extend(self.answers.try_iter().map(|answer| (now, answer)));
        // Those first who were called: callers may be named by them.
        for (_, answer) in &answers {
            if Role::from_raw(answer.socket.role) == Role::Passive {
                self.cache.accept(&answer.socket, &answer.identity, now);
            }
        }
        let mut ready = Vec::new();
        for (at, answer) in answers {
            self.cache.put(&answer, now);
            let peer = self.cache.peer(&answer.socket, &answer.peer, now);
            if self.pending.contains(&answer.connection)
                && is_here(&answer.socket)
                && *peer == *address(&answer.socket)
                && now.saturating_duration_since(at) < OTHER_END
            {
                self.late.push((at, answer));
                continue;
            }
            let Answer {
                connection, identity, ..
            } = answer;
            if self.pending.remove(&connection) {
                self.counts.missed += u64::from(identity.source == Source::Unknown);
                ready.push((connection, Attributed { identity, peer }));
            }
        }
        ready
    }
}

/// Whether the other end of a caller is on this machine for certain.
fn is_here(socket: &Socket) -> bool {
    let remote = std::net::Ipv6Addr::from(socket.remote).to_canonical();
    let known = !remote.is_unspecified();
    let here = remote.is_loopback() || socket.remote == socket.local;
    Role::from_raw(socket.role) != Role::Passive && known && here
}

/// What a peer is called of which nothing is known.
const NOWHERE: &str = "_unknown";

/// The address of the peer. A connection that was seen inside of its process, but not on its socket, has none.
fn address(socket: &Socket) -> Arc<str> {
    if socket.remote == [0; 16] && socket.remote_port == 0 {
        return NOWHERE.into();
    }
    std::net::Ipv6Addr::from(socket.remote)
        .to_canonical()
        .to_string()
        .into()
}

#[cfg(test)]
pub(crate) mod tests;
