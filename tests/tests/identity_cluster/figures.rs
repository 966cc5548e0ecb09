//! Processor time and memory of pods against the kubelet's own figures.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::cluster::NAMESPACE;
use super::manifest;
use super::stage::Stage;

/// Of a core.
const QUOTA: &str = "100m";
/// The observer tells of an interval, the kubelet of all time: over many intervals both are the same.
const PERIOD: Duration = Duration::from_secs(60);
/// What the issue allows.
const TOLERANCE: f64 = 0.02;

/// The kubelet's figures of a pod: seconds of processor time, and when; bytes in use.
#[derive(Debug, Clone, Copy)]
struct Told {
    seconds: f64,
    at: f64,
    bytes: f64,
}

fn told(stage: &Stage, pod: &str) -> Result<Told> {
    let path = "/api/v1/nodes/node1/proxy/stats/summary";
    let summary: Value = serde_json::from_str(&stage.cluster.kubectl(&["get", "--raw", path])?)?;
    let pods = summary["pods"].as_array().context("pods")?;
    let found = pods
        .iter()
        .find(|told| told["podRef"]["name"] == pod && told["podRef"]["namespace"] == NAMESPACE)
        .with_context(|| format!("the kubelet does not know {pod} yet"))?;
    let number = |value: &Value| value.as_f64().context("a number");
    let time = found["cpu"]["time"].as_str().context("a time")?;
    Ok(Told {
        seconds: number(&found["cpu"]["usageCoreNanoSeconds"])? / 1e9,
        at: seconds_of_day(time).context("a time")?,
        bytes: number(&found["memory"]["workingSetBytes"])?,
    })
}

/// Of `2026-11-20T14:41:27Z`, the fraction where there is one. Not run over midnight.
fn seconds_of_day(time: &str) -> Option<f64> {
    let (_, clock) = time.trim_end_matches('Z').split_once('T')?;
    let mut parts = clock.split(':').map(|part| part.parse::<f64>().ok());
    Some(parts.next()?? * 3600.0 + parts.next()?? * 60.0 + parts.next()??)
}

#[test]
fn as_the_kubelet_says() -> Result<()> {
    let Some(stage) = Stage::set("as_the_kubelet_says")? else {
        return Ok(());
    };
    stage.cluster.apply(&[manifest::busy("busy", QUOTA)])?;
    stage.ready(&["pod/busy"])?;
    let labels = [("service", "busy"), ("pod", "busy"), ("namespace", NAMESPACE)];
    let begin = fresh(&stage, None)?;
    let mut percent = Vec::new();
    let start = Instant::now();
    let mut end = begin;
    // One look in each interval of the gauges, timed by the kubelet's own housekeeping.
    while start.elapsed() < PERIOD {
        end = fresh(&stage, Some(end))?;
        percent.push(stage.scrape()?.sum("marty_service_cpu_usage_percent", &labels));
    }
    let kubelet = 100.0 * (end.seconds - begin.seconds) / (end.at - begin.at);
    let count = u32::try_from(percent.len())?;
    let ours = percent.iter().sum::<f64>() / f64::from(count);
    let bytes = stage.scrape()?.sum("marty_service_memory_usage_bytes", &labels);
    println!("processor: observer {ours:.2} % ({count} looks), kubelet {kubelet:.2} %");
    println!("memory: observer {bytes} bytes, kubelet {} bytes", end.bytes);
    ensure!((ours / kubelet - 1.0).abs() <= TOLERANCE, "{percent:?}");
    ensure!((bytes / end.bytes - 1.0).abs() <= TOLERANCE);
    stage.cluster.clean()
}

/// Figures that the kubelet has taken after those it told before.
fn fresh(stage: &Stage, before: Option<Told>) -> Result<Told> {
    tests::wait::until(super::stage::LIMIT, || {
        let told = told(stage, "busy").map_err(|error| format!("{error:#}"))?;
        let newer = before.is_none_or(|before| told.at > before.at);
        newer.then_some(told).ok_or_else(|| "nothing new".to_owned())
    })
}
