//! The compose file, as Docker's own program reads it: it is not started here, for that takes a registry. What it mounts
//! exists, and the parts find each other where the configurations say.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::monitoring::deploy;
use tests::prerequisite::{Error, apt, or_skip};
use tests::workload::cache;

const PACKAGE: &str = "docker-compose";

fn compose() -> Result<std::path::PathBuf, Error> {
    let folder = cache::folder("compose", PACKAGE, |folder| {
        apt::unpack("sid", &[PACKAGE], folder)
    })?;
    Ok(folder.join("usr/libexec/docker/cli-plugins/docker-compose"))
}

fn read(program: &Path) -> Result<Value> {
    let output = Command::new(program)
        .arg("--file")
        .arg(deploy().join("compose/compose.yaml"))
        .args(["config", "--format", "json"])
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn the_compose_file_holds_together() -> Result<()> {
    let Some(program) = or_skip("the_compose_file_holds_together", compose()) else {
        return Ok(());
    };
    let file = read(&program)?;
    let services = file["services"].as_object().context("no services")?;
    let names: BTreeSet<&str> = services.keys().map(String::as_str).collect();
    let promised = [
        "alertmanager",
        "cadvisor",
        "demo-client",
        "demo-server",
        "grafana",
        "node-exporter",
        "observer",
        "prometheus",
    ];
    ensure!(names == BTreeSet::from(promised), "{names:?}");
    let observer = &services["observer"];
    ensure!(
        observer["cap_add"] == json!(["BPF", "NET_ADMIN", "PERFMON"]),
        "{observer}"
    );
    ensure!(observer["cap_drop"] == json!(["ALL"]) && observer["read_only"] == true);
    ensure!(observer["privileged"].is_null());
    for (name, service) in services {
        mounts_exist(name, service)?;
    }
    found_where_expected(services)
}

/// What is ours; the rest is the machine's.
fn mounts_exist(name: &str, service: &Value) -> Result<()> {
    let root = deploy().canonicalize()?;
    for volume in service["volumes"].as_array().into_iter().flatten() {
        let source = Path::new(volume["source"].as_str().unwrap_or_default());
        let ours = source.starts_with(&root);
        ensure!(
            !ours || source.exists(),
            "{name} mounts {}, which is not there",
            source.display()
        );
        ensure!(
            volume["type"] == "volume" || volume["read_only"] == true,
            "{name} may write to {}",
            source.display()
        );
    }
    Ok(())
}

/// Addresses that services are told to listen at, and where they are looked for.
fn found_where_expected(services: &serde_json::Map<String, Value>) -> Result<()> {
    let prometheus = std::fs::read_to_string(deploy().join("prometheus/static.yml"))?;
    for (service, port) in [
        ("observer", "9464"),
        ("prometheus", "9090"),
        ("alertmanager", "9093"),
        ("node-exporter", "9100"),
        ("cadvisor", "8080"),
    ] {
        let told = services[service].to_string();
        ensure!(told.contains(port), "{service} does not listen at {port}: {told}");
        ensure!(
            prometheus.contains(&format!("localhost:{port}")),
            "nobody asks {service}"
        );
    }
    let sources = deploy().join("compose/grafana/provisioning/datasources/prometheus.yaml");
    let sources = std::fs::read_to_string(sources)?;
    for url in ["http://localhost:9090", "http://localhost:9093"] {
        ensure!(sources.contains(url), "Grafana does not ask {url}");
    }
    Ok(())
}
