//! Against an API server of our own that speaks HTTP over loopback and misbehaves on demand.

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::informer::{Sources, run};
use super::*;
use crate::attribution::catalog::{Catalog, Coverage};
use crate::attribution::pod::PodUid;

mod server;

use server::{Mood, Server};

const UID: &str = "2b1b8b1c-7d1f-4e0e-9d3a-0f5f6a7b8c9d";
const OTHER: &str = "99999999-7d1f-4e0e-9d3a-0f5f6a7b8c9d";

fn pod(uid: &str, name: &str, version: u64) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "marty", "uid": uid, "resourceVersion": version.to_string(),
            "labels": {"app": "csca"}},
        "spec": {"nodeName": "node1", "containers": [{"name": "main", "image": "csca:1"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
}

fn service(name: &str, version: u64) -> Value {
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "marty", "uid": "s", "resourceVersion": version.to_string()},
        "spec": {"selector": {"app": "csca"}, "clusterIP": "10.96.0.9", "ports": [{"port": 80, "targetPort": 8081}]}})
}

struct Cluster {
    server: Server,
    catalog: Arc<RwLock<Catalog>>,
    status: Arc<Status>,
    task: tokio::task::JoinHandle<()>,
}

impl Cluster {
    async fn new(pods: Vec<Value>, services: Vec<Value>) -> Self {
        let server = Server::start(pods, services).await;
        let sources = Sources {
            api: Some(server.client()),
            kubelet: None,
        };
        Self::of(server, sources)
    }

    /// Watches by these sources; `server` is the one that is spoken of.
    fn of(server: Server, sources: Sources) -> Self {
        let catalog = Arc::<RwLock<Catalog>>::default();
        let status = Arc::<Status>::default();
        let (watched, told) = (Arc::clone(&catalog), Arc::clone(&status));
        let task = tokio::spawn(async move { run(sources, "node1", &watched, &told).await });
        Self {
            server,
            catalog,
            status,
            task,
        }
    }

    fn name(&self, uid: &str) -> Option<String> {
        let catalog = self.catalog.read().unwrap();
        catalog
            .pod(&PodUid::parse(uid).unwrap())
            .map(|pod| pod.name.clone())
    }

    fn living(&self) -> usize {
        self.catalog.read().unwrap().living().count()
    }

    async fn until(&self, what: &str, mut so: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !so(self) {
            let told = (self.status.failure(List::Pods), self.server.requests());
            assert!(start.elapsed() < Duration::from_mins(1), "{what}: {told:?}");
            assert!(!self.task.is_finished(), "the watch ended");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn list_then_events() {
    let cluster = Cluster::new(vec![pod(UID, "csca-0", 5)], vec![service("csca", 4)]).await;
    cluster.until("list", |cluster| cluster.name(UID).is_some()).await;
    cluster
        .until("complete", |cluster| {
            cluster.catalog.read().unwrap().coverage() == Coverage::Complete
        })
        .await;
    assert_eq!(cluster.status.origin(), Origin::Api);
    cluster.server.send("pods", "ADDED", &pod(OTHER, "csca-1", 6));
    cluster
        .until("added", |cluster| cluster.name(OTHER).is_some())
        .await;
    cluster.server.send("pods", "DELETED", &pod(UID, "csca-0", 7));
    cluster.until("deleted", |cluster| cluster.living() == 1).await;
    assert_eq!(
        cluster.name(UID).as_deref(),
        Some("csca-0"),
        "still names its last calls"
    );
    let catalog = cluster.catalog.read().unwrap();
    let left = catalog.pod(&PodUid::parse(OTHER).unwrap()).unwrap();
    assert_eq!(catalog.service_of(&left, Some(8081)).unwrap().name, "csca");
    drop(catalog);
    let requests = cluster.server.requests();
    assert!(
        requests
            .iter()
            .any(|request| request.contains("fieldSelector=spec.nodeName%3Dnode1")),
        "{requests:?}"
    );
    assert!(
        requests
            .iter()
            .all(|request| request.starts_with("/api/v1/pods?") || request.starts_with("/api/v1/services?"))
    );
}

#[tokio::test]
async fn resumed_where_it_was_after_a_disconnect() {
    let cluster = Cluster::new(vec![pod(UID, "csca-0", 5)], vec![]).await;
    cluster.until("list", |cluster| cluster.name(UID).is_some()).await;
    cluster
        .until("watch", |cluster| cluster.server.watches("pods") == 1)
        .await;
    cluster.server.send(
        "pods",
        "BOOKMARK",
        &json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "41"}}),
    );
    cluster.server.disconnect();
    cluster
        .until("again", |cluster| cluster.server.watches("pods") == 2)
        .await;
    cluster.server.send("pods", "ADDED", &pod(OTHER, "csca-1", 42));
    cluster
        .until("added", |cluster| cluster.name(OTHER).is_some())
        .await;
    let requests = cluster.server.requests();
    let resumed = requests
        .iter()
        .any(|request| request.contains("pods") && request.contains("resourceVersion=41"));
    assert!(resumed, "from the bookmark: {requests:?}");
    assert_eq!(cluster.server.lists("pods"), 1, "no second list: {requests:?}");
}

