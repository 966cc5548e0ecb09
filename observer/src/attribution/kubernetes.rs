//! The pods of this node and the Services of the cluster, kept in the catalog: by watching the API server, by asking
//! the kubelet for its pods while the API server does not answer, or not at all. Everything asynchronous of
//! attribution is here, and all that knows Kubernetes' API; with the feature `kubernetes` off, a pod is known by the
//! UID in its cgroup's name.
//!
//! What a node costs the API server: two watches. That of pods is selected by `spec.nodeName`, for which the API
//! server keeps an index, so a node gets the events of its own pods only. That of Services is the whole cluster's.
//! Lists are answered from the API server's cache, not from etcd.

#[cfg(feature = "kubernetes")]
pub mod connect;
#[cfg(feature = "kubernetes")]
pub mod informer;
#[cfg(feature = "kubernetes")]
pub mod kubelet;
#[cfg(feature = "kubernetes")]
pub mod object;
pub mod status;
#[cfg(feature = "kubernetes")]
pub mod watch;

pub use self::status::{List, Origin, Status};

#[cfg(feature = "kubernetes")]
#[cfg(test)]
mod tests;
