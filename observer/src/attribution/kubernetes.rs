//! The pods of this node and the Services of the cluster, kept in the catalog: by watching the API server, or by
//! asking the kubelet for its pods. Everything asynchronous of attribution is here, and all that knows Kubernetes'
//! API; with the feature `kubernetes` off, a pod is known by the UID in its cgroup's name.
//!
//! What a node costs the API server: two watches. That of pods is selected by `spec.nodeName`, for which the API
//! server keeps an index, so a node gets the events of its own pods only. That of Services is the whole cluster's.
//! Lists are answered from the API server's cache, not from etcd.

pub mod connect;
pub mod kubelet;
pub mod object;
pub mod status;
pub mod watch;

use std::sync::{Arc, RwLock};

pub use self::status::{Origin, Status};
use super::catalog::{Catalog, Coverage};

/// Where pods are known from.
#[derive(Clone)]
#[expect(
    missing_debug_implementations,
    reason = "a client has none, and holds a token"
)]
pub enum Source {
    /// The API server, with the name of this node as it knows it.
    Api(kube::Client),
    /// The kubelet of this node; knows no Services.
    Kubelet(kube::Client),
}

/// Keeps the catalog current until it is dropped.
pub async fn run(source: Source, node: &str, catalog: Arc<RwLock<Catalog>>, status: Arc<Status>) {
    write(&catalog).set_coverage(Coverage::Expected);
    match source {
        Source::Api(client) => watch::run(client, node, &catalog, &status).await,
        Source::Kubelet(client) => kubelet::run(client, &catalog, &status).await,
    }
}

fn write(catalog: &RwLock<Catalog>) -> std::sync::RwLockWriteGuard<'_, Catalog> {
    catalog.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
