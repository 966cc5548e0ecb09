//! One pass over everybody: the only place that knows all gauges.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use super::account::{Books, Census};
use super::cpu::{self, Lazy, Meter, to_f64};
use super::database::Ports;
use super::namespace::{Changes, Namespaces, View};
use super::node::Node;
use super::subject::{self, PodPaths, Subject};
use super::{Family, Sample, Snapshot, health, memory, tcp};
use crate::attribution::catalog::Catalog;
use crate::attribution::host::{Host, INIT};
use crate::attribution::owner::Owners;
use crate::attribution::process::Processes;
use crate::attribution::resolver::Resolver;
use crate::attribution::roster::Roster;
use crate::attribution::rule::Rules;
use crate::attribution::socket::{Sockets, State, diag, table};
use crate::attribution::{Identity, Settings};

#[derive(Debug)]
pub struct Collector {
    books: Books,
    resolver: Resolver,
    catalog: Arc<RwLock<Catalog>>,
    roster: Arc<Mutex<Roster>>,
    ports: Ports,
    node: Node,
    meter: Meter,
    paths: PodPaths,
    namespaces: Namespaces,
    /// Whether we have a network of our own, and see the node's processes.
    elsewhere: bool,
    /// Counts of connections that were ever told, so that they are told as 0 when the last has gone.
    told: BTreeMap<(Label, Arc<str>), Arc<Identity>>,
}

/// What makes a series of a service its own.
type Label = (Box<str>, Box<str>, Box<str>);

/// Services of one node: as many as pods can be, and processes. The rest is counted as refused.
const MAX_SERVICES: usize = 4096;

/// Series of database connections.
const MAX_DATABASE_SERIES: usize = 4096;

/// What one service has, all its accounts together.
#[derive(Debug)]
struct Totals {
    identity: Arc<Identity>,
    cpu: Option<f64>,
    memory: Option<f64>,
    healthy: Option<bool>,
}

impl Collector {
    pub fn new(
        settings: Settings,
        ports: Ports,
        catalog: Arc<RwLock<Catalog>>,
        roster: Arc<Mutex<Roster>>,
    ) -> Self {
        let Settings {
            proc,
            cgroups,
            runtimes,
            node,
            rules,
        } = settings;
        let host = Host::new(&proc, &cgroups);
        let own = Processes::new("/proc").network_namespace(std::process::id());
        let first = host
            .sees_processes
            .then(|| host.processes.network_namespace(INIT))
            .flatten();
        let books = Books::new(host.processes.clone(), &cgroups);
        let resolver = Resolver::new(
            host,
            Rules::new(rules),
            runtimes,
            node,
            Arc::clone(&catalog),
            Arc::clone(&roster),
        );
        Self {
            books,
            resolver,
            catalog,
            roster,
            ports,
            node: Node::new(),
            meter: Meter::default(),
            paths: PodPaths::default(),
            namespaces: Namespaces::new(own, first),
            elsewhere: first.is_some() && first != own,
            told: BTreeMap::new(),
        }
    }

    /// With somebody who knows where sockets have come or gone: they need not be looked for.
    #[must_use]
    pub fn with_changes(mut self, changes: Option<Box<dyn Changes>>) -> Self {
        if let Some(changes) = changes {
            self.namespaces.set_changes(changes);
        }
        self
    }

