//! How cost grows: with connections, and with methods and their series. tonic on both ends, a fresh daemon for every point.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::chart::Chart;
use super::cpu::{self, settle};
use super::options::Options;
use super::page::{Page, mebibytes};
use super::whole::Site;
use crate::process::Place;
use crate::scrape;
use crate::workload::peer::{Client, Server, ServerOptions};
use crate::workload::plan::{Kind, Step};
use crate::workload::{Language, Program};

const CONNECTIONS: [u32; 5] = [1, 10, 100, 1_000, 10_000];
/// A connection's own ceiling is 512 methods, so each client has some of them.
const METHODS: [u32; 5] = [1, 10, 100, 1_000, 3_000];
const METHODS_OF_A_CLIENT: u32 = 250;
const CALLS: u32 = 30_000;

type Figure = fn(&Point) -> f64;

/// One point of a curve.
#[derive(Debug, Clone, Copy)]
struct Point {
    size: u32,
    /// Microseconds of the daemon for a call.
    daemon: f64,
    /// KiB.
    resident: u64,
    series: usize,
    scrape: Duration,
    scrape_cpu: Duration,
}

pub fn measure(options: &Options, programs: &[Program], page: &mut Page) -> Result<()> {
    let Some(program) = programs.iter().find(|program| program.language == Language::Rust) else {
        return Ok(());
    };
    let few = if options.quick { 3 } else { CONNECTIONS.len() };
    let connections = CONNECTIONS
        .iter()
        .take(few)
        .map(|&size| by_connections(program, size));
    let connections = connections.collect::<Result<Vec<_>>>()?;
    let methods = METHODS.iter().take(few).map(|&size| by_methods(program, size));
    let methods = methods.collect::<Result<Vec<_>>>()?;
    section(options, page, "connections", &connections)?;
    section(options, page, "methods", &methods)
}

fn section(options: &Options, page: &mut Page, what: &str, points: &[Point]) -> Result<()> {
    let mut body = format!(
        "| {what} | daemon, µs a call | resident, MiB | series | scrape, ms | of it daemon's CPU, ms |\n\
         | --- | --- | --- | --- | --- | --- |\n"
    );
    for point in points {
        let milliseconds = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        let cells = [
            point.size.to_string(),
            format!("{:.2}", point.daemon),
            mebibytes(point.resident),
            point.series.to_string(),
            milliseconds(point.scrape),
            milliseconds(point.scrape_cpu),
        ];
        let _ = writeln!(body, "| {} |", cells.join(" | "));
    }
    if options.is_published() {
        let by_size = |up: &str, figure: Figure| {
            Chart::new(
                what,
                up,
                points.iter().map(|point| (f64::from(point.size), figure(point))),
            )
        };
        let memory = |point: &Point| f64::from(u32::try_from(point.resident).unwrap_or(u32::MAX)) / 1024.0;
        body += &by_size("daemon, µs a call", |point| point.daemon).publish("cost")?;
        body += &by_size("resident, MiB", memory).publish("memory")?;
        body += &by_size("scrape, ms of the daemon's CPU", |point| {
            point.scrape_cpu.as_secs_f64() * 1e3
        })
        .publish("scrape")?;
    }
    let words = format!(
        "{CALLS} unary calls of tonic over so many {what}, after as many that nobody counted; a fresh daemon for each line. Memory \
         is read while all connections are open, and a scrape follows. The daemon's time is all of it: also what goes by time \
         (its looks at the ring, a pass over all connections once a second) and names of connections that are still looked up."
    );
    page.add(&format!("Growth with {what}"), &words, &body);
    Ok(())
}

struct Bench {
    site: Site,
    server: Server,
    clients: Vec<Client>,
}

impl Bench {
    fn open(program: &Program, clients: u32) -> Result<Self> {
        let site = Site::open_with(&["--max-series", "1000000", "--max-methods", "10000"])?;
        let place = site.watched();
        let server = program.server(&ServerOptions {
            place: place.clone(),
            ..ServerOptions::default()
        })?;
        let start = |place: &Place| program.client(&server.address(), place);
        let clients = (0..clients).map(|_| start(&place)).collect::<Result<_>>()?;
        Ok(Self {
            site,
            server,
            clients,
        })
    }

    /// The steps of each client twice: the second time is measured.
    fn measure(mut self, size: u32, steps: &[Vec<Step>]) -> Result<Point> {
        let daemon = self.site.observer.process.id();
        let mut calls = 0_u32;
        let mut before = Duration::ZERO;
        for is_measured in [false, true] {
            settle(daemon)?;
            before = cpu::of(daemon)?;
            for (client, steps) in self.clients.iter_mut().zip(steps) {
                let tally = client.run(steps.iter().cloned())?;
                calls += if is_measured {
                    u32::try_from(tally.ended())?
                } else {
                    0
                };
            }
        }
        settle(daemon)?;
        let took = cpu::of(daemon)?.saturating_sub(before);
        let resident = cpu::memory(daemon, "VmRSS")?;
        let before = cpu::of(daemon)?;
        let begin = Instant::now();
        let (_, text) = scrape::get(self.site.observer.address(), "/metrics")?;
        let (scrape, scrape_cpu) = (begin.elapsed(), cpu::of(daemon)?.saturating_sub(before));
        for client in self.clients {
            client.quit()?;
        }
        self.server.quit()?;
        self.site.close()?;
        Ok(Point {
            size,
            daemon: took.as_secs_f64() * 1e6 / f64::from(calls.max(1)),
            resident,
            series: text.lines().filter(|line| !line.starts_with('#')).count(),
            scrape,
            scrape_cpu,
        })
    }
}

fn by_connections(program: &Program, size: u32) -> Result<Point> {
    eprintln!("measuring: {size} connections");
    let step = Step {
        connections: size,
        concurrency: (32 / size).max(1),
        request_size: 16,
        ..Step::new(Kind::Unary, "/truth.v1.Truth/Echo", CALLS.max(2 * size))
    };
    Bench::open(program, 1)?.measure(size, &[vec![step]])
}

fn by_methods(program: &Program, size: u32) -> Result<Point> {
    eprintln!("measuring: {size} methods");
    let clients = size.div_ceil(METHODS_OF_A_CLIENT);
    // Of methods that the server does not have, which cost the observer the same.
    let step = |number: u32| Step {
        concurrency: 10,
        expect: Some("*".into()),
        ..Step::new(
            Kind::Unary,
            &format!("/scale.v1.Scale/Method{number}"),
            (CALLS / size).max(1),
        )
    };
    let steps: Vec<Vec<Step>> = (0..clients)
        .map(|client| {
            let first = client * METHODS_OF_A_CLIENT;
            (first..size.min(first + METHODS_OF_A_CLIENT)).map(step).collect()
        })
        .collect();
    Bench::open(program, clients)?.measure(size, &steps)
}
