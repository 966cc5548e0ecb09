//! The kubelet's own list of pods, for nodes that may not ask the API server: no Services, no events, so it is asked
//! again and again. Needs `nodes/proxy` where the kubelet authorises.

use std::sync::RwLock;
use std::time::{Duration, Instant};

use kube::Client;

use super::object::PodList;
use super::status::{Kind, Origin, Status};
use super::{watch, write};
use crate::attribution::catalog::{Catalog, Coverage};

/// A call waits three seconds for its pod to be known; the kubelet answers from memory.
const INTERVAL: Duration = Duration::from_secs(2);

/// A kubelet that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause after failures, doubled with each.
const MAX_PAUSE: Duration = Duration::from_secs(30);

pub async fn run(client: Client, catalog: &RwLock<Catalog>, status: &Status) {
    let mut pause = INTERVAL;
    loop {
        match tokio::time::timeout(PATIENCE, list(&client)).await {
            Ok(Ok(pods)) => {
                replace(pods, catalog);
                status.listed(Kind::Pods, Origin::Kubelet);
                pause = INTERVAL;
            }
            Ok(Err(error)) => {
                status.failed(Kind::Pods, &error);
                pause = (pause * 2).min(MAX_PAUSE);
            }
            Err(_) => {
                status.failed(Kind::Pods, &"the kubelet does not answer");
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
        tokio::time::sleep(pause).await;
    }
}

async fn list(client: &Client) -> kube::Result<PodList> {
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