    pub fn pass(&mut self, now: Instant) -> Snapshot {
        let begun = Instant::now();
        let mut snapshot = Snapshot::default();
        self.node.samples(&mut snapshot.samples);
        let sockets = diag::dump(&State::ALL).unwrap_or_default();
        tcp::samples(
            self.node_sockets().as_ref().unwrap_or(&sockets),
            &mut snapshot.samples,
        );
        // First, for it enrols services that have nothing but connections to databases.
        let mut connections = self.own_connections(&sockets, now);
        let subjects = self.subjects(now);
        snapshot.left_out.pods = self.paths.left_out();
        self.namespaces
            .refresh(&self.books, subjects.iter().map(|subject| &subject.account), now);
        snapshot.left_out.namespaces = self.namespaces.left_out();
        snapshot.oldest_list = self.namespaces.oldest(now);
        snapshot.left_out.connections = self.connections_elsewhere(&subjects, &mut connections);
        // A pass can be held up by a busy machine: each account is read at its own time.
        let mut totals = self.usage(
            &subjects,
            || now + begun.elapsed(),
            &mut snapshot.left_out.services,
        );
        self.health(&subjects, &sockets, &mut totals);
        self.database_samples(connections, &totals, &mut snapshot);
        for total in totals.into_values() {
            total.samples(&mut snapshot.samples);
        }
        snapshot.cost = begun.elapsed();
        snapshot
    }

    fn subjects(&mut self, now: Instant) -> Vec<Subject> {
        subject::gather(
            &self.books,
            &mut self.paths,
            &mut self.resolver,
            &self.catalog,
            &self.roster,
            now,
        )
    }

    /// How many services there are, after processor time and memory of each were read: the part of a pass that
    /// grows with the number of pods, to be measured alone.
    pub fn services(&mut self, now: Instant) -> usize {
        let subjects = self.subjects(now);
        self.usage(&subjects, Instant::now, &mut 0).len()
    }

    /// Processor time and memory: the part of the pass that grows with the number of pods.
    fn usage(
        &mut self,
        subjects: &[Subject],
        now: impl Fn() -> Instant,
        refused: &mut u64,
    ) -> BTreeMap<Label, Totals> {
        let mut totals = BTreeMap::<Label, Totals>::new();
        let mut census = Lazy::default();
        for subject in subjects {
            let label = label(&subject.identity);
            if totals.len() >= MAX_SERVICES && !totals.contains_key(&label) {
                *refused += 1;
                continue;
            }
            let total = totals
                .entry(label)
                .or_insert_with(|| Totals::of(&subject.identity));
            let seconds = cpu::seconds(&self.books, &subject.account, &mut census);
            let percent = seconds.and_then(|seconds| self.meter.percent(&subject.account, seconds, now()));
            add(&mut total.cpu, percent);
            add(
                &mut total.memory,
                memory::working_set(&self.books, &subject.account, &mut census),
            );
        }
        let accounts: HashSet<_> = subjects.iter().map(|subject| &subject.account).collect();
        self.meter.retain(|account| accounts.contains(account));
        totals
    }

    /// A service is well if any part of it is: after a restart there is an old process that is not.
    fn health(&self, subjects: &[Subject], own: &Sockets, totals: &mut BTreeMap<Label, Totals>) {
        for subject in subjects {
            let view = self.namespaces.view(&subject.account);
            let Some(healthy) = health::status(subject, view, own) else {
                continue;
            };
            if let Some(total) = totals.get_mut(&label(&subject.identity)) {
                total.healthy = Some(total.healthy.unwrap_or(false) || healthy);
            }
        }
    }

    fn own_connections(&mut self, sockets: &Sockets, now: Instant) -> Connections {
        let mut connections = Connections::default();
        for (entry, database) in self.ports.connections(sockets) {
            if let Some(found) = self.resolver.identify_entry(entry, now) {
                connections.add(&found.identity, database);
            }
        }
        connections
    }

    /// Those of the node, where they are not ours.
    fn node_sockets(&self) -> Option<Sockets> {
        let read = || table::read(&self.books.processes, INIT, &State::ALL).ok();
        self.elsewhere.then(read).flatten()
    }

