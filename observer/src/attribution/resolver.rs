//! Finds out who owns a socket: the slow half of attribution. Runs on a thread of its own ([`worker`]), asks the
//! file system and the catalog, never the network. The order of names is [`service`](super::service)'s.

pub mod burst;
pub mod limit;
pub mod peer;
mod told;
pub mod worker;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use observer_ebpf::record::Socket;

use super::catalog::{Catalog, Coverage, Pod};
use super::cgroup::membership::Membership;
use super::cgroup::path::Place;
use super::cgroup::tree::{Layout, Lookup};
use super::container_name::{ContainerName, Runtimes};
use super::host::{Host, INIT};
use super::identity::Identity;
use super::roster::{Account, Roster};
use super::rule::{Rules, Subject};
use super::service::{self, Facts};
use super::socket::{Address, Entry};

pub use self::told::served_port;
use self::told::{command, is_nameless, record};

#[derive(Debug)]
pub struct Resolver {
    pub host: Host,
    rules: Rules,
    runtimes: Runtimes,
    node: String,
    catalog: Arc<RwLock<Catalog>>,
    roster: Arc<Mutex<Roster>>,
    /// Equal identities are one, so that the metrics can compare pointers.
    known: HashSet<Arc<Identity>>,
}

/// Whom an identity is for, that is, for which other sockets it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every socket of the cgroup that serves the same port.
    Cgroup,
    /// Every socket of the process that serves the same port.
    Process,
    /// This one.
    Socket,
}

#[derive(Clone, Debug)]
pub struct Found {
    pub identity: Arc<Identity>,
    pub reach: Reach,
}

/// Distinct identities held; the services of one node, and short-lived processes by their names.
const MAX_IDENTITIES: usize = 8192;

/// Units that hold the containers of all.
const RUNTIMES: [&str; 7] = [
    "docker",
    "containerd",
    "crio",
    "podman",
    "kubelet",
    "k3s",
    "rke2-agent",
];

/// The process behind a socket, while it lives.
#[derive(Debug)]
struct Owner {
    /// Whose name counts.
    master: u32,
    pid: u32,
    started: u64,
    name: Box<str>,
    membership: Membership,
}

impl Resolver {
    pub fn new(
        host: Host,
        rules: Rules,
        runtimes: Runtimes,
        node: String,
        catalog: Arc<RwLock<Catalog>>,
        roster: Arc<Mutex<Roster>>,
    ) -> Self {
        Self {
            host,
            rules,
            runtimes,
            node,
            catalog,
            roster,
            known: HashSet::new(),
        }
    }

    /// Nothing where it pays to ask again: the cgroup or the pod is newer than what we have read. With `last`
    /// there is always an answer.
    pub fn identify(&mut self, socket: &Socket, now: Instant, last: bool) -> Option<Found> {
        let path = match self.host.tree.path(socket.cgroup, now) {
            Lookup::Found(path) => Some(path),
            Lookup::Later if !last => return None,
            Lookup::Later | Lookup::Missing => None,
        };
        let mut place = path.as_deref().map(Place::parse).unwrap_or_default();
        let asked = self.needs_process(&place);
        let owner = if asked { self.owner(socket, now) } else { None };
        if asked && owner.is_none() && !last && is_nameless(socket) && !self.host.owners_are_of(now) {
            // What we know of the owners of sockets may be older than this one.
            return None;
        }
        let by_cgroup = !place.is_empty() && !asked;
        if asked && owner.is_none() {
            forget_runtime(&mut place);
        }
        if let Some(owner) = &owner
            && owner.membership.place.rank() > place.rank()
        {
            place = owner.membership.place.clone();
        }
        let pod = self.pod(&mut place);
        if pod.is_none() && !place.pods.is_empty() && !last && self.catalog().coverage() != Coverage::None {
            return None;
        }
        let identity = self.name(
            socket,
            path.as_deref(),
            &place,
            owner.as_ref(),
            pod.as_deref(),
            now,
        );
        let identity = self.intern(identity);
        self.enrol(&identity, socket, &place, owner.as_ref(), now);
        let reach = match by_cgroup {
            true => Reach::Cgroup,
            false if is_nameless(socket) => Reach::Socket,
            false => Reach::Process,
        };
        Some(Found { identity, reach })
    }

    /// The owner of a socket that was found in a list, asked for at once.
    pub fn identify_entry(&mut self, entry: &Entry, now: Instant) -> Option<Found> {
        let mut socket = record(entry);
        let known = matches!(self.host.tree.path(entry.cgroup, now),
            Lookup::Found(path) if !self.needs_process(&Place::parse(&path)));
        if !known && self.host.sees_processes {
            socket.process = self.host.owners(now).process(entry.inode).unwrap_or(0);
        }
        self.identify(&socket, now, true)
    }

    /// A pod as a whole, not one of its sockets.
    pub fn identify_pod(&mut self, pod: &Pod) -> Arc<Identity> {
        let ports: Vec<u16> = pod
            .containers
            .iter()
            .flat_map(|container| &container.ports)
            .map(|(_, port)| *port)
            .collect();
        let subject = Subject {
            ports: &ports,
            labels: Some(&pod.labels),
            ..Subject::default()
        };
        let facts = Facts {
            node: &self.node,
            configured: self.rules.name(&subject),
            pod: Some(pod),
            ..Facts::default()
        };
        let identity = service::identify(&facts, &self.catalog());
        self.intern(identity)
    }

