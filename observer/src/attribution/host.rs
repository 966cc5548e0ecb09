//! The host's processes and sockets, remembered for moments: which process owns a socket, which process gives a
//! group of forked ones its name, what a process listens on. Slow (milliseconds): only ever called by the resolver's
//! thread.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::cgroup::tree::Tree;
use super::file;
use super::owner::Owners;
use super::process::Processes;
use super::socket::{Address, Entry, Sockets, State, diag, table};

#[derive(Debug)]
pub struct Host {
    pub processes: Processes,
    pub tree: Tree,
    /// False in a container without the host's PID namespace: pids then mean other processes.
    pub sees_processes: bool,
    /// This process's own network namespace, which `sock_diag` answers for.
    own_namespace: Option<u64>,
    /// By namespace; sockets change fast, so they are kept only to answer a burst of questions with one list.
    sockets: HashMap<u64, (Instant, Sockets)>,
    owners: Option<(Instant, Owners)>,
    /// A process in each network namespace.
    namespaces: HashMap<u64, u32>,
}

/// How long a list of sockets answers: connections live longer, and a list of 1,000 costs half a millisecond.
const SOCKETS_AGE: Duration = Duration::from_millis(250);

/// A pass over all descriptors costs tens of milliseconds on a busy node: once a second is a few percent at worst,
/// and only while sockets older than the observer are asked for.
const OWNERS_AGE: Duration = Duration::from_secs(1);

/// Network namespaces looked into: one for each pod.
const MAX_NAMESPACES: usize = 1024;

/// systemd listens for services that are started by their first connection, and keeps the socket beside them.
pub const INIT: u32 = 1;

/// Generations of forked processes that are climbed.
const MAX_GENERATIONS: usize = 16;

/// `/proc/PID/auxv` has some 25 pairs of words.
const MAX_AUXV: u64 = 4096;

/// The states in which a connection still has an owner.
const OWNED: [State; 8] = [
    State::Established,
    State::SynSent,
    State::SynReceived,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::LastAck,
    State::Listen,
];

impl Host {
    /// `proc` and `cgroups` are `/proc` and `/sys/fs/cgroup`, or what stands for them.
    pub fn new(proc: &Path, cgroups: &Path) -> Self {
        let processes = Processes::new(proc);
        Self {
            sees_processes: processes.is_host_view(),
            own_namespace: Processes::new("/proc").network_namespace(std::process::id()),
            processes,
            tree: Tree::new(cgroups),
            sockets: HashMap::new(),
            owners: None,
            namespaces: HashMap::new(),
        }
    }

    /// The process that gives its name to `pid`: the first of the processes that were forked from one another
    /// without executing a program. They share their auxiliary vector, which `execve` draws anew, random addresses
    /// included; reading it takes `CAP_SYS_PTRACE`, and without it every process stands for itself.
    pub fn master(&self, pid: u32) -> u32 {
        let Some(own) = self.auxiliary(pid) else {
            return pid;
        };
        let mut master = pid;
        for _ in 0..MAX_GENERATIONS {
            let Some(parent) = self.processes.stat(master).map(|stat| stat.parent) else {
                break;
            };
            if parent <= 1 || self.auxiliary(parent).as_ref() != Some(&own) {
                break;
            }
            master = parent;
        }
        master
    }

    fn auxiliary(&self, pid: u32) -> Option<String> {
        file::read(&self.processes.path(pid, "auxv"), MAX_AUXV)
            .ok()
            .filter(|text| !text.is_empty())
    }

    /// The process that owns a connection, found by its addresses. For an accepted one it is the process that
    /// listens, as with connections the kernel told us of.
    pub fn owner(&mut self, local: Address, remote: Address, now: Instant) -> Option<u32> {
        let (listener, connection) = self.inodes(local, remote, now)?;
        let owners = self.owners(now);
        let listens = owners.process(listener).filter(|pid| *pid != INIT);
        listens.or_else(|| owners.process(connection))
    }

    /// Of the socket that listens (the connection itself, where none does) and of the connection, which is 0 while
    /// it waits to be accepted.
    fn inodes(&mut self, local: Address, remote: Address, now: Instant) -> Option<(u64, u64)> {
        let find = |sockets: &Sockets| -> Option<(u64, u64)> {
            let connection = sockets.find(local, remote)?.inode;
            let listener = sockets
                .listener(local)
                .map_or(connection, |listener| listener.inode);
            Some((listener, connection))
        };
        let own = self.own_namespace.unwrap_or(0);
        if let Some(inodes) = self.own_sockets(now).and_then(find) {
            return Some(inodes);
        }
        self.owners(now);
        let others: Vec<_> = self
            .namespaces
            .iter()
            .map(|(space, pid)| (*space, *pid))
            .collect();
        let others: Vec<_> = others.into_iter().filter(|(space, _)| *space != own).collect();
        let mut elsewhere = others.iter();
        let found = elsewhere.find_map(|(space, pid)| self.sockets_of(*space, *pid, now).and_then(find));
        if found.is_some() {
            return found;
        }
        // A short connection has ended before it was looked for; who listens where it was accepted is still there.
        // Only now, because the same port may be listened on in several namespaces.
        let listens = |sockets: &Sockets| sockets.listener(local).map(|listener| (listener.inode, 0));
        if let Some(inodes) = self.own_sockets(now).and_then(listens) {
            return Some(inodes);
        }
        let mut elsewhere = others.iter();
        elsewhere.find_map(|(space, pid)| self.sockets_of(*space, *pid, now).and_then(listens))
    }