    /// In the namespaces of others; how many could not be told apart is returned.
    fn connections_elsewhere(&self, subjects: &[Subject], connections: &mut Connections) -> u64 {
        let mut spaces = BTreeMap::<u64, (&Sockets, Vec<&Subject>)>::new();
        for subject in subjects {
            if let View::Sockets(space, sockets) = self.namespaces.view(&subject.account) {
                spaces
                    .entry(space)
                    .or_insert_with(|| (sockets, Vec::new()))
                    .1
                    .push(subject);
            }
        }
        let mut unknown = 0;
        for (space, (sockets, members)) in spaces {
            let shared = members.len() > 1 || self.namespaces.is_public(space);
            let mut owners = None;
            for (entry, database) in self.ports.connections(sockets) {
                let owner = if shared {
                    let owners = owners.get_or_insert_with(|| self.owners(&members));
                    owners.get(&entry.inode).copied()
                } else {
                    members.first().copied()
                };
                match owner {
                    Some(subject) => connections.add(&subject.identity, database),
                    // Somebody's who is no service, where all are seen.
                    None if self.namespaces.is_public(space) => {}
                    None => unknown += 1,
                }
            }
        }
        unknown
    }

    /// Who of those that share a namespace has which socket open; takes `CAP_SYS_PTRACE`.
    fn owners<'a>(&self, members: &[&'a Subject]) -> HashMap<u64, &'a Subject> {
        let census = Census::take(&self.books.processes);
        let mut owners = HashMap::new();
        for subject in members {
            for pid in self.books.members(&subject.account, &census) {
                for inode in Owners::of(&self.books.processes, pid) {
                    owners.entry(inode).or_insert(*subject);
                }
            }
        }
        owners
    }

    fn database_samples(
        &mut self,
        connections: Connections,
        totals: &BTreeMap<Label, Totals>,
        snapshot: &mut Snapshot,
    ) {
        self.told.retain(|(label, _), _| totals.contains_key(label));
        let Connections(mut counts) = connections;
        for ((label, database), (identity, _)) in &counts {
            let key = (label.clone(), Arc::clone(database));
            if self.told.len() < MAX_DATABASE_SERIES || self.told.contains_key(&key) {
                self.told.insert(key, Arc::clone(identity));
            } else {
                snapshot.left_out.services += 1;
            }
        }
        for (key, identity) in &self.told {
            let count = counts.remove(key).map_or(0, |(_, count)| count);
            snapshot.samples.push(Sample {
                family: Family::DatabaseConnections,
                identity: Some(Arc::clone(identity)),
                kind: Arc::clone(&key.1),
                value: to_f64(count),
            });
        }
    }
}

#[derive(Debug, Default)]
struct Connections(HashMap<(Label, Arc<str>), (Arc<Identity>, u64)>);

impl Connections {
    fn add(&mut self, identity: &Arc<Identity>, database: &Arc<str>) {
        let key = (label(identity), Arc::clone(database));
        self.0.entry(key).or_insert_with(|| (Arc::clone(identity), 0)).1 += 1;
    }
}

impl Totals {
    fn of(identity: &Arc<Identity>) -> Self {
        Self {
            identity: Arc::clone(identity),
            cpu: None,
            memory: None,
            healthy: None,
        }
    }

    fn samples(self, samples: &mut Vec<Sample>) {
        let Self {
            identity,
            cpu,
            memory,
            healthy,
        } = self;
        let values = [
            (Family::ServiceCpu, cpu),
            (Family::ServiceMemory, memory),
            (
                Family::ServiceHealth,
                healthy.map(|healthy| f64::from(u8::from(healthy))),
            ),
            (Family::ServiceInfo, Some(1.0)),
        ];
        samples.extend(values.into_iter().filter_map(|(family, value)| {
            Some(Sample {
                family,
                identity: Some(Arc::clone(&identity)),
                kind: Arc::from(""),
                value: value?,
            })
        }));
    }
}

fn add(total: &mut Option<f64>, value: Option<f64>) {
    if let Some(value) = value {
        *total = Some(total.unwrap_or(0.0) + value);
    }
}

fn label(identity: &Identity) -> Label {
    (
        identity.service.clone(),
        identity.namespace.clone(),
        identity.pod.clone(),
    )
}

#[cfg(test)]
mod tests;
