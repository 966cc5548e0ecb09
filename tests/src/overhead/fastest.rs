//! The worst case: a server that does nearly nothing for a call (`pajamax`: no runtime, a thread for each connection,
//! answers written together), asked by a client that does little more (h2load). Whatever observing costs is most of it.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use pajamax::{Config, PajamaxService};

use super::cpu;
use super::pair::{Load, Taken, Watcher};
use super::whole::{Site, Turns};
use crate::prerequisite::Error;
use crate::process::{Place, Process};
use crate::wait;
use crate::workload::h2load::H2load;

/// How this program is started as that server.
pub const SERVER: &str = "fastest-server";
const STARTING: Duration = Duration::from_secs(20);
const LOAD: Load = Load {
    name: "100 calls at once",
    connections: 1,
    concurrency: 100,
};

struct Echo;

impl PajamaxService for Echo {
    fn route(&self, _path: &[u8]) -> Option<usize> {
        Some(0)
    }

    /// The message goes back as it came, as a field of bytes.
    fn handle(&self, _method: usize, request: &[u8], stream: u32) -> Result<(), pajamax::error::Error> {
        pajamax::local_build_response(stream, Ok(request.to_vec()))
    }

    fn is_dispatch_mode(&self) -> bool {
        false
    }
}

/// Serves until it is killed.
pub fn server(address: &str) -> Result<()> {
    Ok(Config::new().add_service(Echo).serve(address)?)
}

pub fn measure(site: &Site, rounds: usize, calls: u32) -> Result<Turns, Error> {
    let load = H2load::prepare()?;
    let (alone, watched) = (site.alone(), site.watched());
    let daemon = Watcher::Daemon(site.observer.process.id());
    let turns = Turns::take(
        rounds,
        || run(load, &alone, calls, None),
        || run(load, &watched, calls, Some(daemon)),
    );
    turns.map_err(|error| Error::Broken(format!("{error:#}")))
}

fn run(client: H2load, place: &Place, calls: u32, watcher: Option<Watcher>) -> Result<Taken> {
    // Free again when the listener is dropped.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let this = std::env::current_exe()?;
    let server = Process::start(&[this.into(), SERVER.into(), address.clone().into()], place)?;
    wait::until(STARTING, || {
        TcpStream::connect(&address)
            .map(drop)
            .map_err(|error| format!("{error}{}", server.report()))
    })?;
    watcher.map_or(Ok(()), Watcher::settle)?;
    let observed =
        |watcher: Option<Watcher>| watcher.map_or(Ok(Duration::ZERO), |watcher| cpu::of(watcher.id()));
    let waits = |watcher: Option<Watcher>| watcher.map_or(Ok(0), |watcher| cpu::waits(watcher.id()));
    let before = (cpu::of(server.id())?, observed(watcher)?, waits(watcher)?);
    let begin = Instant::now();
    let mut asking = client.start(&format!("http://{address}"), &LOAD.step(calls), place)?;
    let answered = asking.answered()?;
    let wall = begin.elapsed();
    let took = cpu::of(asking.process.id()).context("h2load")?;
    let by_then = observed(watcher)?;
    ensure!(
        answered == u64::from(calls),
        "{answered} of {calls} calls were answered"
    );
    watcher.map_or(Ok(()), Watcher::settle)?;
    let after = observed(watcher)?;
    Ok(Taken {
        calls,
        wall,
        server: cpu::of(server.id())?.saturating_sub(before.0),
        client: took,
        observer: after.saturating_sub(before.1),
        observer_late: after.saturating_sub(by_then),
        observer_waits: waits(watcher)? - before.2,
    })
}
