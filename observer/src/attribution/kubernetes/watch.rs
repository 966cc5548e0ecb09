//! The two watches on the API server. `kube`'s watcher lists, watches, resumes after a lost connection, asks for
//! bookmarks, and lists anew when its place is too old (410 Gone); here its events become entries of the catalog.
//! After a failure it waits, 0.8 to 30 s, at random so that nodes do not come back together; while the API server is
//! away, what was known stays known.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::RwLock;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kube::api::{ListParams, WatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::Notify;

use super::informer::write;
use super::object::{Pod, Service};
use super::status::{List, Status};
use crate::attribution::catalog::{Catalog, Coverage};
use crate::attribution::pod::PodUid;

pub async fn run(client: Client, node: &str, catalog: &RwLock<Catalog>, status: &Status) {
    // A pod is told when its Services are known too, so that its first calls have the right name; or when they
    // cannot be had.
    let settled = Notify::new();
    let selector = format!("spec.nodeName={node}");
    let of_node = settings().fields(&selector);
    let pods = async {
        settled.notified().await;
        let mut list = PodList::default();
        let mut events = pin!(watcher(Api::<Pod>::all(client.clone()), of_node).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => list.apply(event, catalog, status),
                Err(error) => status.failed(List::Pods, &error),
            }
        }
    };
    let services = async {
        let mut list = ServiceList::default();
        let mut events = pin!(watcher(Api::<Service>::all(client.clone()), settings()).default_backoff());
        while let Some(event) = events.next().await {
            let complete = match event {
                Ok(event) => list.apply(event, catalog, status),
                Err(error) => {
                    status.failed(List::Services, &error);
                    true
                }
            };
            if complete {
                settled.notify_one();
            }
        }
    };
    tokio::join!(pods, services, recheck(&client, &selector, status));
}

/// A watch that was resumed says nothing until something happens, which on a quiet node may be tomorrow. So after a
/// failure the same is asked for on the side, until it is answered.
async fn recheck(client: &Client, selector: &str, status: &Status) {
    let pods = Api::<Pod>::all(client.clone());
    let services = Api::<Service>::all(client.clone());
    // Second 1: the API server ends it by itself.
    let brief = WatchParams::default().timeout(1);
    // One that is in every cluster, for a watch from "0" begins with all that there are.
    let one = brief.clone().fields("metadata.name=kubernetes");
    let of_node = brief.fields(selector);
    loop {
        tokio::time::sleep(RECHECK).await;
        if status.failure(List::Pods).is_some() && pods.watch(&of_node, "0").await.is_ok() {
            status.recovered(List::Pods);
        }
        if status.failure(List::Services).is_some() && services.watch(&one, "0").await.is_ok() {
            status.recovered(List::Services);
        }
    }
}

/// As often as the watches themselves try at their slowest.
const RECHECK: Duration = Duration::from_secs(15);

/// How many pods of this node the API server tells of, or that it does: at most one is asked for.
pub async fn pods(client: &Client, node: &str) -> kube::Result<usize> {
    let one = ListParams::default()
        .limit(1)
        .fields(&format!("spec.nodeName={node}"));
    Ok(Api::<Pod>::all(client.clone()).list(&one).await?.items.len())
}

/// The same for Services.
pub async fn services(client: &Client) -> kube::Result<usize> {
    let one = ListParams::default().limit(1);
    Ok(Api::<Service>::all(client.clone()).list(&one).await?.items.len())
}

/// From the API server's cache rather than from etcd: in a cluster of 5,000 nodes all of them ask at once after an
/// API server was replaced.
fn settings() -> watcher::Config {
    watcher::Config::default().any_semantic()
}

#[derive(Default)]
struct PodList {
    listed: Vec<PodUid>,
}

impl PodList {
    fn apply(&mut self, event: Event<Pod>, catalog: &RwLock<Catalog>, status: &Status) {
        let now = Instant::now();
        if matches!(event, Event::InitApply(_) | Event::Apply(_) | Event::Delete(_)) {
            status.received(List::Pods);
        }
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => {
                self.listed.extend(pod.uid());
                put(pod, catalog, now);
            }
            Event::InitDone => {
                let mut catalog = write(catalog);
                catalog.retain_pods(&std::mem::take(&mut self.listed), now);
                catalog.set_coverage(Coverage::Complete);
                drop(catalog);
                status.listed(List::Pods);
            }
            Event::Apply(pod) => put(pod, catalog, now),
            Event::Delete(pod) => {
                if let Some(uid) = pod.uid() {
                    write(catalog).remove_pod(&uid, now);
                }
            }
        }
    }
}

pub(super) fn put(pod: Pod, catalog: &RwLock<Catalog>, now: Instant) {
    let over = pod.is_over();
    let Some(entry) = pod.into_entry() else { return };
    let uid = entry.uid.clone();
    let mut catalog = write(catalog);
    catalog.put_pod(entry, now);
    if over {
        catalog.remove_pod(&uid, now);
    }
}

#[derive(Default)]
struct ServiceList {
    listed: HashSet<(String, String)>,
}

impl ServiceList {
    /// True when a list is complete.
    fn apply(&mut self, event: Event<Service>, catalog: &RwLock<Catalog>, status: &Status) -> bool {
        if matches!(event, Event::InitApply(_) | Event::Apply(_) | Event::Delete(_)) {
            status.received(List::Services);
        }
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(service) => {
                self.listed.insert(service.key());
                write(catalog).put_service(service.into_entry());
            }
            Event::InitDone => {
                write(catalog).retain_services(&std::mem::take(&mut self.listed));
                status.listed(List::Services);
                return true;
            }
            Event::Apply(service) => write(catalog).put_service(service.into_entry()),
            Event::Delete(service) => {
                let (namespace, name) = service.key();
                write(catalog).remove_service(&namespace, &name);
            }
        }
        false
    }
}
