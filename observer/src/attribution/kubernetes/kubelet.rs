//! The kubelet's own list of pods, for nodes that may not ask the API server, or while it does not answer: no
//! Services, no events, so it is asked again and again. Needs `nodes/proxy` where the kubelet authorises.

use std::sync::RwLock;
use std::time::{Duration, Instant};

use kube::Client;

use super::informer::{brief, write};
use super::object::PodList;
use super::status::{List, Status};
use super::watch;
use crate::attribution::catalog::{Catalog, Coverage};

/// A call waits three seconds for its pod to be known; the kubelet answers from memory.
const INTERVAL: Duration = Duration::from_secs(2);

/// A kubelet that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause after failures, doubled with each.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Asks while `needed`.
pub async fn run(client: Client, needed: impl Fn() -> bool, catalog: &RwLock<Catalog>, status: &Status) {
    let mut pause = INTERVAL;
    // The API server has its chance first.
    tokio::time::sleep(pause).await;
    loop {
        if needed() {
            pause = match ask(&client, catalog, status).await {
                Ok(()) => INTERVAL,
                Err(()) => (pause * 2).min(MAX_PAUSE),
            };
        }
        tokio::time::sleep(pause).await;
    }
}

async fn ask(client: &Client, catalog: &RwLock<Catalog>, status: &Status) -> Result<(), ()> {
    match tokio::time::timeout(PATIENCE, list(client)).await {
        Ok(Ok(pods)) => {
            replace(pods, catalog);
            status.listed(List::Kubelet);
            Ok(())
        }
        Ok(Err(error)) => {
            status.failed(List::Kubelet, &brief(&error));
            Err(())
        }
        Err(_) => {
            status.failed(List::Kubelet, &"the kubelet does not answer");
            Err(())
        }
    }
}

/// The whole list; also what `observer check` asks.
pub async fn list(client: &Client) -> kube::Result<PodList> {
    let request = http::Request::get("/pods")
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

fn replace(pods: PodList, catalog: &RwLock<Catalog>) {
    let now = Instant::now();
    let listed: Vec<_> = pods.items.iter().filter_map(super::object::Pod::uid).collect();
    for pod in pods.items {
        watch::put(pod, catalog, now);
    }
    let mut catalog = write(catalog);
    catalog.retain_pods(&listed, now);
    catalog.set_coverage(Coverage::Complete);
}
