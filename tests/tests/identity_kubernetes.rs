//! The whole daemon, and an API server that is away at its start, comes, fails in every way and comes back: calls go
//! on being served under the best name there is, every change is told once, and a connection that was named by its
//! pod's UID takes on the pod's name.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::cgroup::Cgroup;
use tests::observer::{self, Observer};
use tests::prerequisite::or_skip;
use tests::process::Place;
use tests::scrape::Scrape;
use tests::wait;
use tests::workload::Language;
use tests::workload::peer::{Client, ServerOptions};
use tests::workload::plan::{Kind, Step};

#[path = "identity_kubernetes/server.rs"]
mod server;

use server::{ApiServer, Mood};

const UID: &str = "2b1b8b1c-7d1f-4e0e-9d3a-0f5f6a7b8c9d";
const CONTAINER: &str = "4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339cabcd";
const CALLS: &str = "marty_grpc_requests_total";
/// Seconds for which the API server is away at last; a run by hand has 300.
const AWAY: &str = "OBSERVER_TEST_AWAY";
/// The watches pause for up to 30 s after failures.
const LIMIT: Duration = Duration::from_mins(2);

/// The cgroup of a container in a pod, as the kubelet's cgroupfs driver makes it.
#[derive(Debug)]
struct PodCgroup {
    folders: [PathBuf; 3],
    _parent: Cgroup,
}

impl PodCgroup {
    fn new(parent: Cgroup) -> Result<Self> {
        let top = parent.path().join("kubepods");
        let pod = top.join(format!("pod{UID}"));
        let container = pod.join(CONTAINER);
        for folder in [&top, &pod, &container] {
            std::fs::create_dir(folder)?;
        }
        Ok(Self {
            folders: [container, pod, top],
            _parent: parent,
        })
    }

    fn container(&self) -> &Path {
        &self.folders[0]
    }
}

impl Drop for PodCgroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            // Left behind only if something in it still runs, which its own guard reports.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

fn pod() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "csca-0", "namespace": "marty", "uid": UID, "resourceVersion": "5",
            "labels": {"app": "csca"}},
        "spec": {"nodeName": "node1", "containers": [{"name": "main", "image": "csca:1.4"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "main", "containerID": format!("containerd://{CONTAINER}")}]}})
}

fn calls(count: u32) -> [Step; 1] {
    [Step::new(Kind::Unary, "/truth.v1.Truth/Echo", count)]
}

/// Until a number of the observer's is what it should be.
fn until(observer: &Observer, family: &str, labels: &[(&str, &str)], expected: f64) -> Result<Scrape> {
    wait::until(LIMIT, || {
        let scrape = observer.scrape().map_err(|error| error.to_string())?;
        let found = scrape.sum(family, labels);
        if (found - expected).abs() < 0.5 {
            Ok(scrape)
        } else {
            Err(format!(
                "{family} {labels:?}: {found}, not {expected}{}",
                observer.process.report()
            ))
        }
    })
}

fn origin(observer: &Observer, name: &str) -> Result<Scrape> {
    until(
        observer,
        "marty_observer_pod_names_origin",
        &[("origin", name)],
        1.0,
    )
}

fn failing(observer: &Observer, expected: f64) -> Result<Scrape> {
    until(
        observer,
        "marty_observer_kubernetes_failing",
        &[("list", "pods")],
        expected,
    )
}

