//! What was found out for one of many like questions, while the others waited: thousands of connections that begin within
//! a second are mostly of two processes, and procfs is asked for each of those once.
//!
//! An answer serves only questions that had been asked before it was found, so it is never older than they are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use observer_ebpf::record::Socket;

use super::super::identity::{Identity, Source};
use super::{Found, Reach, served_port};

/// Whose sockets share a name, and the name of whom they call; the remote address matters to those that call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    process: u32,
    command: [u8; 16],
    cgroup: u64,
    port: Option<u16>,
    remote: Option<([u8; 16], u16)>,
}

impl Key {
    fn of(socket: &Socket, calls: bool) -> Self {
        Self {
            process: socket.process,
            command: socket.command,
            cgroup: socket.cgroup,
            port: served_port(socket),
            remote: calls.then_some((socket.remote, socket.remote_port)),
        }
    }
}

#[derive(Debug, Default)]
pub struct Burst {
    found: HashMap<Key, (Instant, Found, Arc<str>)>,
}

/// About 150 bytes each. A burst has few kinds of questions; what has more is no burst.
const MAX_KINDS: usize = 256;

impl Burst {
    /// What was found since the question was `asked`.
    pub fn get(&self, socket: &Socket, calls: bool, asked: Instant) -> Option<(Found, Arc<str>)> {
        let (at, found, peer) = self.found.get(&Key::of(socket, calls))?;
        (*at >= asked).then(|| (found.clone(), Arc::clone(peer)))
    }

    /// Keeps what is final, and what is found by more than this one socket.
    pub fn put(&mut self, socket: &Socket, calls: bool, found: &Found, peer: &Arc<str>, now: Instant) {
        let Found { identity, reach } = found;
        let Identity { source, .. } = **identity;
        if *reach == Reach::Socket || matches!(source, Source::Unknown | Source::PodUid) {
            return;
        }
        if self.found.len() >= MAX_KINDS {
            self.found.clear();
        }
        let kept = (now, found.clone(), Arc::clone(peer));
        self.found.insert(Key::of(socket, calls), kept);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use observer_ebpf::record::Role;

    use super::*;
    use crate::attribution::tests::machine::socket;

    fn found(source: Source, reach: Reach) -> Found {
        let identity = Arc::new(Identity {
            source,
            ..Identity::unknown("node")
        });
        Found { identity, reach }
    }

    #[test]
    fn only_questions_that_waited_are_answered() {
        let (mut burst, now) = (Burst::default(), Instant::now());
        let client = socket(7, 10, "client", Role::Active);
        let known = found(Source::Process, Reach::Process);
        burst.put(&client, true, &known, &"csca".into(), now);
        let peer = |socket: &Socket, asked| burst.get(socket, true, asked).map(|(_, peer)| peer);
        assert_eq!(peer(&client, now).as_deref(), Some("csca"));
        assert_eq!(peer(&client, now + Duration::from_nanos(1)), None);
        let elsewhere = Socket {
            remote_port: client.remote_port + 1,
            ..client
        };
        let other = Socket {
            process: 11,
            ..client
        };
        assert_eq!(peer(&elsewhere, now), None);
        assert_eq!(peer(&other, now), None);
    }

    #[test]
    fn what_may_become_better_is_asked_for_again() {
        let (mut burst, now) = (Burst::default(), Instant::now());
        let server = socket(7, 10, "server", Role::Passive);
        for (source, reach) in [
            (Source::Process, Reach::Socket),
            (Source::PodUid, Reach::Cgroup),
            (Source::Unknown, Reach::Process),
        ] {
            burst.put(&server, false, &found(source, reach), &"".into(), now);
            assert!(burst.get(&server, false, now).is_none(), "{source:?} {reach:?}");
        }
    }

    #[test]
    fn kinds_are_bounded() {
        let (mut burst, now) = (Burst::default(), Instant::now());
        let known = found(Source::Process, Reach::Process);
        for process in 0..1_000 {
            let socket = socket(7, process, "many", Role::Passive);
            burst.put(&socket, false, &known, &"".into(), now);
            assert!(burst.get(&socket, false, now).is_some());
        }
        assert!(burst.found.len() <= MAX_KINDS);
    }
}
