//! How the services and the node are doing: processor time, memory, connections, health. One pass in an interval on
//! a thread of its own, whatever the scrapes; the outcome is a plain list of [`Sample`]s.
//!
//! Whom to measure is attribution's knowledge: the pods of the catalog and whoever was identified (the roster).

pub mod account;
pub mod cpu;
pub mod database;
pub mod health;
pub mod memory;
pub mod namespace;
pub mod node;
pub mod own;
pub mod pass;
pub mod subject;
pub mod tcp;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::attribution::Identity;
use crate::metrics::collected::Measured;
use crate::metrics::{self, Collection, catalogue};

pub use self::pass::Collector;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    ServiceCpu,
    ServiceMemory,
    DatabaseConnections,
    ServiceHealth,
    ServiceInfo,
    NodeCpu,
    NodeMemoryTotal,
    NodeMemoryAvailable,
    NodeTcpConnections,
}

impl Family {
    pub const ALL: [Self; 9] = [
        Self::ServiceCpu,
        Self::ServiceMemory,
        Self::DatabaseConnections,
        Self::ServiceHealth,
        Self::ServiceInfo,
        Self::NodeCpu,
        Self::NodeMemoryTotal,
        Self::NodeMemoryAvailable,
        Self::NodeTcpConnections,
    ];

    /// The family as it is exported.
    pub fn exported(self) -> &'static metrics::family::Family {
        match self {
            Self::ServiceCpu => &catalogue::SERVICE_CPU,
            Self::ServiceMemory => &catalogue::SERVICE_MEMORY,
            Self::DatabaseConnections => &catalogue::DATABASE_CONNECTIONS,
            Self::ServiceHealth => &catalogue::SERVICE_HEALTH,
            Self::ServiceInfo => &catalogue::SERVICE_INFO,
            Self::NodeCpu => &catalogue::NODE_CPU,
            Self::NodeMemoryTotal => &catalogue::NODE_MEMORY_TOTAL,
            Self::NodeMemoryAvailable => &catalogue::NODE_MEMORY_AVAILABLE,
            Self::NodeTcpConnections => &catalogue::NODE_CONNECTIONS,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub family: Family,
    /// Whose; absent for the node's.
    pub identity: Option<Arc<Identity>>,
    /// Value of the label `database` or `state`; empty for the families without.
    pub kind: Arc<str>,
    pub value: f64,
}

/// The outcome of one pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub samples: Vec<Sample>,
    pub left_out: LeftOut,
    /// Of the oldest list of sockets of another network namespace.
    pub oldest_list: Duration,
    /// How long the pass took.
    pub cost: Duration,
}

/// What is missing in a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Services, or their connections to databases, above a ceiling.
    pub services: u64,
    /// Pods whose cgroup was not found because there are more folders than may be looked at.
    pub pods: u64,
    /// Network namespaces above their ceiling.
    pub namespaces: u64,
    /// Connections to databases in a namespace that several services share, whose owner cannot be told for want of
    /// `CAP_SYS_PTRACE`.
    pub connections: u64,
}

impl Sample {
    fn measured(&self) -> Measured<'_> {
        let identity = self.identity.as_deref();
        let service = identity.map_or("", |identity| &identity.service);
        let own: Vec<&str> = match self.family {
            Family::ServiceCpu | Family::ServiceMemory | Family::ServiceHealth => vec![service],
            Family::DatabaseConnections => vec![service, &self.kind],
            Family::ServiceInfo => {
                let (version, workload, node) = identity.map_or(("", "", ""), |identity| {
                    (&*identity.version, &*identity.workload, &*identity.node)
                });
                vec![service, version, workload, node]
            }
            Family::NodeCpu | Family::NodeMemoryTotal | Family::NodeMemoryAvailable => vec![],
            Family::NodeTcpConnections => vec![&self.kind],
        };
        Measured {
            family: self.family.exported(),
            own,
            namespace: identity.map_or("", |identity| &identity.namespace),
            pod: identity.map_or("", |identity| &identity.pod),
            value: self.value,
        }
    }
}

/// The collecting thread. Dropping it ends the thread with its pass.
#[derive(Debug)]
pub struct Gauges {
    _stop: Sender<()>,
}

impl Gauges {
    /// Collects at once and then in every interval, and publishes what it finds.
    pub fn start(
        mut collector: Collector,
        account: own::Account,
        interval: Duration,
        collection: Collection,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        thread::Builder::new().name("gauges".to_owned()).spawn(move || {
            loop {
                let snapshot = collector.pass(Instant::now());
                let mut measured: Vec<_> = snapshot.samples.iter().map(Sample::measured).collect();
                measured.extend(account.measured(&snapshot));
                collection.publish(&measured);
                if stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Self { _stop: stop })
    }
}
