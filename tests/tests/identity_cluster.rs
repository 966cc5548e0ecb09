//! The proof of identity on a real Kubernetes: programs in pods count their own calls, and every one of them is
//! exported under the right pod and service, none under another; while pods crash, are deleted and are replaced.
//! `cargo xtask cluster` starts the cluster and this.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::scrape::calls::{self, Abandoned, Side};
use tests::scrape::{self, Scrape};
use tests::wait;
use tests::workload::mixture::mixed;
use tests::workload::plan::{Kind, Step};
use tests::workload::tally::Tally;

#[path = "identity_cluster/books.rs"]
mod books;
#[path = "identity_cluster/cluster.rs"]
mod cluster;
#[path = "identity_cluster/database.rs"]
mod database;
#[path = "identity_cluster/figures.rs"]
mod figures;
#[path = "identity_cluster/manifest.rs"]
mod manifest;
#[path = "identity_cluster/stage.rs"]
mod stage;

use books::{Client, Servers, ended, nobody_else, seen, whole};
use cluster::{Cluster, NAMESPACE, OBSERVER};
use manifest::{GO_IMAGE, TONIC_IMAGE};
use stage::{LIMIT, Stage};

const SERVER_CALLS: &str = "marty_grpc_requests_total";
const CLIENT_CALLS: &str = "marty_grpc_client_requests_total";

/// What each client counted.
#[derive(Debug)]
struct Made {
    inspection: Tally,
    auditor: Tally,
    roamer: Tally,
    patient: Tally,
}

#[test]
fn every_call_under_its_pod() -> Result<()> {
    let Some(stage) = Stage::set("every_call_under_its_pod")? else {
        return Ok(());
    };
    let mut servers = serve(&stage)?;
    let made = call(&stage, &mut servers)?;
    health(&stage)?;
    stage
        .cluster
        .inside(&["delete", "deployment,pod", "--all", "--timeout=120s"])?;
    verdict(&stage, &made, servers.tallies()?)?;
    stage.cluster.clean()
}

/// Servers of every kind of pod, ready.
fn serve(stage: &Stage) -> Result<Servers> {
    let cluster = &stage.cluster;
    let pkd = json!({"app": "pkd", "app.kubernetes.io/name": "pkd-service"});
    cluster.apply(&[
        manifest::deployment("csca-green", &json!({"app": "csca"}), 2, stage.image, 8081),
        manifest::service("csca-service", "csca", 80),
        // Named by its label: no Service selects it.
        manifest::deployment("pkd", &pkd, 1, TONIC_IMAGE, 8090),
        manifest::host_network("edge", TONIC_IMAGE, 8085),
        manifest::crashing("flaky", TONIC_IMAGE, 8086, 12),
    ])?;
    for deployment in ["deployment/csca-green", "deployment/pkd"] {
        cluster.inside(&["rollout", "status", deployment, "--timeout=120s"])?;
    }
    stage.ready(&["pod/edge", "pod/flaky"])?;
    let mut servers = Servers::default();
    for (app, service) in [("csca", "csca-service"), ("pkd", "pkd-service"), ("edge", "edge")] {
        servers.follow(cluster, app, service)?;
    }
    Ok(servers)
}

fn call(stage: &Stage, servers: &mut Servers) -> Result<Made> {
    let cluster = &stage.cluster;
    let service = cluster.get(&["service", "csca-service"])?;
    let service = service["spec"]["clusterIP"].as_str().context("clusterIP")?;
    let pkd = cluster.get(&["pods", "--selector", "app=pkd"])?;
    let pkd = pkd["items"][0]["status"]["podIP"].as_str().context("podIP")?;
    let (edge, flaky) = (stage.address_of("edge")?, stage.address_of("flaky")?);
    let clients = [
        ("inspection", format!("{service}:80")),
        ("auditor", format!("{pkd}:8090")),
        ("roamer", format!("{edge}:8085")),
        ("patient", format!("{flaky}:8086")),
    ];
    let pods = clients
        .each_ref()
        .map(|(name, address)| manifest::client(name, TONIC_IMAGE, address));
    cluster.apply(&pods)?;
    stage.ready(&["pod/inspection", "pod/auditor", "pod/roamer", "pod/patient"])?;
    let mut client = Client::attach(cluster, "inspection")?;
    let mut inspection = client.run(quiet())?;
    let auditor = Client::attach(cluster, "auditor")?.run(mixed())?;
    let roamer = Client::attach(cluster, "roamer")?.run(quiet())?;
    let patient = crashing(stage)?;
    replaced(stage, &mut client, &mut inspection, servers)?;
    Ok(Made {
        inspection,
        auditor,
        roamer,
        patient,
    })
}

