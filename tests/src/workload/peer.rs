//! Workloads that run: a server that tells its tally, a client that runs plans.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::Program;
use super::plan::{Plan, Step};
use super::tally::Tally;
use crate::process::{Place, Process};

/// A program that has been told to begin or end needs this long only when something is wrong: interpreters start in
/// well under a second, but two busy cores can hold them up.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// The longest plan. Programs end themselves after it as well.
const MAX_PLAN: Duration = Duration::from_mins(5);

/// What a server is told at its start.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    pub host: String,
    pub port: u16,
    pub place: Place,
    /// GOAWAY at this age of a connection; 0 is never.
    pub max_age_ms: u32,
    pub keepalive_ms: u32,
    pub max_streams: u32,
    pub limit: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 0,
            place: Place::default(),
            max_age_ms: 0,
            keepalive_ms: 0,
            max_streams: 0,
            limit: MAX_PLAN,
        }
    }
}

impl ServerOptions {
    fn arguments(&self) -> Vec<OsString> {
        let limit = self.limit.as_secs();
        let mut arguments: Vec<OsString> = vec!["server".into()];
        for (name, value) in [
            ("--host", self.host.clone()),
            ("--port", self.port.to_string()),
            ("--max-age-ms", self.max_age_ms.to_string()),
            ("--keepalive-ms", self.keepalive_ms.to_string()),
            ("--max-streams", self.max_streams.to_string()),
            ("--limit-s", limit.to_string()),
        ] {
            arguments.extend([name.into(), value.into()]);
        }
        arguments
    }
}

impl Program {
    /// Starts a server and waits until it listens.
    pub fn server(&self, options: &ServerOptions) -> Result<Server> {
        let command = [self.command.clone(), options.arguments(), self.security()].concat();
        let mut process = Process::start(&command, &options.place)?;
        let port = process
            .wait_for("READY port=", MAX_WAIT)?
            .parse()
            .context("the port of a server")?;
        Ok(Server {
            process,
            port,
            host: options.host.clone(),
        })
    }

    /// Starts a client of the server at `address`; it connects when it has a plan.
    pub fn client(&self, address: &str, place: &Place) -> Result<Client> {
        let arguments: [OsString; 4] = [
            "client".into(),
            address.into(),
            "--limit-s".into(),
            MAX_PLAN.as_secs().to_string().into(),
        ];
        let command = [self.command.as_slice(), &arguments, &self.security()].concat();
        let mut process = Process::start(&command, place)?;
        process.wait_for("READY", MAX_WAIT)?;
        Ok(Client { process })
    }
}

#[derive(Debug)]
pub struct Server {
    pub process: Process,
    pub port: u16,
    host: String,
}

impl Server {
    /// Where a client finds it.
    pub fn address(&self) -> String {
        self.address_at(&self.host)
    }

    /// Where a client finds it that knows its host by another address, as when it listens on all.
    pub fn address_at(&self, host: &str) -> String {
        if host.contains(':') {
            format!("[{host}]:{}", self.port)
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// Its counts so far.
    pub fn tally(&mut self) -> Result<Tally> {
        self.process.write_line("stats")?;
        read_tally(&mut self.process, MAX_WAIT)
    }

    /// Its counts, once as many calls have ended there as were made: a server can see the end of a call that its
    /// client has cancelled later than the client. Gives the last counts when that does not come true.
    pub fn tally_after(&mut self, calls: u64) -> Result<Tally> {
        let until = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            let tally = self.tally()?;
            if tally.ended() >= calls || std::time::Instant::now() > until {
                return Ok(tally);
            }
            std::thread::yield_now();
        }
    }

    /// Ends it by SIGTERM, as an operator would.
    pub fn stop(mut self) -> Result<Tally> {
        self.process.signal(Signal::TERM)?;
        finish(&mut self.process)
    }

    /// Ends it by its control line.
    pub fn quit(mut self) -> Result<Tally> {
        self.process.write_line("quit")?;
        finish(&mut self.process)
    }
}

fn finish(process: &mut Process) -> Result<Tally> {
    let tally = read_tally(process, MAX_WAIT)?;
    let status = process.wait(MAX_WAIT)?;
    ensure!(
        status.success(),
        "{} ended with {status}{}",
        process.name(),
        process.report()
    );
    Ok(tally)
}

fn read_tally(process: &mut Process, limit: Duration) -> Result<Tally> {
    let line = process.wait_for("{", limit)?;
    serde_json::from_str(&format!("{{{line}")).with_context(|| format!("a tally of {}", process.name()))
}

#[derive(Debug)]
pub struct Client {
    pub process: Process,
}

impl Client {
    /// Runs a plan to its end. Connections stay open for the next one.
    pub fn run(&mut self, steps: impl IntoIterator<Item = Step>) -> Result<Tally> {
        self.begin(steps)?;
        self.result()
    }

    /// Begins a plan; [`Self::result`] has its outcome.
    pub fn begin(&mut self, steps: impl IntoIterator<Item = Step>) -> Result<()> {
        let plan: Plan = steps.into_iter().collect();
        self.process.write_line(&serde_json::to_string(&plan)?)
    }

    pub fn result(&mut self) -> Result<Tally> {
        read_tally(&mut self.process, MAX_PLAN)
    }

    /// Closes its connections and ends it.
    pub fn quit(mut self) -> Result<()> {
        self.process.write_line("quit")?;
        let status = self.process.wait(MAX_WAIT)?;
        ensure!(
            status.success(),
            "{} ended with {status}{}",
            self.process.name(),
            self.process.report()
        );
        Ok(())
    }
}