#[tokio::test]
async fn listed_anew_when_its_place_is_gone() {
    let cluster = Cluster::new(vec![pod(UID, "csca-0", 5)], vec![]).await;
    cluster
        .until("watch", |cluster| cluster.server.watches("pods") == 1)
        .await;
    cluster.server.set_pods(vec![pod(OTHER, "csca-1", 50)]);
    cluster.server.send(
        "pods",
        "ERROR",
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
            "reason": "Expired", "message": "too old resource version"}),
    );
    cluster
        .until("new list", |cluster| cluster.name(OTHER).is_some())
        .await;
    cluster
        .until("old pod gone", |cluster| cluster.living() == 1)
        .await;
    assert_eq!(cluster.server.lists("pods"), 2);
}

#[tokio::test]
async fn refused_away_and_too_busy() {
    for mood in [
        Mood::Away,
        Mood::TooManyRequests,
        Mood::Forbidden,
        Mood::Gone,
        Mood::Garbage,
    ] {
        let cluster = Cluster::new(vec![pod(UID, "csca-0", 5)], vec![]).await;
        cluster.until("list", |cluster| cluster.name(UID).is_some()).await;
        cluster
            .until("watch", |cluster| cluster.server.watches("pods") == 1)
            .await;
        cluster.server.set(mood);
        cluster.server.disconnect();
        let before = cluster.server.attempts();
        cluster
            .until("tries again", |cluster| cluster.server.attempts() >= before + 2)
            .await;
        assert_eq!(
            cluster.name(UID).as_deref(),
            Some("csca-0"),
            "what was known stays known: {mood:?}"
        );
        assert_eq!(cluster.living(), 1);
        cluster.server.set(Mood::Well);
        cluster.server.send("pods", "ADDED", &pod(OTHER, "csca-1", 6));
        cluster
            .until("recovers", |cluster| cluster.name(OTHER).is_some())
            .await;
    }
}

#[tokio::test]
async fn unreachable_at_start() {
    let server = Server::start(vec![pod(UID, "csca-0", 5)], vec![]).await;
    server.set(Mood::Away);
    let sources = Sources {
        api: Some(server.client()),
        kubelet: None,
    };
    let cluster = Cluster::of(server, sources);
    cluster
        .until("fails", |cluster| cluster.status.errors() > 0)
        .await;
    assert_eq!(cluster.status.origin(), Origin::Cgroup);
    assert_eq!(cluster.catalog.read().unwrap().coverage(), Coverage::Expected);
    assert!(cluster.status.failure(List::Services).is_some());
    cluster.server.set(Mood::Well);
    cluster
        .until("recovers", |cluster| cluster.name(UID).is_some())
        .await;
}