/// The observer's books against those of all programs, and nothing beside them.
fn verdict(stage: &Stage, made: &Made, tallies: BTreeMap<String, (String, Tally)>) -> Result<()> {
    let Made {
        inspection,
        auditor,
        roamer,
        patient,
    } = made;
    let scrape = stage.until(|scrape| {
        for (pod, (service, tally)) in &tallies {
            right(scrape, service, pod, tally)?;
        }
        same(
            "flaky",
            count(scrape, SERVER_CALLS, "flaky", "OK"),
            ended(patient, Some("OK")),
        )?;
        let labels = [
            ("service", "auditor"),
            ("pod", "auditor"),
            ("namespace", NAMESPACE),
            ("peer", "pkd-service"),
        ];
        calls::compare(scrape, Side::Client, &labels, auditor, Abandoned::Together)?;
        let labels = [("service", "roamer"), ("pod", "roamer"), ("namespace", NAMESPACE)];
        calls::compare(scrape, Side::Client, &labels, roamer, Abandoned::Together)?;
        let (seen, told) = (
            count(scrape, CLIENT_CALLS, "inspection", "OK"),
            ended(inspection, Some("OK")),
        );
        same("inspection", seen, told)
    })?;
    let pods = tallies.into_iter().map(|(pod, (service, _))| (service, pod));
    let flaky = ("flaky".to_owned(), "flaky".to_owned());
    nobody_else(&scrape, SERVER_CALLS, &pods.chain([flaky]).collect::<Vec<_>>())?;
    let clients =
        ["inspection", "auditor", "roamer", "patient"].map(|name| (name.to_owned(), name.to_owned()));
    nobody_else(&scrape, CLIENT_CALLS, &clients)?;
    for sample in scrape.find(CLIENT_CALLS, &[("service", "inspection")]) {
        ensure!(sample.label("peer") == "csca-service", "{sample}");
    }
    for sample in scrape.find("marty_observer_lost_total", &[]) {
        ensure!(whole(sample.value) == 0, "{sample}");
    }
    for (family, name) in [(SERVER_CALLS, "server"), (CLIENT_CALLS, "client")] {
        for ((service, pod), calls) in seen(&scrape, family) {
            println!("| {name} | {service} | {pod} | {calls:?} |");
        }
    }
    for (client, tally) in [
        ("inspection", inspection),
        ("auditor", auditor),
        ("roamer", roamer),
        ("patient", patient),
    ] {
        println!(
            "{client} made {} calls, {} OK",
            ended(tally, None),
            ended(tally, Some("OK"))
        );
    }
    Ok(())
}

fn quiet() -> Vec<Step> {
    let failed = Step {
        status: 5,
        ..Step::new(Kind::Unary, "/truth.v1.Truth/Get", 100)
    };
    let many = Step {
        connections: 4,
        concurrency: 2,
        ..Step::new(Kind::Unary, "/truth.v1.Truth/Echo", 1000)
    };
    let streams = Step {
        request_count: 3,
        ..Step::new(Kind::Bidi, "/truth.v1.Truth/Chat", 50)
    };
    vec![many, failed, streams]
}

/// Calls to a container that fails and is started again, in three of its lives. One may end before its calls do.
fn crashing(stage: &Stage) -> Result<Tally> {
    const CALLS: u32 = 200;
    let mut endured = Tally::default();
    let mut client = Client::attach(&stage.cluster, "patient")?;
    let (mut lives, mut last) = (0, -1);
    while lives < 3 {
        let next = || -> Result<i64, String> {
            let pod = stage
                .cluster
                .get(&["pod", "flaky"])
                .map_err(|error| error.to_string())?;
            let status = &pod["status"]["containerStatuses"][0];
            let ready = status["ready"].as_bool().unwrap_or(false);
            status["restartCount"]
                .as_i64()
                .filter(|count| ready && *count > last)
                .ok_or_else(|| format!("flaky is not up again: {status}"))
        };
        last = wait::until(LIMIT, next)?;
        ensure!(last < 6, "it dies too fast to be called");
        let step = Step {
            expect: Some("*".to_owned()),
            ..Step::new(Kind::Unary, "/truth.v1.Truth/Echo", CALLS)
        };
        let made = client.run([step])?;
        // The first call of a life may find that the connection is gone.
        lives += u32::from(ended(&made, Some("OK")) + 2 >= u64::from(CALLS));
        endured.add(&made);
    }
    Ok(endured)
}

/// A pod deleted, then all pods replaced, while calls go on.
fn replaced(stage: &Stage, client: &mut Client, made: &mut Tally, servers: &mut Servers) -> Result<()> {
    let cluster = &stage.cluster;
    let load = Step {
        connections: 4,
        concurrency: 2,
        sleep_ms: 10,
        expect: Some("*".to_owned()),
        ..Step::new(Kind::Unary, "/truth.v1.Truth/Echo", 20_000)
    };
    client.begin([load])?;
    let pods = cluster.get(&["pods", "--selector", "app=csca"])?;
    let victim = pods["items"][0]["metadata"]["name"]
        .as_str()
        .context("a pod")?
        .to_owned();
    cluster.inside(&["delete", "pod", &victim, "--timeout=60s"])?;
    servers.follow(cluster, "csca", "csca-service")?;
    let restart = |cluster: &Cluster| -> Result<()> {
        cluster.inside(&["rollout", "restart", "deployment/csca-green"])?;
        cluster
            .inside(&["rollout", "status", "deployment/csca-green", "--timeout=120s"])
            .map(drop)
    };
    restart(cluster)?;
    let lived = servers.follow(cluster, "csca", "csca-service")?;
    ensure!(
        lived >= 5,
        "two pods, one in place of the deleted, two of the update: {lived}"
    );
    let during = client.result()?;
    println!(
        "under load: {:?}",
        during
            .methods
            .values()
            .map(|method| &method.ended)
            .collect::<Vec<_>>()
    );
    made.add(&during);
    Ok(())
}

