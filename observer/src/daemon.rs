//! `observer run`: puts the parts together, and takes them apart when it is told to stop.

use std::io;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::attribution::Attribution;
use crate::attribution::catalog::Catalog;
use crate::attribution::kubernetes::Status;
#[cfg(feature = "kubernetes")]
use crate::attribution::kubernetes::{connect, informer::Informer};
use crate::attribution::roster::Roster;
use crate::clock::SystemClock;
use crate::config::{Config, Tls};
use crate::endpoint::{Endpoint, Health};
use crate::gauge::database::Ports;
use crate::gauge::namespace;
use crate::gauge::own::Account;
use crate::gauge::{Collector, Gauges};
use crate::logs;
use crate::metrics;
use crate::pipeline::drive::Drive;
use crate::pipeline::{self, Pipeline};
use crate::probe::claim::Claim;
use crate::probe::{self, OBJECT, Probe, Root};
use crate::service_manager::ServiceManager;
use crate::tls::watch::Watch;

/// From the signal to the end of the process, of which 5 s are promised. Everything that waits has its share of this:
/// first for a last scrape, then for those who have not read their answer.
const MAX_STOPPING: Duration = Duration::from_millis(4500);
/// How long a last scrape is waited for, from the signal on.
const LAST_SCRAPE: Duration = Duration::from_secs(3);

/// Runs until SIGTERM or SIGINT.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let (stop, told) = UnixStream::pair().context("cannot make a socket pair for signals")?;
    for signal in [SIGTERM, SIGINT] {
        let target = told.try_clone().context("cannot duplicate a descriptor")?;
        signal_hook::low_level::pipe::register(signal, target).context("cannot register for signals")?;
    }
    let (recorder, registry) = metrics::new(config.metrics_settings());
    logs::start(
        config.log_format,
        config.log_level,
        Arc::new(SystemClock),
        Arc::clone(&registry),
    )?;
    let root = Root::find(config.cgroup.as_deref())?;
    let claim = match Claim::wait(&root, || is_told(&stop)) {
        Err(_) if is_told(&stop) => return Ok(ExitCode::SUCCESS),
        claim => claim?,
    };
    if claim.is_none() {
        tracing::warn!(
            "a process that is no observer has locked the cgroup's directory; a second observer would not be noticed"
        );
    }
    let manager = Arc::new(service_manager());
    let health = Arc::new(Health::new(Arc::new(SystemClock)));
    let endpoint = Endpoint::start(
        config.endpoint_settings(),
        Arc::clone(&registry),
        Arc::clone(&health),
    )?;

    if !root.whole {
        tracing::warn!(
            cgroup = ?root.path,
            "this is not the root of the cgroup hierarchy: only what is below it is seen"
        );
    }
    let options = probe::Options {
        ring_bytes: config.ring_bytes,
        tls: config.tls == Tls::Seen,
    };
    let begun = Instant::now();
    let (mut probe, ring) = Probe::attach(OBJECT, &root, options)?;
    tracing::info!(milliseconds = begun.elapsed().as_millis(), cgroup = ?root.path, "programs attached");
    if is_told(&stop) {
        return Ok(ExitCode::SUCCESS);
    }
    let (encrypted, ended) = match probe.attacher() {
        Some(attacher) => Watch::start(attacher, Arc::clone(&registry))
            .map(|(watch, ended)| (Some(watch), Some(ended)))
            .context("cannot start the thread that looks for TLS libraries")?,
        None => (None, None),
    };

    let who = config.attribution_settings();
    let catalog = Arc::<RwLock<Catalog>>::default();
    let roster = Arc::<Mutex<Roster>>::default();
    let status = Arc::<Status>::default();
    #[cfg(feature = "kubernetes")]
    let informer =
        informer(config, &catalog, &status).context("cannot start the thread that asks for pods")?;
    let naming = Attribution::start(who.clone(), Arc::clone(&catalog), Arc::clone(&roster))
        .context("cannot start the attribution thread")?;
    let account = Account {
        limits: naming.limits(),
        status,
        catalog: Arc::clone(&catalog),
        roster: Arc::clone(&roster),
    };
    let ports = database_ports(config);
    let changes = probe.changes(ports.numbers());
    let changes = changes.map(|changes| Box::new(changes) as Box<dyn namespace::Changes>);
    let collector = Collector::new(who, ports, catalog, roster).with_changes(changes);
    let gauges = Gauges::start(collector, account, config.gauge_interval, registry.collection())
        .context("cannot start the thread of the gauges")?;

    let pipeline = Pipeline::new(recorder, naming, pipeline_settings(config));
    let watched = Arc::clone(&health);
    let drive = Drive::new(probe, ring, pipeline, health, stop.try_clone()?)?.with_ended(ended);
    tracing::info!(address = %endpoint.address(), "serving");
    tell(manager.ready());
    manager
        .keep_alive(move || watched.is_live())
        .context("cannot start the watchdog thread")?;
    let stopped = drive.run()?;
    drop((claim, encrypted));
    tell(manager.stopping());
    tracing::info!("programs detached; everything captured is counted");
    let until = stopped.told + MAX_STOPPING;
    await_last_scrape(&registry, &stop, stopped.told + LAST_SCRAPE)?;
    drop((stopped, gauges));
    #[cfg(feature = "kubernetes")]
    drop(informer);
    endpoint.stop(until);
    Ok(ExitCode::SUCCESS)
}

