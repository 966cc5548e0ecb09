//! Identities by cgroup or process, and peers by address, so that a connection of somebody known is answered at
//! once. No entry is ever wrong for long: each has an age.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use observer_ebpf::record::Socket;

use super::resolver::worker::{Answer, MAX_WAIT};
use super::resolver::{Reach, served_port};
use super::{Attributed, Identity, Source, address};

#[derive(Debug)]
pub enum Hit {
    Fresh(Attributed),
    /// Right until lately: to be used, and to be asked for again.
    Stale(Attributed),
    Missing,
}

#[derive(Debug, Default)]
pub struct Cache {
    cgroups: HashMap<(u64, Option<u16>), Held<Arc<Identity>>>,
    processes: HashMap<ProcessKey, Held<Arc<Identity>>>,
    peers: HashMap<PeerKey, Held<Arc<str>>>,
    /// Who has accepted which connection: the other end of a caller on this machine.
    accepted: HashMap<Ends, Held<Arc<Identity>>>,
}

/// With the name that the kernel noted and the cgroup, so that a pid used again is no likely mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ProcessKey {
    process: u32,
    command: [u8; 16],
    cgroup: u64,
    port: Option<u16>,
}

/// An address means another machine's loopback in each network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PeerKey {
    ip: [u8; 16],
    port: u16,
    cgroup: u64,
}

/// Both ends of a connection. With the port that the caller was given, two of different network namespaces are hardly ever the
/// same, not even of loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ends {
    server: ([u8; 16], u16),
    client: ([u8; 16], u16),
}

#[derive(Debug)]
struct Held<T> {
    value: T,
    at: Instant,
}

/// Entries of each kind: a busy node has hundreds of cgroups and, outside of Kubernetes, 1,000 new processes a
/// second, of which those of the last seconds matter. About 150 bytes each.
const MAX_ENTRIES: usize = 16_384;

/// Labels and Services of a pod change rarely; its cgroup's id never means anybody else.
const CGROUP_AGE: Duration = Duration::from_secs(30);

/// A pod that was not on any list: that may change with every event.
const UNLISTED_AGE: Duration = Duration::from_secs(1);

/// A process may execute another program, and its number may be used again.
const PROCESS_AGE: Duration = Duration::from_secs(10);

/// An address of a pod or Service may be given to another.
const PEER_AGE: Duration = Duration::from_secs(10);

/// Both ends of a connection are asked for when its first call is seen, and the last answer comes within this.
const ACCEPTED_AGE: Duration = MAX_WAIT;

impl Cache {
    pub fn get(&mut self, socket: &Socket, with_peer: bool, now: Instant) -> Hit {
        let of_cgroup = self
            .cgroups
            .get_mut(&cgroup_key(socket))
            .filter(|_| socket.cgroup != 0);
        let (identity, stale) = if let Some(held) = of_cgroup {
            let unlisted = held.value.source == Source::PodUid;
            let stale = held.age(now) >= if unlisted { UNLISTED_AGE } else { CGROUP_AGE };
            if stale {
                // One question renews it; those that come meanwhile need not ask.
                held.at = now;
            }
            (Arc::clone(&held.value), stale)
        } else {
            let held = self
                .processes
                .get(&process_key(socket))
                .filter(|held| held.age(now) < PROCESS_AGE);
            let Some(held) = held.filter(|_| socket.process != 0) else {
                return Hit::Missing;
            };
            (Arc::clone(&held.value), false)
        };
        let peer = if with_peer {
            let held = self
                .peers
                .get(&peer_key(socket))
                .filter(|held| held.age(now) < PEER_AGE);
            let Some(held) = held else { return Hit::Missing };
            self.peer(socket, &held.value, now)
        } else {
            Arc::from("")
        };
        let known = Attributed { identity, peer };
        if stale {
            Hit::Stale(known)
        } else {
            Hit::Fresh(known)
        }
    }

    /// Notes who has accepted a connection.
    pub fn accept(&mut self, socket: &Socket, identity: &Arc<Identity>, now: Instant) {
        if !matches!(identity.source, Source::Unknown | Source::PodUid) {
            let ends = Ends {
                server: (socket.local, socket.local_port),
                client: (socket.remote, socket.remote_port),
            };
            put(&mut self.accepted, ends, Arc::clone(identity), ACCEPTED_AGE, now);
        }
    }

    /// What `found` is called. It is the mere address where the process that asked had ended and took its view of the
    /// network with it: then who accepted this very connection is better, and then the name that another of the same cgroup
    /// has found for it.
    pub fn peer(&self, socket: &Socket, found: &Arc<str>, now: Instant) -> Arc<str> {
        if **found != *address(socket) {
            return Arc::clone(found);
        }
        self.acceptor(socket, now)
            .or_else(|| self.held_peer(socket, now))
            .unwrap_or_else(|| Arc::clone(found))
    }

    fn acceptor(&self, caller: &Socket, now: Instant) -> Option<Arc<str>> {
        let ends = Ends {
            server: (caller.remote, caller.remote_port),
            client: (caller.local, caller.local_port),
        };
        let held = self.accepted.get(&ends)?;
        (held.age(now) < ACCEPTED_AGE).then(|| (*held.value.service).into())
    }

