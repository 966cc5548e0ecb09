//! Processor time and memory of a pod against the kernel's own books and the kubelet's own figures.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::scrape::Scrape;
use tests::wait;

use super::cluster::NAMESPACE;
use super::manifest;
use super::stage::{LIMIT, Stage};

/// Of a core.
const QUOTA: &str = "100m";
/// From the first pass of the gauges that is looked at to the last.
const PERIOD: Duration = Duration::from_mins(1);
/// What the issue allows.
const TOLERANCE: f64 = 0.02;

#[test]
fn as_the_kubelet_says() -> Result<()> {
    let Some(stage) = Stage::set("as_the_kubelet_says")? else {
        return Ok(());
    };
    stage.cluster.apply(&[manifest::busy("busy", QUOTA)])?;
    stage.ready(&["pod/busy"])?;
    let pod = stage.cluster.get(&["pod", "busy"])?;
    let books = books(pod["metadata"]["uid"].as_str().context("a uid")?)?;
    let labels = [("service", "busy"), ("pod", "busy"), ("namespace", NAMESPACE)];
    let cpu = "marty_service_cpu_usage_percent";
    stage.until(|scrape| super::same("busy", scrape.find(cpu, &labels).count() as u64, 1))?;

    next_pass(&stage, &stage.scrape()?)?;
    let (begun, before) = (Instant::now(), used(&books)?);
    let mut scrape = stage.scrape()?;
    let mut percent = Vec::new();
    let mut last = (begun, before);
    while begun.elapsed() < PERIOD {
        scrape = next_pass(&stage, &scrape)?;
        let now = (Instant::now(), used(&books)?);
        // The observer tells of an interval; they are not all equally long on a busy machine.
        percent.push((scrape.sum(cpu, &labels), (now.0 - last.0).as_secs_f64()));
        last = now;
    }
    let whole: f64 = percent.iter().map(|(_, seconds)| seconds).sum();
    let ours = percent
        .iter()
        .map(|(percent, seconds)| percent * seconds)
        .sum::<f64>()
        / whole;
    let kernel = 100.0 * (last.1 - before) / (last.0 - begun).as_secs_f64();
    let bytes = scrape.sum("marty_service_memory_usage_bytes", &labels);
    let kubelet = kubelet_memory(&stage)?;
    println!(
        "processor: observer {ours:.2} %, kernel {kernel:.2} %, over {} passes",
        percent.len()
    );
    println!("memory: observer {bytes} bytes, kubelet {kubelet} bytes");
    ensure!((ours / kernel - 1.0).abs() <= TOLERANCE, "{percent:?}");
    ensure!((bytes / kubelet - 1.0).abs() <= TOLERANCE);
    stage.cluster.clean()
}

/// The first scrape after another pass: no two take equally long.
fn next_pass(stage: &Stage, before: &Scrape) -> Result<Scrape> {
    let cost = |scrape: &Scrape| scrape.sum("marty_observer_collection_seconds", &[]).to_bits();
    wait::until(LIMIT, || {
        let scrape = stage.scrape().map_err(|error| error.to_string())?;
        let another = cost(&scrape) != cost(before);
        another.then_some(scrape).ok_or_else(|| "no pass".to_owned())
    })
}

/// The kernel's file of the pod's processor time, of v1 or v2.
fn books(uid: &str) -> Result<PathBuf> {
    let classes = ["", "burstable/", "besteffort/"];
    let places = classes.iter().flat_map(|class| {
        let pod = format!("kubepods/{class}pod{uid}");
        [
            Path::new("/sys/fs/cgroup/cpuacct")
                .join(&pod)
                .join("cpuacct.usage"),
            Path::new("/sys/fs/cgroup").join(&pod).join("cpu.stat"),
        ]
    });
    let mut there = places.filter(|path| path.is_file());
    there.next().with_context(|| format!("no books of {uid}"))
}

/// Seconds.
fn used(books: &Path) -> Result<f64> {
    let text = std::fs::read_to_string(books)?;
    let microseconds = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
    Ok(match microseconds {
        Some(number) => number.trim().parse::<f64>()? / 1e6,
        None => text.trim().parse::<f64>()? / 1e9,
    })
}

fn kubelet_memory(stage: &Stage) -> Result<f64> {
    let path = "/api/v1/nodes/node1/proxy/stats/summary";
    wait::until(LIMIT, || {
        let summary = stage
            .cluster
            .kubectl(&["get", "--raw", path])
            .map_err(|error| error.to_string())?;
        let summary: Value = serde_json::from_str(&summary).map_err(|error| error.to_string())?;
        let mut pods = summary["pods"].as_array().into_iter().flatten();
        let pod =
            pods.find(|told| told["podRef"]["name"] == "busy" && told["podRef"]["namespace"] == NAMESPACE);
        pod.and_then(|pod| pod["memory"]["workingSetBytes"].as_f64())
            .ok_or_else(|| "the kubelet does not know it yet".to_owned())
    })
}