fn pipeline_settings(config: &Config) -> pipeline::Settings {
    pipeline::Settings {
        call_idle: config.call_idle,
        max_connections: config.max_connections,
    }
}

/// The thread that knows the pods, where there is anybody to ask for them.
#[cfg(feature = "kubernetes")]
fn informer(
    config: &Config,
    catalog: &Arc<RwLock<Catalog>>,
    status: &Arc<Status>,
) -> io::Result<Option<Informer>> {
    let Some(settings) = config.informer_settings(connect::in_cluster()) else {
        tracing::info!(
            "no pods are asked for: neither in a cluster nor told of one (--kubernetes, --kubelet)"
        );
        return Ok(None);
    };
    tracing::info!(
        node = settings.node,
        api = settings.api,
        kubelet = settings.kubelet.as_ref().map(|kubelet| kubelet.address.as_str()),
        "asking for pods"
    );
    Informer::start(settings, Arc::clone(catalog), Arc::clone(status)).map(Some)
}

fn database_ports(config: &Config) -> Ports {
    Ports::new(config.structured.database_ports.iter().flat_map(|database| {
        database
            .ports
            .iter()
            .map(|port| (*port, database.database.clone()))
    }))
}

/// Told by the kernel.
impl namespace::Changes for probe::change::Changes {
    fn count(&mut self, space: u64) -> Option<u64> {
        self.count(space)
    }

    fn forget(&mut self, space: u64) {
        self.forget(space);
    }

    fn missed(&self) -> u64 {
        self.missed()
    }
}

/// systemd's, or nobody's.
fn service_manager() -> ServiceManager {
    ServiceManager::from_environment(|name| std::env::var_os(name)).unwrap_or_else(|error| {
        tracing::warn!(%error, "the service manager cannot be told anything");
        ServiceManager::default()
    })
}

fn tell(told: io::Result<()>) {
    if let Err(error) = told {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Whether a signal has come. It stays to be read.
fn is_told(stop: &UnixStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut readable = [PollFd::new(stop, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut readable, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Waits until somebody has scraped what was counted last, but no longer than `end` or a second signal.
fn await_last_scrape(registry: &metrics::Registry, stop: &UnixStream, end: Instant) -> io::Result<()> {
    use std::io::Read as _;

    let before = registry.own().scrapes.get();
    let mut stop = stop;
    stop.set_read_timeout(Some(Duration::from_millis(50)))?;
    let mut signals = [0_u8; 8];
    // The signal that got us here is the first byte.
    let mut received = 0;
    while received < 2 && registry.own().scrapes.get() == before && Instant::now() < end {
        received += stop.read(&mut signals).unwrap_or(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_signal_is_seen_and_stays() {
        let (stop, mut told) = UnixStream::pair().unwrap();
        assert!(!is_told(&stop));
        told.write_all(&[0]).unwrap();
        assert!(is_told(&stop));
        assert!(is_told(&stop));
    }
}