#[test]
fn an_api_server_that_comes_and_goes() -> Result<()> {
    let test = "an_api_server_that_comes_and_goes";
    let Some(program) = or_skip(test, Language::Rust.prepare()) else {
        return Ok(());
    };
    let Some(_) = or_skip(test, observer::prepare()) else {
        return Ok(());
    };
    let Some(cgroup) = or_skip(test, Cgroup::new()) else {
        return Ok(());
    };
    let root = cgroup.path().to_string_lossy().into_owned();
    let cgroup = PodCgroup::new(cgroup)?;
    let api = ApiServer::start(Mood::Away, vec![pod()])?;
    let observer = Observer::start_with(
        &[&format!("KUBECONFIG={}", api.kubeconfig().display())],
        &[
            "--kubernetes",
            "api",
            "--node-name",
            "node1",
            "--gauge-interval",
            "1s",
            "--cgroup-path",
            &root,
        ],
    )?;
    let place = Place {
        cgroup: Some(cgroup.container().to_owned()),
        ..Place::default()
    };
    let server = program.server(&ServerOptions {
        place: place.clone(),
        limit: 5 * LIMIT,
        ..ServerOptions::default()
    })?;
    // Everything but the server is out of the observer's sight.
    let mut client = program.client(&server.address(), &Place::default())?;

    origin(&observer, "cgroup").context("away at the start")?;
    failing(&observer, 1.0)?;
    client.run(calls(10))?;
    let by_uid = [("service", UID), ("pod", UID), ("status", "OK")];
    until(&observer, CALLS, &by_uid, 10.0).context("calls by the UID alone")?;

    api.set(Mood::Well);
    origin(&observer, "api")?;
    failing(&observer, 0.0)?;
    // The same connection; it is asked for once in a second.
    let by_name = [
        ("service", "csca"),
        ("namespace", "marty"),
        ("pod", "csca-0"),
        ("status", "OK"),
    ];
    let mut made = 10.0;
    wait::until(LIMIT, || {
        client.run(calls(1)).map_err(|error| error.to_string())?;
        made += 1.0;
        let scrape = observer.scrape().map_err(|error| error.to_string())?;
        let named = scrape.sum(CALLS, &by_name);
        if named > 0.0 {
            Ok(())
        } else {
            Err("still named by the UID".to_owned())
        }
    })?;
    until(&observer, CALLS, &[("status", "OK")], made).context("none twice, none lost")?;

    for mood in [Mood::TooManyRequests, Mood::Gone, Mood::Away] {
        api.set(mood);
        client.run(calls(10))?;
        made += 10.0;
        endured(&observer, &api, made).with_context(|| format!("{mood:?}"))?;
        if mood == Mood::Away {
            // No client of these runs for longer than five minutes.
            client.quit()?;
            let start = || program.client(&server.address(), &Place::default());
            made += long_away(&observer, start)?;
            client = start()?;
        }
        api.set(Mood::Well);
        failing(&observer, 0.0).with_context(|| format!("after {mood:?}"))?;
    }
    let scrape = observer.scrape()?;
    let uid = scrape.sum(CALLS, &by_uid);
    ensure!(
        (scrape.sum(CALLS, &by_name) - (made - uid)).abs() < 0.5,
        "{uid} of {made} by the UID"
    );
    let info = [
        ("service", "csca"),
        ("version", "1.4"),
        ("node", "node1"),
        ("pod", "csca-0"),
    ];
    ensure!(scrape.find("marty_service_info", &info).count() == 1);
    ensure!(scrape.sum("marty_service_health_status", &[("pod", "csca-0")]) > 0.5);
    client.quit()?;
    server.quit()?;
    let told = observer.process.report();
    ensure!(
        told.matches("Kubernetes cannot be asked").count() <= 8,
        "each failure of a list once:{told}"
    );
    observer.stop()
}

/// Calls while nobody answers for as long as [`AWAY`] says, and that the observer grows by nothing meanwhile.
fn long_away(observer: &Observer, start: impl Fn() -> Result<Client>) -> Result<f64> {
    let length = std::env::var(AWAY).unwrap_or_default().parse().unwrap_or(0);
    let length = Duration::from_secs(length);
    let (begun, before, mut made) = (Instant::now(), held(observer)?, 0.0);
    while begun.elapsed() < length {
        let mut client = start()?;
        client.run(calls(10))?;
        made += 10.0;
        client.quit()?;
        let pods = observer.scrape()?.sum("marty_observer_pods", &[]);
        ensure!(pods > 0.5, "what was known does not stay known");
    }
    let after = held(observer)?;
    println!(
        "away for {:?}, {made} calls; descriptors and threads {before:?}, then {after:?}",
        begun.elapsed()
    );
    ensure!(
        after[0] <= before[0] + 2 && after[1] <= before[1],
        "{before:?}, then {after:?}"
    );
    Ok(made)
}

/// Descriptors and threads of the observer.
fn held(observer: &Observer) -> Result<[usize; 2]> {
    let of = |folder| {
        let entries = std::fs::read_dir(format!("/proc/{}/{folder}", observer.process.id()));
        entries.map(Iterator::count)
    };
    Ok([of("fd")?, of("task")?])
}

/// That calls are counted and pods stay known while the API server fails, and that it is asked again.
fn endured(observer: &Observer, api: &ApiServer, made: f64) -> Result<()> {
    failing(observer, 1.0)?;
    let before = api.requests();
    until(observer, CALLS, &[("status", "OK")], made)?;
    wait::until(LIMIT, || {
        let again = api.requests() > before;
        again
            .then_some(())
            .ok_or_else(|| "it is not asked again".to_owned())
    })?;
    let pods = observer.scrape()?.sum("marty_observer_pods", &[]);
    ensure!(pods > 0.5, "what was known does not stay known");
    Ok(())
}