/// Health and metadata of services as the cluster has them now.
fn health(stage: &Stage) -> Result<()> {
    let version = if stage.image == GO_IMAGE { "2.0" } else { "1.4" };
    stage.until(|scrape| {
        let healthy = |service: &str| scrape.sum("marty_service_health_status", &[("service", service)]);
        same("health of csca-service", whole(healthy("csca-service")), 2)?;
        same("health of pkd-service", whole(healthy("pkd-service")), 1)?;
        let info = [
            ("service", "csca-service"),
            ("version", version),
            ("workload", "csca-green"),
            ("node", "node1"),
        ];
        same(
            "pods with metadata",
            scrape.find("marty_service_info", &info).count() as u64,
            2,
        )?;
        for family in [
            "marty_service_cpu_usage_percent",
            "marty_service_memory_usage_bytes",
            "marty_last_successful_operation_timestamp",
        ] {
            let found = scrape
                .find(family, &[("service", "pkd-service"), ("namespace", NAMESPACE)])
                .count();
            same(family, found as u64, 1)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// That the calls which a server counted are those under its name: those that it answered, to the last one. A call
/// that it refused while it went away was on the wire and is not in its books.
fn right(scrape: &Scrape, service: &str, pod: &str, tally: &Tally) -> Result<(), String> {
    let labels = [("service", service), ("namespace", NAMESPACE), ("pod", pod)];
    if service != "csca-service" {
        return calls::compare(scrape, Side::Server, &labels, tally, Abandoned::Together)
            .map_err(|error| format!("{pod}: {error}"));
    }
    for status in ["OK", "NOT_FOUND"] {
        same(
            pod,
            count(scrape, SERVER_CALLS, pod, status),
            ended(tally, Some(status)),
        )?;
    }
    Ok(())
}

fn count(scrape: &Scrape, family: &str, pod: &str, status: &str) -> u64 {
    whole(scrape.sum(
        family,
        &[("pod", pod), ("status", status), ("namespace", NAMESPACE)],
    ))
}

fn same(what: &str, seen: u64, told: u64) -> Result<(), String> {
    if seen == told {
        Ok(())
    } else {
        Err(format!("{what}: the observer says {seen}, the programs {told}"))
    }
}

/// What the observer says of its own surroundings, from inside of its pod: with the API server, and with the kubelet
/// alone.
#[test]
fn nothing_is_degraded_in_a_pod() -> Result<()> {
    let Some(stage) = Stage::set("nothing_is_degraded_in_a_pod")? else {
        return Ok(());
    };
    let found = check(&stage, &[], "names of pods")?;
    ensure!(found["grade"] == "fine", "{found}");
    ensure!(check(&stage, &[], "names of services")?.is_null());
    let scrape = stage.until(|scrape| {
        let origin = scrape.sum("marty_observer_pod_names_origin", &[("origin", "api")]);
        same("API server as origin", whole(origin), 1)
    })?;
    ensure!(whole(scrape.sum("marty_observer_kubernetes_errors_total", &[])) == 0);
    let (status, _) = scrape::get(&stage.address, "/health")?;
    ensure!(status == 200);

    let address = stage.address.replace(":9464", ":10250");
    let kubelet = [
        "--kubernetes",
        "kubelet",
        "--kubelet",
        &format!("https://{address}"),
    ];
    let found = check(&stage, &kubelet, "names of pods")?;
    println!("without nodes/proxy: {found}");
    ensure!(
        found["grade"] == "degraded" && found["found"].to_string().contains("Forbidden"),
        "{found}"
    );
    stage.cluster.apply(&manifest::kubelet_access())?;
    wait::until(LIMIT, || {
        let found = check(&stage, &kubelet, "names of pods").map_err(|error| error.to_string())?;
        let answered = found["found"] == "by the kubelet";
        answered.then_some(()).ok_or_else(|| found.to_string())
    })?;
    stage.cluster.clean()
}

/// One finding of `observer check` in the observer's pod; null where there is none.
fn check(stage: &Stage, flags: &[&str], name: &str) -> Result<serde_json::Value> {
    let exec = [
        "exec",
        "-n",
        OBSERVER,
        "daemonset/marty-observer",
        "--",
        "/program",
        "check",
        "--format",
        "json",
    ];
    let report = stage.cluster.kubectl(&[exec.as_slice(), flags].concat())?;
    let report: serde_json::Value = serde_json::from_str(&report)?;
    let findings = report["findings"].as_array().context("findings")?;
    let found = findings.iter().find(|finding| finding["check"] == name);
    Ok(found.cloned().unwrap_or_default())
}