    /// Of the last pass over all processes: how many were denied, how much was left out.
    pub fn owners_limits(&self) -> (u64, u64) {
        self.owners
            .as_ref()
            .map_or((0, 0), |(_, owners)| (owners.denied, owners.refused))
    }

    pub fn sockets_refused(&self) -> u64 {
        self.sockets.values().map(|(_, sockets)| sockets.refused).sum()
    }

    /// Whether the owners of sockets were read at this very time: what is not among them is nowhere.
    pub fn owners_are_of(&self, now: Instant) -> bool {
        self.owners.as_ref().is_some_and(|(at, _)| *at == now)
    }

    /// The process behind an inode, where it is known without another pass.
    pub fn owners(&mut self, now: Instant) -> &Owners {
        let fresh = self
            .owners
            .as_ref()
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) < OWNERS_AGE);
        if !fresh {
            self.owners = Some((now, Owners::scan(&self.processes)));
            self.find_namespaces();
        }
        &self.owners.get_or_insert_with(|| (now, Owners::default())).1
    }

    fn find_namespaces(&mut self) {
        self.namespaces.clear();
        let Ok(pids) = self.processes.pids() else { return };
        for pid in pids {
            if self.namespaces.len() >= MAX_NAMESPACES {
                return;
            }
            if let Some(space) = self.processes.network_namespace(pid) {
                self.namespaces.entry(space).or_insert(pid);
            }
        }
        self.sockets
            .retain(|space, _| self.namespaces.contains_key(space));
    }

    /// Sockets of the network namespace of a process.
    pub fn sockets_of_process(&mut self, pid: u32, now: Instant) -> Option<&Sockets> {
        let space = self.processes.network_namespace(pid)?;
        if Some(space) == self.own_namespace {
            return self.own_sockets(now);
        }
        self.sockets_of(space, pid, now)
    }

    pub fn own_sockets(&mut self, now: Instant) -> Option<&Sockets> {
        let space = self.own_namespace.unwrap_or(0);
        self.cached(space, now, || diag::dump(&OWNED))
    }

    fn sockets_of(&mut self, space: u64, pid: u32, now: Instant) -> Option<&Sockets> {
        let processes = self.processes.clone();
        self.cached(space, now, || table::read(&processes, pid, &OWNED))
    }

    fn cached(
        &mut self,
        space: u64,
        now: Instant,
        read: impl FnOnce() -> std::io::Result<Sockets>,
    ) -> Option<&Sockets> {
        let fresh = self
            .sockets
            .get(&space)
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) < SOCKETS_AGE);
        if !fresh {
            if self.sockets.len() >= MAX_NAMESPACES {
                self.sockets.clear();
            }
            self.sockets.insert(space, (now, read().ok()?));
        }
        self.sockets.get(&space).map(|(_, sockets)| sockets)
    }

    /// Ports that the owner of a socket listens on: of its process where that is known, else of its cgroup.
    pub fn ports(&mut self, pid: Option<u32>, cgroup: u64, now: Instant) -> Vec<u16> {
        let listening = |entry: &&Entry| entry.state == State::Listen;
        if let Some(pid) = pid {
            let inodes = Owners::of(&self.processes, pid);
            let Some(sockets) = self.sockets_of_process(pid, now) else {
                return Vec::new();
            };
            let owned = sockets
                .entries
                .iter()
                .filter(listening)
                .filter(|entry| inodes.contains(&entry.inode));
            return owned.map(|entry| entry.local.port).collect();
        }
        let Some(sockets) = self.own_sockets(now).filter(|_| cgroup != 0) else {
            return Vec::new();
        };
        let owned = sockets
            .entries
            .iter()
            .filter(listening)
            .filter(|entry| entry.cgroup == cgroup);
        owned.map(|entry| entry.local.port).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn host() -> Host {
        Host::new(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
    }

    #[test]
    fn owner_of_both_ends_of_an_older_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let stream = TcpStream::connect(server).unwrap();
        let _accepted = listener.accept().unwrap();
        let client = stream.local_addr().unwrap();
        let (client, server) = (
            Address::new(client.ip(), client.port()),
            Address::new(server.ip(), server.port()),
        );
        let mut host = host();
        let now = Instant::now();
        assert_eq!(host.owner(client, server, now), Some(std::process::id()));
        assert_eq!(host.owner(server, client, now), Some(std::process::id()));
        assert!(
            host.ports(Some(std::process::id()), 0, now)
                .contains(&server.port)
        );
        assert!(
            !host
                .ports(Some(std::process::id()), 0, now)
                .contains(&client.port)
        );
        // A connection that has ended: who listens there is still known, who connected is not.
        assert_eq!(host.owner(server, server, now), Some(std::process::id()));
        assert_eq!(host.owner(client, client, now), None);
    }

    #[test]
    fn a_program_that_was_executed_is_its_own_master() {
        let host = host();
        let pid = std::process::id();
        assert_eq!(host.master(pid), pid);
    }
}
