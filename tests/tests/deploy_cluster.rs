//! The chart on a real Kubernetes: helm's objects are taken, the pod runs with three capabilities and sees a call between
//! others, and Prometheus finds it by its annotations and keeps the names that it gives.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::monitoring::chart::Chart;
use tests::monitoring::cluster::Cluster;
use tests::monitoring::prometheus::Prometheus;
use tests::monitoring::{Servers, deploy};
use tests::prerequisite::or_skip;
use tests::process::Place;
use tests::scrape::Scrape;
use tests::workload::plan::{Kind, Step};
use tests::workload::{Language, cache};
use tests::{observer, wait};

#[path = "deploy_cluster/closed.rs"]
mod closed;

use closed::Keys;

const OBSERVER: &str = "marty-observer";
const APPLICATION: &str = "marty-deploy";
const SERVICE: &str = "csca-service";
const METHOD: &str = "/truth.v1.Truth/Get";
const CALLS: u32 = 200;
/// Pods start, are probed, watched and scraped; on a loaded machine.
const LIMIT: Duration = Duration::from_mins(3);

/// Files of this test, gone with it.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_chart_on_a_cluster() -> Result<()> {
    let test = "the_chart_on_a_cluster";
    let Some(cluster) = or_skip(test, Cluster::find()) else {
        return Ok(());
    };
    let (Some(chart), Some(servers)) = (or_skip(test, Chart::prepare()), or_skip(test, Servers::prepare()))
    else {
        return Ok(());
    };
    let (Some(daemon), Some(program)) = (
        or_skip(test, observer::prepare()),
        or_skip(test, Language::Rust.prepare()),
    ) else {
        return Ok(());
    };
    let folder = Folder(cache::target_directory().join(format!("cluster-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0)?;
    cluster.remove(&[OBSERVER, APPLICATION])?;
    cluster.image("localhost/tonic-peer:deploy", program.path(), "peer", &folder.0)?;
    cluster.image("localhost/marty-observer:deploy", &daemon, "observer", &folder.0)?;

    install(&cluster, &chart, &folder.0, &[])?;
    cluster.apply(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy_cluster/application.yaml"))?;
    rolled_out(&cluster, APPLICATION, "deployment/csca")?;
    may_little(&cluster)?;

    let address = address(&cluster, APPLICATION, "app=csca")?;
    // The observer joins nothing in its middle: the connection begins now.
    let mut client = program.client(&format!("{address}:8081"), &Place::default())?;
    client.run([Step::new(Kind::Unary, METHOD, CALLS)])?;
    is_exported(&cluster).with_context(|| told(&cluster))?;
    is_scraped(&cluster, &servers, &folder.0)?;
    let keys = Keys::new(folder.0.join("keys"))?;
    keys.give(&cluster, OBSERVER)?;
    install(&cluster, &chart, &folder.0, &closed::VALUES)?;
    is_scraped_closed(&cluster, &servers, &folder.0.join("closed"), &keys)?;
    client.quit()?;
    cluster.remove(&[OBSERVER, APPLICATION])
}

/// What `helm install` would send, with the image that was just made; its pod is ready.
fn install(cluster: &Cluster, chart: &Chart, folder: &Path, values: &[&str]) -> Result<()> {
    let hybrid = Path::new("/sys/fs/cgroup/unified").is_dir();
    let root = if hybrid {
        "/sys/fs/cgroup/unified"
    } else {
        "/sys/fs/cgroup"
    };
    // The pods alone: what else this machine does would be in the same families.
    let path = format!("cgroup.path={root}/kubepods");
    let own = [
        "image.repository=localhost/marty-observer",
        "image.tag=deploy",
        "image.pullPolicy=Never",
        "networkPolicy.enabled=true",
        &path,
    ];
    let rendered = chart.render(&[&own, values].concat())?;
    let file = folder.join("chart.yaml");
    std::fs::write(&file, rendered)?;
    cluster.apply(&deploy().join("manifests/base/namespace.yaml"))?;
    cluster.apply(&file)?;
    rolled_out(cluster, OBSERVER, "daemonset/marty-observer").with_context(|| told(cluster))
}

fn rolled_out(cluster: &Cluster, namespace: &str, what: &str) -> Result<()> {
    cluster
        .kubectl(&["-n", namespace, "rollout", "status", what, "--timeout=150s"])
        .map(drop)
}

/// Its process has the three capabilities, as the kernel says.
fn may_little(cluster: &Cluster) -> Result<()> {
    let pods = cluster.get(&["-n", OBSERVER, "pods"])?;
    let pod = &pods["items"][0];
    ensure!(pod["spec"]["containers"][0]["securityContext"]["privileged"] == false);
    let id = pod["metadata"]["uid"].as_str().context("no uid")?;
    let mut found = 0;
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let of_pod = std::fs::read_to_string(path.join("cgroup")).is_ok_and(|text| text.contains(id));
        let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
        if of_pod && name.trim() == "observer" {
            let status = std::fs::read_to_string(path.join("status"))?;
            for line in [
                "CapEff:\t000000c000001000",
                "CapBnd:\t000000c000001000",
                "NoNewPrivs:\t1",
                "Seccomp:\t2",
            ] {
                ensure!(status.contains(line), "no {line}: {status}");
            }
            found += 1;
        }
    }
    ensure!(found == 1, "{found} processes of the observer's pod");
    Ok(())
}

fn address(cluster: &Cluster, namespace: &str, label: &str) -> Result<String> {
    let path = "jsonpath={.items[0].status.podIP}";
    cluster.kubectl(&["-n", namespace, "get", "pods", "-l", label, "-o", path])
}

fn is_exported(cluster: &Cluster) -> Result<()> {
    let address = address(cluster, OBSERVER, "app.kubernetes.io/name=marty-observer")?;
    wait::until(LIMIT, || {
        let scrape = Scrape::fetch(&format!("{address}:9464")).map_err(|error| format!("{error:#}"))?;
        let labels = [
            ("service", SERVICE),
            ("namespace", APPLICATION),
            ("method", METHOD),
            ("status", "OK"),
        ];
        let counted: f64 = scrape
            .find("marty_grpc_requests_total", &labels)
            .map(|sample| sample.value)
            .sum();
        if (counted - f64::from(CALLS)).abs() < f64::EPSILON {
            return Ok(());
        }
        Err(format!(
            "{counted} of {CALLS} calls{}",
            scrape.candidates("marty_grpc_requests_total", &labels)
        ))
    })
}

fn beside(cluster: &Cluster, servers: &Servers, folder: &Path, keys: Option<&Path>) -> Result<Prometheus> {
    std::fs::create_dir_all(folder)?;
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, cluster.kubectl(&["config", "view", "--raw"])?)?;
    Prometheus::start_beside(servers, folder, &kubeconfig, keys)
}

/// Nobody is let in without a certificate and a password, which neither the kubelet nor a Prometheus without them has.
fn is_scraped_closed(cluster: &Cluster, servers: &Servers, folder: &Path, keys: &Keys) -> Result<()> {
    for (keys, up) in [(Some(keys.folder()), 1.0), (None, 0.0)] {
        let prometheus = beside(cluster, servers, &folder.join(up.to_string()), keys)?;
        wait::until(LIMIT, || match prometheus.value("up{job=\"marty-observer\"}") {
            Ok(found) if (found - up).abs() < f64::EPSILON => Ok(()),
            other => Err(format!("{other:?}, not {up}: {:?}", prometheus.targets())),
        })?;
    }
    Ok(())
}

/// By annotation, with the shipped configuration: names of the observed pod, not of the observer's.
fn is_scraped(cluster: &Cluster, servers: &Servers, folder: &Path) -> Result<()> {
    let prometheus = beside(cluster, servers, folder, None)?;
    let question = format!(
        "marty_grpc_requests_total{{job=\"marty-observer\", service=\"{SERVICE}\", namespace=\"{APPLICATION}\", \
         pod=~\"csca-.+\", status=\"OK\", node!=\"\", observer_pod=~\"marty-observer-.+\", exported_pod=\"\"}}"
    );
    wait::until(LIMIT, || match prometheus.value(&question) {
        Ok(value) if (value - f64::from(CALLS)).abs() < f64::EPSILON => Ok(()),
        Ok(value) => Err(format!("{value}")),
        Err(error) => Err(format!("{error:#}; {:?}", prometheus.targets())),
    })?;
    // Its own metrics port does not answer: ServiceDown and Alertmanager know whose it is, and where.
    let target =
        r#"count by (job, scraped_service) (up{scraped_service!="", pod=~"csca-.+", node!=""} == 0)"#;
    wait::until(LIMIT, || {
        let found = prometheus.query(target).map_err(|error| format!("{error:#}"))?;
        match found.as_slice() {
            [up] if up.label("job") == "csca" && up.label("scraped_service") == "csca" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    // What is the node's own has no namespace, whatever pod told it.
    let own = prometheus.query("marty_node_memory_total_bytes{namespace!=\"\"}")?;
    ensure!(own.is_empty(), "{own:?}");
    Ok(())
}

/// What the observer logged, and why its pod is not there.
fn told(cluster: &Cluster) -> String {
    let log = cluster.kubectl(&["logs", "-n", OBSERVER, "daemonset/marty-observer", "--tail=40"]);
    let events = cluster.kubectl(&["get", "events", "-n", OBSERVER]);
    format!("{log:?}\n{events:?}")
}
