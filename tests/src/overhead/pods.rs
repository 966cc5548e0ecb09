//! How cost grows with pods: so many cgroups, named as kubelet names them, with a server and its client in each.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::chart::Chart;
use super::cpu::{self, settle};
use super::options::Options;
use super::page::mebibytes;
use super::whole::Site;
use crate::process::Place;
use crate::scrape;
use crate::workload::Program;
use crate::workload::peer::{Client, Server, ServerOptions};
use crate::workload::plan::{Kind, Step};

const PODS: [u32; 4] = [1, 10, 50, 110];
/// Of all pods together, after as many that are not counted.
const CALLS: u32 = 22_000;

pub const TITLE: &str = "Growth with pods";
pub const WORDS: &str = "22,000 unary calls of tonic from so many pods, each a cgroup with a server and a client of its own, one \
    pod after the other; a fresh daemon for each line. The daemon's time is all of it, also the gauges of each pod (CPU, memory, \
    connections) and what goes by time.";

/// One line.
#[derive(Debug, Clone, Copy)]
struct Point {
    pods: u32,
    daemon: f64,
    /// Per cent of a CPU, all of it.
    share: f64,
    resident: u64,
    series: usize,
}

pub fn measure(program: &Program, options: &Options) -> Result<String> {
    let few = if options.quick { 2 } else { PODS.len() };
    let points = PODS.iter().take(few).map(|&pods| {
        eprintln!("measuring: {pods} pods");
        point(program, pods)
    });
    let points = points.collect::<Result<Vec<_>>>()?;
    let mut body = "| pods | daemon, µs a call | daemon, % of a CPU | resident, MiB | series |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for point in &points {
        let &Point {
            pods,
            daemon,
            share,
            resident,
            series,
        } = point;
        let resident = mebibytes(resident);
        let _ = writeln!(
            body,
            "| {pods} | {daemon:.2} | {share:.2} | {resident} | {series} |"
        );
    }
    if options.is_published() {
        let cost = points.iter().map(|point| (f64::from(point.pods), point.daemon));
        body += &Chart::new("pods", "daemon, µs a call", cost).publish("cost")?;
    }
    Ok(body)
}

/// A pod's cgroup and its container's; removed when dropped, after what ran in it.
#[derive(Debug)]
struct Pod {
    pair: Option<(Server, Client)>,
    folders: [PathBuf; 2],
}

impl Pod {
    fn start(program: &Program, above: &Path, number: u32) -> Result<Self> {
        let pod = above.join(format!("pod00000000-0000-4000-8000-{number:012}"));
        let container = pod.join(format!("{number:064x}"));
        std::fs::create_dir_all(&container).with_context(|| container.display().to_string())?;
        let mut made = Self {
            pair: None,
            folders: [container.clone(), pod],
        };
        let place = Place {
            cgroup: Some(container),
            ..Place::default()
        };
        let server = program.server(&ServerOptions {
            place: place.clone(),
            ..ServerOptions::default()
        })?;
        let client = program.client(&server.address(), &place)?;
        made.pair = Some((server, client));
        Ok(made)
    }

    fn call(&mut self, calls: u32) -> Result<u64> {
        let (_, client) = self.pair.as_mut().context("no pair")?;
        let step = Step {
            concurrency: 10,
            request_size: 16,
            ..Step::new(Kind::Unary, "/truth.v1.Truth/Echo", calls)
        };
        Ok(client.run([step])?.ended())
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.pair = None;
        for folder in &self.folders {
            // Left behind only if something in it still runs.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Of all pods; gone after them.
struct Above(PathBuf);

impl Drop for Above {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn point(program: &Program, count: u32) -> Result<Point> {
    let site = Site::open()?;
    let above = site.watched().cgroup.context("the site has no cgroup")?;
    let above = Above(above.join("kubepods"));
    let mut pods = (0..count)
        .map(|number| Pod::start(program, &above.0, number))
        .collect::<Result<Vec<_>>>()?;
    let daemon = site.observer.process.id();
    let (mut before, mut begin, mut calls) = (Duration::ZERO, std::time::Instant::now(), 0);
    for _ in 0..2 {
        settle(daemon)?;
        (before, begin, calls) = (cpu::of(daemon)?, std::time::Instant::now(), 0);
        for pod in &mut pods {
            calls += pod.call(CALLS / count)?;
        }
    }
    settle(daemon)?;
    let (took, wall) = (cpu::of(daemon)?.saturating_sub(before), begin.elapsed());
    let resident = cpu::memory(daemon, "VmRSS")?;
    let (_, text) = scrape::get(site.observer.address(), "/metrics")?;
    drop(pods);
    drop(above);
    site.close()?;
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let calls = calls.max(1) as f64;
    Ok(Point {
        pods: count,
        daemon: took.as_secs_f64() * 1e6 / calls,
        share: 100.0 * took.as_secs_f64() / wall.as_secs_f64(),
        resident,
        series: text.lines().filter(|line| !line.starts_with('#')).count(),
    })
}
