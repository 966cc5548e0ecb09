//! The thread that keeps the catalog current, from clients that may be there or not. Nothing waits for it: the
//! observer serves before it has a list, and without one.

use std::io;
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

use kube::Client;
use tokio::sync::oneshot;

use super::connect::{self, ConnectError, Verify};
use super::status::{List, Status};
use super::{kubelet, watch};
use crate::attribution::catalog::{Catalog, Coverage};

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The API server, by a kubeconfig or the pod's service account.
    pub api: bool,
    pub kubelet: Option<Kubelet>,
    /// This node, as the API server knows it.
    pub node: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubelet {
    pub address: String,
    pub verify: Verify,
}

/// Whom we can ask.
#[derive(Clone, Default)]
#[expect(
    missing_debug_implementations,
    reason = "a client has none, and holds a token"
)]
pub struct Sources {
    pub api: Option<Client>,
    pub kubelet: Option<Client>,
}

/// The running thread. Dropping it ends the watches.
#[derive(Debug)]
pub struct Informer {
    _stop: oneshot::Sender<()>,
}

impl Informer {
    pub fn start(settings: Settings, catalog: Arc<RwLock<Catalog>>, status: Arc<Status>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            // Names are looked up and a renewed token is read there.
            .max_blocking_threads(2)
            .build()?;
        status.expected();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("kubernetes".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let keep = async {
                        let sources = connect(&settings, &status).await;
                        run(sources, &settings.node, &catalog, &status).await;
                    };
                    tokio::select! {
                        () = keep => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self { _stop: stop })
    }
}

/// What cannot be reached now is tried for as long as it takes; what cannot be tried at all (no token, no address)
/// is said once.
pub async fn connect(settings: &Settings, status: &Status) -> Sources {
    let had = |client: Result<Client, ConnectError>, list| {
        client.inspect_err(|error| status.failed(list, error)).ok()
    };
    let api = if settings.api {
        had(connect::api().await, List::Pods)
    } else {
        None
    };
    let kubelet = settings.kubelet.as_ref();
    let kubelet =
        kubelet.and_then(|kubelet| had(connect::kubelet(&kubelet.address, kubelet.verify), List::Kubelet));
    Sources { api, kubelet }
}

/// Keeps the catalog current until it is dropped; ends at once where there is nobody to ask.
pub async fn run(sources: Sources, node: &str, catalog: &RwLock<Catalog>, status: &Status) {
    status.expected();
    let Sources { api, kubelet } = sources;
    if api.is_none() && kubelet.is_none() {
        tracing::warn!("pods are known by the UID in their cgroup alone");
        return;
    }
    write(catalog).set_coverage(Coverage::Expected);
    let stands_in = api.is_some();
    let watches = async {
        if let Some(client) = api {
            watch::run(client, node, catalog, status).await;
        }
    };
    let asked = async {
        if let Some(client) = kubelet {
            let needed = || !(stands_in && status.api_is_well());
            kubelet::run(client, needed, catalog, status).await;
        }
    };
    tokio::join!(watches, asked);
}

pub(super) fn write(catalog: &RwLock<Catalog>) -> std::sync::RwLockWriteGuard<'_, Catalog> {
    catalog.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How long `observer check` waits for each answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks everybody once for what the watches would ask: pods, Services, the kubelet's pods. Nothing where nobody
/// is to be asked.
pub async fn ask_once(settings: &Settings) -> [Option<Result<usize, String>>; 3] {
    let Settings { api, kubelet, node } = settings;
    let (pods, services) = if *api {
        match connect::api().await {
            Ok(client) => {
                let (pods, services) = (watch::pods(&client, node), watch::services(&client));
                (Some(patient(pods).await), Some(patient(services).await))
            }
            Err(error) => (Some(Err(error.to_string())), Some(Err(error.to_string()))),
        }
    } else {
        (None, None)
    };
    let kubelet = match kubelet {
        Some(kubelet) => Some(match connect::kubelet(&kubelet.address, kubelet.verify) {
            Ok(client) => patient(async { kubelet::list(&client).await.map(|pods| pods.items.len()) }).await,
            Err(error) => Err(error.to_string()),
        }),
        None => None,
    };
    [pods, services, kubelet]
}

async fn patient(answer: impl Future<Output = kube::Result<usize>>) -> Result<usize, String> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|error| brief(&error)),
        Err(_) => Err(format!("no answer in {PATIENCE:?}")),
    }
}

/// What the other side said, without what the client thinks of it.
pub(super) fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{}: {}", status.code, status.message.trim_end()),
        other => other.to_string(),
    }
}
