//! The daemon under test: the binary that `cargo xtask build` made, attached to this machine's kernel.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use crate::prerequisite::Error;
use crate::process::{Place, Process};
use crate::scrape::calls::{self, Abandoned, Side};
use crate::scrape::{self, Scrape};
use crate::wait;
use crate::workload::tally::Tally;

/// A loaded machine verifies the programs slowly.
const ATTACHING: Duration = Duration::from_mins(5);
/// Some twenty probes in each TLS library of this machine, 0.1 s each on a loaded one.
const DETACHING: Duration = Duration::from_mins(1);
/// From the end of a call to its count. Bounded by the drain interval; the rest is for a loaded machine.
const COUNTING: Duration = Duration::from_secs(20);

/// Path of the daemon; the reason where it cannot run.
pub fn prepare() -> Result<PathBuf, Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::Missing("attaching kernel programs needs root".to_owned()));
    }
    let path = std::env::var_os("OBSERVER_DAEMON")
        .ok_or_else(|| Error::Missing("OBSERVER_DAEMON is not set: run `cargo xtask test`".to_owned()))?;
    Ok(PathBuf::from(path))
}

#[derive(Debug)]
pub struct Observer {
    pub process: Process,
    address: String,
}

impl Observer {
    /// Started, attached and ready.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_whole(&Place::default(), &[], arguments)
    }

    /// The same with variables of the environment, as `NAME=VALUE`.
    pub fn start_with(environment: &[&str], arguments: &[&str]) -> Result<Self> {
        Self::start_whole(&Place::default(), environment, arguments)
    }

    /// The same, in a place of its own.
    pub fn start_in(place: &Place, arguments: &[&str]) -> Result<Self> {
        Self::start_whole(place, &[], arguments)
    }

    fn start_whole(place: &Place, environment: &[&str], arguments: &[&str]) -> Result<Self> {
        let daemon = prepare().map_err(|error| anyhow::anyhow!(error))?;
        // The port is free again when the listener is dropped; nothing else here asks for ports of this range.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command: Vec<OsString> = vec!["env".into()];
        command.extend(environment.iter().map(OsString::from));
        command.extend([
            daemon.into(),
            "run".into(),
            "--listen".into(),
            address.clone().into(),
        ]);
        command.extend(arguments.iter().map(OsString::from));
        let process = Process::start(&command, place)?;
        let mut observer = Self { process, address };
        observer.await_ready()?;
        Ok(observer)
    }

    fn await_ready(&mut self) -> Result<()> {
        let address = self.address.clone();
        let process = &mut self.process;
        let ready = wait::until(ATTACHING, || match scrape::get(&address, "/health/ready") {
            Ok((200, _)) => Ok(true),
            // One that has ended will never be ready.
            _ if process.has_ended() => Ok(false),
            Ok((status, page)) => Err(format!("{status} {page}")),
            Err(error) => Err(error.to_string()),
        });
        let ready = ready.with_context(|| self.process.report())?;
        anyhow::ensure!(ready, "the observer did not start{}", self.process.report());
        Ok(())
    }

    pub fn scrape(&self) -> Result<Scrape> {
        Scrape::fetch(&self.address)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until the observer's calls are those of the application, and says how they differ if they never are.
    pub fn expect(&self, side: Side, labels: &[(&str, &str)], tally: &Tally) -> Result<()> {
        wait::until(COUNTING, || {
            let scrape = self.scrape().map_err(|error| error.to_string())?;
            calls::compare(&scrape, side, labels, tally, Abandoned::Together)
        })
        .with_context(|| format!("{side:?} side: the observer and the application disagree"))
    }

    /// Everything that the observer says was lost, by reason, without the zeros.
    pub fn losses(&self) -> Result<Vec<(String, f64)>> {
        let scrape = self.scrape()?;
        let lost = scrape.find("marty_observer_lost_total", &[]);
        Ok(lost
            .filter(|s| s.value > 0.0)
            .map(|s| (s.label("reason").to_owned(), s.value))
            .collect())
    }

    /// SIGTERM; the exit must be 0 and within the promised 5 s.
    pub fn stop(self) -> Result<()> {
        self.stop_within(Duration::from_secs(5))
    }

    /// The same of one with `--tls`: a thread of it may wait in the kernel for another observer's probes to go.
    pub fn stop_probing(self) -> Result<()> {
        self.stop_within(DETACHING)
    }

    fn stop_within(mut self, limit: Duration) -> Result<()> {
        self.process.signal(Signal::TERM)?;
        let status = self.process.wait(limit)?;
        anyhow::ensure!(
            status.success(),
            "the observer ended with {status}{}",
            self.process.report()
        );
        Ok(())
    }
}
