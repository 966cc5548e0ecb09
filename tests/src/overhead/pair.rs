//! One server and one client, fresh for every measurement, and the CPU time of both for so many calls.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::cpu;
use crate::process::Place;
use crate::workload::Program;
use crate::workload::peer::ServerOptions;
use crate::workload::plan::{Kind, Step};

/// How a pair is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub name: &'static str,
    pub connections: u32,
    /// Calls at once on each connection.
    pub concurrency: u32,
}

/// One call after the other: every packet is one call's, nothing is shared.
pub const SEQUENTIAL: Load = Load {
    name: "one call at a time",
    connections: 1,
    concurrency: 1,
};
/// As many as keep both processors busy.
pub const SATURATED: Load = Load {
    name: "100 calls at once",
    connections: 2,
    concurrency: 50,
};

impl Load {
    pub fn step(self, calls: u32) -> Step {
        Step {
            connections: self.connections,
            concurrency: self.concurrency,
            request_size: 16,
            ..Step::new(Kind::Unary, "/truth.v1.Truth/Echo", calls)
        }
    }
}

/// What a number of calls took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub calls: u32,
    pub wall: Duration,
    pub server: Duration,
    pub client: Duration,
    /// Of the process that watches; nothing where none does.
    pub observer: Duration,
    /// The part of that after the last call had ended: what waited in the ring by then.
    pub observer_late: Duration,
    pub observer_waits: u64,
}

impl Taken {
    pub fn microseconds(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / f64::from(self.calls)
    }

    /// CPU time of everything that had to do with a call.
    pub fn whole(&self) -> Duration {
        self.server + self.client + self.observer
    }

    pub fn each(&self) -> f64 {
        self.microseconds(self.whole())
    }
}

/// Whose CPU time is a call's as well.
#[derive(Debug, Clone, Copy)]
pub enum Watcher {
    Daemon(u32),
    /// Works while packets come, and never otherwise.
    Capture(u32),
}

impl Watcher {
    pub fn id(self) -> u32 {
        match self {
            Self::Daemon(process) | Self::Capture(process) => process,
        }
    }

    /// Until everything is counted.
    pub fn settle(self) -> Result<()> {
        match self {
            Self::Daemon(process) => cpu::settle(process),
            Self::Capture(_) => Ok(()),
        }
    }
}

/// The server's program and the client's.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    pub server: &'a Program,
    pub client: &'a Program,
    /// Of the server; 0 for any.
    pub port: u16,
}

impl<'a> Pair<'a> {
    pub fn both(program: &'a Program) -> Self {
        Self {
            server: program,
            client: program,
            port: 0,
        }
    }

    /// Makes `warm` calls, and then `calls` that are measured. `watcher`: the process that watches them.
    pub fn run(
        self,
        place: &Place,
        load: Load,
        [warm, calls]: [u32; 2],
        watcher: Option<Watcher>,
    ) -> Result<Taken> {
        let server = self.server.server(&ServerOptions {
            place: place.clone(),
            port: self.port,
            ..ServerOptions::default()
        })?;
        let mut client = self.client.client(&server.address(), place)?;
        client.run([load.step(warm)])?;
        let ids = [server.process.id(), client.process.id()];
        let taken = measured(ids, watcher, calls, || {
            let tally = client.run([load.step(calls)])?;
            ensure!(
                tally.ended() == u64::from(calls) && tally.unexpected.is_empty(),
                "{}: not all calls ended well: {:?}",
                self.server.language,
                tally.unexpected
            );
            Ok(())
        })?;
        client.quit()?;
        server.quit()?;
        Ok(taken)
    }

    /// How many calls take about `time`.
    pub fn calibrate(self, place: &Place, load: Load, time: Duration) -> Result<u32> {
        let few = 2_000;
        let taken = self.run(place, load, [few, few], None)?;
        let calls = f64::from(few) * time.as_secs_f64() / taken.wall.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of calls"
        )]
        let calls = calls.clamp(1_000.0, 1e6) as u32;
        Ok(calls)
    }
}

/// What `act` takes, which is `calls` calls, of a server and a client.
pub fn measured(
    ids: [u32; 2],
    watcher: Option<Watcher>,
    calls: u32,
    act: impl FnOnce() -> Result<()>,
) -> Result<Taken> {
    watcher.map_or(Ok(()), Watcher::settle)?;
    let before = Clocks::read(ids, watcher)?;
    let begin = Instant::now();
    act()?;
    let wall = begin.elapsed();
    let by_then = watched(watcher)?;
    watcher.map_or(Ok(()), Watcher::settle)?;
    let after = Clocks::read(ids, watcher)?;
    Ok(Taken {
        calls,
        wall,
        server: after.server.saturating_sub(before.server),
        client: after.client.saturating_sub(before.client),
        observer: after.observer.saturating_sub(before.observer),
        observer_late: after.observer.saturating_sub(by_then),
        observer_waits: after.waits - before.waits,
    })
}

/// CPU time of whoever watches.
fn watched(watcher: Option<Watcher>) -> Result<Duration> {
    watcher.map_or(Ok(Duration::ZERO), |watcher| cpu::of(watcher.id()))
}

#[derive(Debug, Clone, Copy)]
struct Clocks {
    server: Duration,
    client: Duration,
    observer: Duration,
    waits: u64,
}

impl Clocks {
    fn read([server, client]: [u32; 2], watcher: Option<Watcher>) -> Result<Self> {
        Ok(Self {
            server: cpu::of(server).context("the server")?,
            client: cpu::of(client).context("the client")?,
            observer: watched(watcher)?,
            waits: watcher.map_or(Ok(0), |watcher| cpu::waits(watcher.id()))?,
        })
    }
}