#[tokio::test]
async fn services_that_may_not_be_watched() {
    let server = Server::start(vec![pod(UID, "csca-0", 5)], vec![]).await;
    server.forbid("services");
    let sources = Sources {
        api: Some(server.client()),
        kubelet: None,
    };
    let cluster = Cluster::of(server, sources);
    cluster
        .until("pods all the same", |cluster| cluster.name(UID).is_some())
        .await;
}

#[tokio::test]
async fn pods_of_the_kubelet() {
    let server = Server::start(vec![pod(UID, "csca-0", 5)], vec![]).await;
    let sources = Sources {
        api: None,
        kubelet: Some(server.client()),
    };
    let cluster = Cluster::of(server, sources);
    cluster.until("list", |cluster| cluster.name(UID).is_some()).await;
    cluster
        .until("told", |cluster| cluster.status.origin() == Origin::Kubelet)
        .await;
    cluster.server.set_pods(vec![]);
    cluster.until("gone", |cluster| cluster.living() == 0).await;
}

#[tokio::test]
async fn the_kubelet_stands_in_while_the_api_server_is_away() {
    let api = Server::start(vec![pod(UID, "csca-0", 5)], vec![service("csca", 4)]).await;
    let kubelet = Server::start(vec![pod(UID, "csca-0", 5)], vec![]).await;
    api.set(Mood::Away);
    let sources = Sources {
        api: Some(api.client()),
        kubelet: Some(kubelet.client()),
    };
    let cluster = Cluster::of(api, sources);
    cluster
        .until("the kubelet's list", |cluster| cluster.name(UID).is_some())
        .await;
    assert_eq!(cluster.status.origin(), Origin::Kubelet);
    cluster.server.set(Mood::Well);
    cluster
        .until("the API server's", |cluster| {
            cluster.status.origin() == Origin::Api
        })
        .await;
    let asked = kubelet.attempts();
    cluster.server.send("pods", "ADDED", &pod(OTHER, "csca-1", 6));
    cluster
        .until("its events", |cluster| cluster.name(OTHER).is_some())
        .await;
    assert!(
        kubelet.attempts() <= asked + 1,
        "the kubelet is left alone when the API server answers"
    );
}

#[tokio::test]
async fn slow_to_answer() {
    let server = Server::start(vec![pod(UID, "csca-0", 5)], vec![]).await;
    server.set(Mood::Slow);
    let sources = Sources {
        api: Some(server.client()),
        kubelet: None,
    };
    let cluster = Cluster::of(server, sources);
    cluster
        .until("asked", |cluster| cluster.server.attempts() > 0)
        .await;
    assert_eq!(cluster.catalog.read().unwrap().coverage(), Coverage::Expected);
    cluster.server.set(Mood::Well);
    cluster.until("list", |cluster| cluster.name(UID).is_some()).await;
    assert_eq!(cluster.status.errors(), 0, "slow is no failure");
}

/// A watch that goes on after a failure tells nothing until something happens.
#[tokio::test]
async fn well_again_without_an_event() {
    let cluster = Cluster::new(vec![pod(UID, "csca-0", 5)], vec![]).await;
    cluster
        .until("watch", |cluster| cluster.server.watches("pods") == 1)
        .await;
    cluster.server.set(Mood::Away);
    cluster.server.disconnect();
    cluster
        .until("fails", |cluster| !cluster.status.api_is_well())
        .await;
    cluster.server.set(Mood::Well);
    cluster
        .until("well again", |cluster| cluster.status.api_is_well())
        .await;
}

#[tokio::test]
async fn nobody_to_ask() {
    let (catalog, status) = (RwLock::<Catalog>::default(), Status::default());
    run(Sources::default(), "node1", &catalog, &status).await;
    assert_eq!(status.origin(), Origin::Cgroup);
    assert_eq!(
        catalog.read().unwrap().coverage(),
        Coverage::None,
        "nobody waits for a list"
    );
}
