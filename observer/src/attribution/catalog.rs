//! The pods of this node and the Services of the cluster, as plain data: written by whoever watches them
//! (`kubernetes`), read by the resolver and the gauges. Knows no API type.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pod::PodUid;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub uid: PodUid,
    /// UID in the cgroup's name where it is another: a static pod's, by the annotation `kubernetes.io/config.hash`.
    pub cgroup_uid: Option<PodUid>,
    pub namespace: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `CronJob` or `Job`.
    pub workload: String,
    pub containers: Vec<Container>,
    pub addresses: Vec<IpAddr>,
    pub host_network: bool,
    pub ready: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Without the `containerd://` before it; empty until it was started.
    pub id: String,
    pub name: String,
    pub image: String,
    pub ports: Vec<(String, u16)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub namespace: String,
    pub name: String,
    /// Empty: its endpoints are somebody else's business and it selects nothing.
    pub selector: BTreeMap<String, String>,
    pub ports: Vec<Target>,
    pub addresses: Vec<IpAddr>,
}

/// Where in the pod a Service's port goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Number(u16),
    Name(String),
}

/// How much of the truth this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coverage {
    /// Nobody lists pods here: what is not known now will not be known later.
    #[default]
    None,
    /// A list is expected: wait for it.
    Expected,
    /// Pods that are missing here are missing there, or a moment too new.
    Complete,
}

#[derive(Debug, Default)]
pub struct Catalog {
    pods: HashMap<PodUid, Held>,
    /// In order, so that those of one namespace are together.
    services: BTreeMap<(String, String), Arc<Service>>,
    by_address: HashMap<IpAddr, (String, String)>,
    coverage: Coverage,
    /// Raised with every change.
    version: u64,
    /// Left out because of [`MAX_PODS`] or [`MAX_SERVICES`].
    pub refused: u64,
}

#[derive(Debug)]
struct Held {
    pod: Arc<Pod>,
    gone: Option<Instant>,
}

/// The kubelet's own default is 110, some clouds allow 256, `OpenShift` tests 500; with those that died lately.
const MAX_PODS: usize = 4096;

/// Kubernetes is tested to 10,000 Services in a cluster; about 500 bytes each.
const MAX_SERVICES: usize = 20_000;

/// A pod that died still names its last calls, and what is left of it in the kernel.
const KEEP_GONE: Duration = Duration::from_mins(5);

impl Catalog {
    pub fn coverage(&self) -> Coverage {
        self.coverage
    }

    pub fn set_coverage(&mut self, coverage: Coverage) {
        self.coverage = coverage;
        self.version += 1;
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn put_pod(&mut self, pod: Pod, now: Instant) {
        self.version += 1;
        self.forget(now);
        let uid = pod.cgroup_uid.clone().unwrap_or_else(|| pod.uid.clone());
        if self.pods.len() >= MAX_PODS && !self.pods.contains_key(&uid) {
            self.refused += 1;
            return;
        }
        self.pods.insert(
            uid,
            Held {
                pod: Arc::new(pod),
                gone: None,
            },
        );
    }

    /// By the UID of the API server.
    pub fn remove_pod(&mut self, uid: &PodUid, now: Instant) {
        self.version += 1;
        for held in self.pods.values_mut().filter(|held| held.pod.uid == *uid) {
            held.gone.get_or_insert(now);
        }
        self.forget(now);
    }

    /// After a new list: whoever is not in it has gone.
    pub fn retain_pods(&mut self, listed: &[PodUid], now: Instant) {
        self.version += 1;
        for held in self
            .pods
            .values_mut()
            .filter(|held| !listed.contains(&held.pod.uid))
        {
            held.gone.get_or_insert(now);
        }
        self.forget(now);
    }

    pub fn put_service(&mut self, service: Service) {
        self.version += 1;
        let key = (service.namespace.clone(), service.name.clone());
        if self.services.len() >= MAX_SERVICES && !self.services.contains_key(&key) {
            self.refused += 1;
            return;
        }
        self.by_address.retain(|_, owner| *owner != key);
        for address in &service.addresses {
            self.by_address.insert(*address, key.clone());
        }
        self.services.insert(key, Arc::new(service));
    }

    pub fn remove_service(&mut self, namespace: &str, name: &str) {
        self.version += 1;
        let key = (namespace.to_owned(), name.to_owned());
        self.by_address.retain(|_, owner| *owner != key);
        self.services.remove(&key);
    }

    pub fn retain_services(&mut self, listed: &HashSet<(String, String)>) {
        self.version += 1;
        self.services.retain(|key, _| listed.contains(key));
        self.by_address
            .retain(|_, owner| self.services.contains_key(owner));
    }

    /// By the UID that stands in the cgroup's name.
    pub fn pod(&self, uid: &PodUid) -> Option<Arc<Pod>> {
        self.pods.get(uid).map(|held| Arc::clone(&held.pod))
    }

    /// Pods that live, for the gauges.
    pub fn living(&self) -> impl Iterator<Item = (&PodUid, &Arc<Pod>)> {
        self.pods
            .iter()
            .filter(|(_, held)| held.gone.is_none())
            .map(|(uid, held)| (uid, &held.pod))
    }

    /// The pod that has an address of its own.
    pub fn pod_at(&self, address: IpAddr) -> Option<Arc<Pod>> {
        let held = self.pods.values().find(|held| {
            held.gone.is_none() && !held.pod.host_network && held.pod.addresses.contains(&address)
        })?;
        Some(Arc::clone(&held.pod))
    }

    pub fn service_at(&self, address: IpAddr) -> Option<Arc<Service>> {
        self.services.get(self.by_address.get(&address)?).cloned()
    }

    /// The only Service that selects the pod, on that port where one is given.
    pub fn service_of(&self, pod: &Pod, port: Option<u16>) -> Option<Arc<Service>> {
        let first = (pod.namespace.clone(), String::new());
        let nearby = self
            .services
            .range(first..)
            .take_while(|((namespace, _), _)| *namespace == pod.namespace);
        let mut selecting = nearby
            .map(|(_, service)| service)
            .filter(|service| service.selects(pod, port));
        let only = selecting.next()?;
        selecting.next().is_none().then(|| Arc::clone(only))
    }

    fn forget(&mut self, now: Instant) {
        self.pods.retain(|_, held| {
            held.gone
                .is_none_or(|gone| now.saturating_duration_since(gone) < KEEP_GONE)
        });
    }
}

impl Service {
    /// Whether it selects a pod of its namespace.
    fn selects(&self, pod: &Pod, port: Option<u16>) -> bool {
        !self.selector.is_empty()
            && self
                .selector
                .iter()
                .all(|(key, value)| pod.labels.get(key) == Some(value))
            && port.is_none_or(|port| self.ports.iter().any(|target| target.leads_to(pod, port)))
    }
}

impl Target {
    fn leads_to(&self, pod: &Pod, port: u16) -> bool {
        match self {
            Self::Number(number) => *number == port,
            Self::Name(name) => pod
                .containers
                .iter()
                .flat_map(|container| &container.ports)
                .any(|(named, number)| named == name && *number == port),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