    /// A pod or container in the v2 tree is final. A unit is so only where no v1 hierarchy could know better
    /// (there, containers may be in the runtime's unit as far as v2 can tell).
    fn needs_process(&self, place: &Place) -> bool {
        if !self.host.sees_processes {
            return false;
        }
        let told_apart = match self.host.tree.layout() {
            Layout::Unified => !place.is_empty(),
            Layout::Hybrid | Layout::Legacy => place.rank() >= 2,
        };
        !told_apart || self.rules.ask_process()
    }

    fn owner(&mut self, socket: &Socket, now: Instant) -> Option<Owner> {
        let pid = if is_nameless(socket) {
            let local = Address {
                ip: socket.local,
                port: socket.local_port,
            };
            let remote = Address {
                ip: socket.remote,
                port: socket.remote_port,
            };
            self.host.owner(local, remote, now)?
        } else {
            socket.process
        };
        let master = self.host.master(pid);
        let stat = self.host.processes.stat(master)?;
        let membership = self.host.processes.membership(pid).unwrap_or_default();
        Some(Owner {
            master,
            pid,
            started: stat.started,
            name: stat.name,
            membership,
        })
    }

    /// The pod of the place that is known, and the place as that pod sees it. In a cluster within a cluster there
    /// are two to choose from.
    fn pod(&self, place: &mut Place) -> Option<Arc<Pod>> {
        let catalog = self.catalog();
        let (at, pod) = place
            .pods
            .iter()
            .enumerate()
            .find_map(|(at, uid)| Some((at, catalog.pod(uid)?)))?;
        drop(catalog);
        place.pods.drain(..at);
        Some(pod)
    }

    fn name(
        &mut self,
        socket: &Socket,
        path: Option<&str>,
        place: &Place,
        owner: Option<&Owner>,
        pod: Option<&Pod>,
        now: Instant,
    ) -> Identity {
        let container = match &place.container {
            Some(id) if place.pods.is_empty() => self.runtimes.name(id),
            _ => None,
        };
        let port = served_port(socket);
        let ports = self.ports(socket, place, owner, port, now);
        let command_line = owner
            .filter(|_| self.rules.ask_process())
            .and_then(|owner| self.host.processes.command_line(owner.master));
        let command = command(socket);
        let subject = Subject {
            ports: &ports,
            unit: place.unit.as_deref(),
            process: owner.map(|owner| &*owner.name).or(command.as_deref()),
            command_line: command_line.as_deref(),
            cgroup: owner
                .and_then(|owner| owner.membership.unified.as_deref())
                .or(path),
            labels: labels(pod, container.as_ref()),
        };
        let facts = Facts {
            node: &self.node,
            configured: self.rules.name(&subject),
            place: place.clone(),
            pod,
            container: container.as_ref(),
            process: owner.map(|owner| &*owner.name),
            command: command.as_deref(),
            port,
        };
        service::identify(&facts, &self.catalog())
    }

    /// The port a rule may name: the served one, or for a socket of a service's own calls those its owner serves.
    fn ports(
        &mut self,
        socket: &Socket,
        place: &Place,
        owner: Option<&Owner>,
        served: Option<u16>,
        now: Instant,
    ) -> Vec<u16> {
        if let Some(port) = served {
            return vec![port];
        }
        if !self.rules.ask_port() {
            return Vec::new();
        }
        let process = owner
            .map(|owner| owner.pid)
            .or_else(|| (self.host.sees_processes && socket.process > INIT).then_some(socket.process));
        let cgroup = if place.is_empty() { 0 } else { socket.cgroup };
        let mut ports = self.host.ports(process, cgroup, now);
        if ports.is_empty() && process.is_some() {
            // We may not look at the process's descriptors.
            ports = self.host.ports(None, cgroup, now);
        }
        ports
    }

    fn intern(&mut self, identity: Identity) -> Arc<Identity> {
        if let Some(known) = self.known.get(&identity) {
            return Arc::clone(known);
        }
        if self.known.len() >= MAX_IDENTITIES {
            self.known.retain(|identity| Arc::strong_count(identity) > 1);
        }
        let identity = Arc::new(identity);
        if self.known.len() < MAX_IDENTITIES {
            self.known.insert(Arc::clone(&identity));
        }
        identity
    }

    fn enrol(
        &self,
        identity: &Arc<Identity>,
        socket: &Socket,
        place: &Place,
        owner: Option<&Owner>,
        now: Instant,
    ) {
        let account = if place.scope.is_empty() {
            let Some(owner) = owner else { return };
            Account::Process {
                pid: owner.master,
                started: owner.started,
            }
        } else {
            let of = |path: Option<&Box<str>>| {
                path.map(|path| Place::parse(path).scope)
                    .filter(|scope| !scope.is_empty())
                    .unwrap_or_else(|| place.scope.clone())
            };
            let membership = owner.map(|owner| &owner.membership);
            Account::Cgroup {
                unified: of(membership.and_then(|membership| membership.unified.as_ref())),
                cpuacct: of(membership.and_then(|membership| membership.cpuacct.as_ref())),
                memory: of(membership.and_then(|membership| membership.memory.as_ref())),
            }
        };
        let mut roster = self.roster.lock().unwrap_or_else(PoisonError::into_inner);
        roster.enrol(account, identity, served_port(socket), now);
    }

    fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where v1 hierarchies tell containers apart, all of them may be in their runtime's unit as far as v2 can tell; and
/// of a process that has ended there is nothing more to ask.
fn forget_runtime(place: &mut Place) {
    if place.rank() == 1 && place.unit.as_deref().is_some_and(|unit| RUNTIMES.contains(&unit)) {
        *place = Place::default();
    }
}

fn labels<'a>(
    pod: Option<&'a Pod>,
    container: Option<&'a ContainerName>,
) -> Option<&'a BTreeMap<String, String>> {
    pod.map(|pod| &pod.labels)
        .or(container.map(|container| &container.labels))
}