    fn held_peer(&self, socket: &Socket, now: Instant) -> Option<Arc<str>> {
        let held = self.peers.get(&peer_key(socket))?;
        (held.age(now) < PEER_AGE).then(|| Arc::clone(&held.value))
    }

    pub fn put(&mut self, answer: &Answer, now: Instant) {
        let Answer {
            connection: _,
            socket,
            identity,
            reach,
            peer,
        } = answer;
        let known = identity.source != Source::Unknown;
        match reach {
            // A cgroup that has died since is still the one that we knew.
            Reach::Cgroup if known || !self.cgroups.contains_key(&cgroup_key(socket)) => {
                put(
                    &mut self.cgroups,
                    cgroup_key(socket),
                    Arc::clone(identity),
                    CGROUP_AGE,
                    now,
                );
            }
            Reach::Process if known => {
                put(
                    &mut self.processes,
                    process_key(socket),
                    Arc::clone(identity),
                    PROCESS_AGE,
                    now,
                );
            }
            _ => {}
        }
        if peer.is_empty() {
            return;
        }
        let named = (**peer != *address(socket)).then(|| Arc::clone(peer));
        let named = named.or_else(|| self.acceptor(socket, now));
        // An address does not keep a name alive that somebody has found before.
        if named.is_some() || self.held_peer(socket, now).is_none() {
            let name = named.unwrap_or_else(|| Arc::clone(peer));
            put(&mut self.peers, peer_key(socket), name, PEER_AGE, now);
        }
    }
}

/// Room is made by dropping what is out of date, then, under a flood, everything: an answer costs microseconds.
fn put<K: Eq + Hash, V>(map: &mut HashMap<K, Held<V>>, key: K, value: V, age: Duration, now: Instant) {
    if map.len() >= MAX_ENTRIES && !map.contains_key(&key) {
        map.retain(|_, held| held.age(now) < age);
        if map.len() >= MAX_ENTRIES {
            map.clear();
        }
    }
    map.insert(key, Held { value, at: now });
}

impl<T> Held<T> {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.at)
    }
}

fn cgroup_key(socket: &Socket) -> (u64, Option<u16>) {
    (socket.cgroup, served_port(socket))
}

fn process_key(socket: &Socket) -> ProcessKey {
    ProcessKey {
        process: socket.process,
        command: socket.command,
        cgroup: socket.cgroup,
        port: served_port(socket),
    }
}

fn peer_key(socket: &Socket) -> PeerKey {
    PeerKey {
        ip: socket.remote,
        port: socket.remote_port,
        cgroup: socket.cgroup,
    }
}

#[cfg(test)]
mod tests {
    use observer_ebpf::record::Role;

    use super::*;
    use crate::attribution::tests::machine::socket;

    /// Of two processes of a cgroup that call the same service one has ended before it was looked at.
    #[test]
    fn a_peer_that_another_process_knew() {
        let socket = socket(7, 10, "client", Role::Active);
        let answer = |peer: &str| Answer {
            connection: 1,
            socket,
            identity: Arc::new(Identity::unknown("node")),
            reach: Reach::Socket,
            peer: peer.into(),
        };
        let start = Instant::now();
        let mut cache = Cache::default();
        let check = |cache: &Cache, found: &str, at, expected: &str| {
            assert_eq!(&*cache.peer(&socket, &found.into(), at), expected);
        };
        check(&cache, "192.0.2.2", start, "192.0.2.2");
        cache.put(&answer("signer"), start);
        cache.put(&answer("192.0.2.2"), start);
        check(&cache, "192.0.2.2", start, "signer");
        // Another name is news, and nothing is kept for long.
        check(&cache, "csca", start, "csca");
        check(&cache, "192.0.2.2", start + PEER_AGE, "192.0.2.2");
        cache.put(&answer("csca"), start);
        check(&cache, "192.0.2.2", start, "csca");
    }

    /// The process that called had ended before it was looked at; who was called had not.
    #[test]
    fn a_peer_by_the_other_end() {
        let caller = socket(7, 10, "client", Role::Active);
        let mut callee = socket(8, 11, "server", Role::Passive);
        (callee.local, callee.local_port) = (caller.remote, caller.remote_port);
        (callee.remote, callee.remote_port) = (caller.local, caller.local_port);
        let identity = |source| {
            Arc::new(Identity {
                service: "signer".into(),
                source,
                ..Identity::unknown("node")
            })
        };
        let (start, found) = (Instant::now(), address(&caller));
        let mut cache = Cache::default();
        cache.accept(&callee, &identity(Source::Unknown), start);
        assert_eq!(cache.peer(&caller, &found, start), found);
        cache.accept(&callee, &identity(Source::Process), start);
        assert_eq!(&*cache.peer(&caller, &found, start), "signer");
        // Who was found by the list of pods or among the listeners has the better name.
        assert_eq!(&*cache.peer(&caller, &"csca".into(), start), "csca");
        let other = Socket {
            local_port: caller.local_port + 1,
            ..caller
        };
        assert_eq!(cache.peer(&other, &found, start), found);
        assert_eq!(cache.peer(&caller, &found, start + ACCEPTED_AGE), found);
    }
}
