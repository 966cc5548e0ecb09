//! The cluster with the observer in it, and what is asked of both.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::prerequisite::or_skip;
use tests::scrape::Scrape;
use tests::wait;
use tests::workload::Language;

use super::cluster::{Cluster, NAMESPACE, OBSERVER};
use super::manifest::{self, DAEMON_IMAGE, GO_IMAGE, TONIC_IMAGE};

pub const LIMIT: Duration = Duration::from_mins(3);

/// The cluster with the observer in it.
#[derive(Debug)]
pub struct Stage {
    pub cluster: Cluster,
    pub address: String,
    /// Of the server of the Deployment `csca`: grpc-go where it can be had.
    pub image: &'static str,
}

impl Stage {
    pub fn set(test: &str) -> Result<Option<Self>> {
        let Some(cluster) = or_skip(test, Cluster::find()) else {
            return Ok(None);
        };
        let Some(daemon) = or_skip(test, tests::observer::prepare()) else {
            return Ok(None);
        };
        cluster.clean()?;
        cluster.image(DAEMON_IMAGE, &daemon)?;
        let tonic = Language::Rust.prepare()?;
        cluster.image(TONIC_IMAGE, tonic.path())?;
        let image = match Language::Go.prepare() {
            Ok(go) => {
                cluster.image(GO_IMAGE, go.path())?;
                GO_IMAGE
            }
            Err(reason) => {
                println!("no grpc-go here, tonic in its place: {reason}");
                TONIC_IMAGE
            }
        };
        let hybrid = Path::new("/sys/fs/cgroup/unified").is_dir();
        let root = if hybrid {
            "/sys/fs/cgroup/unified"
        } else {
            "/sys/fs/cgroup"
        };
        let mut objects = vec![manifest::namespace(OBSERVER), manifest::namespace(NAMESPACE)];
        // The pods alone: what else this machine does would be under other names in the same families.
        objects.extend(manifest::observer(&format!("{root}/kubepods")));
        cluster.apply(&objects)?;
        let rollout = [
            "rollout",
            "status",
            "daemonset/marty-observer",
            "-n",
            OBSERVER,
            "--timeout=120s",
        ];
        cluster.kubectl(&rollout).with_context(|| told(&cluster))?;
        let node = [
            "get",
            "pods",
            "-n",
            OBSERVER,
            "-o",
            "jsonpath={.items[0].status.podIP}",
        ];
        let address = format!("{}:9464", cluster.kubectl(&node)?);
        Ok(Some(Self {
            cluster,
            address,
            image,
        }))
    }

    pub fn scrape(&self) -> Result<Scrape> {
        Scrape::fetch(&self.address)
    }

    /// Until it is so.
    pub fn until(&self, mut so: impl FnMut(&Scrape) -> Result<(), String>) -> Result<Scrape> {
        let met = wait::until(LIMIT, || {
            let scrape = self.scrape().map_err(|error| format!("{error:#}"))?;
            so(&scrape).map(|()| scrape)
        });
        met.with_context(|| told(&self.cluster))
    }

    pub fn ready(&self, pods: &[&str]) -> Result<()> {
        let wait = [&["wait", "--for=condition=Ready", "--timeout=120s"], pods].concat();
        self.cluster.inside(&wait).map(drop)
    }

    pub fn address_of(&self, pod: &str) -> Result<String> {
        let told = self.cluster.get(&["pod", pod])?;
        let address = told["status"]["podIP"].as_str().context("no address yet")?;
        Ok(address.to_owned())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", told(&self.cluster));
        }
    }
}

/// What the observer logged.
fn told(cluster: &Cluster) -> String {
    let log = cluster.kubectl(&["logs", "-n", OBSERVER, "daemonset/marty-observer", "--tail=40"]);
    log.unwrap_or_else(|error| error.to_string())
}
