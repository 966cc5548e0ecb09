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
pub mod pass;
pub mod subject;
pub mod tcp;

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::attribution::Identity;

pub use self::pass::Collector;

/// The families of this stage, all gauges.
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

    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceCpu => "marty_service_cpu_usage_percent",
            Self::ServiceMemory => "marty_service_memory_usage_bytes",
            Self::DatabaseConnections => "marty_database_connections_active",
            Self::ServiceHealth => "marty_service_health_status",
            Self::ServiceInfo => "marty_service_info",
            Self::NodeCpu => "marty_node_cpu_usage_percent",
            Self::NodeMemoryTotal => "marty_node_memory_total_bytes",
            Self::NodeMemoryAvailable => "marty_node_memory_available_bytes",
            Self::NodeTcpConnections => "marty_node_tcp_connections",
        }
    }

    pub fn help(self) -> &'static str {
        match self {
            Self::ServiceCpu => "Processor time used over the last interval, in percent of one core.",
            Self::ServiceMemory => {
                "Working set: memory of the cgroup without inactive file pages, or resident memory of the processes."
            }
            Self::DatabaseConnections => "Established TCP connections from the service to a database.",
            Self::ServiceHealth => "1 when the pod is Ready, or the process lives and listens; else 0.",
            Self::ServiceInfo => "What is known about the service; always 1.",
            Self::NodeCpu => "Processor time used over the last interval, in percent of all cores.",
            Self::NodeMemoryTotal => "Memory of the node.",
            Self::NodeMemoryAvailable => "Memory of the node that new programs can have without swapping.",
            Self::NodeTcpConnections => "TCP sockets in the network namespace of the node, by state.",
        }
    }

    /// Names of the family's own labels; `namespace` and `pod` follow where there is a `service`.
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            Self::ServiceCpu | Self::ServiceMemory | Self::ServiceHealth => &["service"],
            Self::DatabaseConnections => &["service", "database"],
            Self::ServiceInfo => &["service", "version", "workload", "node"],
            Self::NodeCpu | Self::NodeMemoryTotal | Self::NodeMemoryAvailable => &[],
            Self::NodeTcpConnections => &["state"],
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
    /// Services left out because of a ceiling.
    pub refused: u64,
    /// How long the pass took.
    pub cost: Duration,
}

/// The collecting thread. Dropping it ends the thread with its pass.
#[derive(Debug)]
pub struct Gauges {
    latest: Arc<RwLock<Arc<Snapshot>>>,
    _stop: Sender<()>,
}

impl Gauges {
    pub fn start(mut collector: Collector, interval: Duration) -> io::Result<Self> {
        let latest = Arc::<RwLock<Arc<Snapshot>>>::default();
        let (stop, stopped) = mpsc::channel::<()>();
        let target = Arc::clone(&latest);
        thread::Builder::new().name("gauges".to_owned()).spawn(move || {
            loop {
                let snapshot = Arc::new(collector.pass(Instant::now()));
                *target.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
                if stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Self { latest, _stop: stop })
    }

    pub fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.latest.read().unwrap_or_else(PoisonError::into_inner))
    }
}
