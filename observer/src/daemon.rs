//! `observer run`: puts the parts together, and takes them apart when it is told to stop.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::attribution::catalog::Catalog;
use crate::attribution::roster::Roster;
use crate::attribution::{self, Attribution};
use crate::clock::SystemClock;
use crate::endpoint::{self, Endpoint, Health};
use crate::gauge::database::Ports;
use crate::gauge::{Collector, Gauges};
use crate::metrics;
use crate::pipeline::drive::Drive;
use crate::pipeline::{self, Pipeline};
use crate::probe::{self, OBJECT, Probe, Root};

/// Everything that the configuration decides.
#[derive(Clone, Debug)]
pub struct Settings {
    pub endpoint: endpoint::Settings,
    pub metrics: metrics::Settings,
    pub attribution: attribution::Settings,
    pub pipeline: pipeline::Settings,
    pub probe: probe::Options,
    /// The cgroup v2 directory to attach at; `None`: the root, wherever it is mounted.
    pub cgroup: Option<PathBuf>,
    pub database_ports: Vec<(u16, String)>,
    /// Between two passes over the services' gauges.
    pub gauge_interval: Duration,
}

/// After the loop has ended, how long a last scrape is waited for. Together with the rest this stays below the
/// 5 s in which the process promises to end.
const LAST_SCRAPE: Duration = Duration::from_secs(3);

/// Runs until SIGTERM or SIGINT.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    let (stop, told) = UnixStream::pair().context("cannot make a socket pair for signals")?;
    for signal in [SIGTERM, SIGINT] {
        let target = told.try_clone().context("cannot duplicate a descriptor")?;
        signal_hook::low_level::pipe::register(signal, target).context("cannot register for signals")?;
    }
    let health = Arc::new(Health::new(Arc::new(SystemClock)));
    let (recorder, registry) = metrics::new(settings.metrics);
    let endpoint = Endpoint::start(settings.endpoint, Arc::clone(&registry), Arc::clone(&health))?;

    let root = Root::find(settings.cgroup.as_deref())?;
    if !root.whole {
        tracing::warn!(
            cgroup = ?root.path,
            "this is not the root of the cgroup hierarchy: only what is below it is seen"
        );
    }
    let begun = Instant::now();
    let (probe, ring) = Probe::attach(OBJECT, &root, settings.probe)?;
    tracing::info!(milliseconds = begun.elapsed().as_millis(), cgroup = ?root.path, "programs attached");

    let catalog = Arc::<RwLock<Catalog>>::default();
    let roster = Arc::<Mutex<Roster>>::default();
    let naming = Attribution::start(
        settings.attribution.clone(),
        Arc::clone(&catalog),
        Arc::clone(&roster),
    )
    .context("cannot start the attribution thread")?;
    let collector = Collector::new(
        settings.attribution,
        Ports::new(settings.database_ports),
        catalog,
        roster,
    );
    let gauges = Gauges::start(collector, settings.gauge_interval, registry.collection())
        .context("cannot start the thread of the gauges")?;

    let pipeline = Pipeline::new(recorder, naming, settings.pipeline);
    let drive = Drive::new(probe, ring, pipeline, health, stop.try_clone()?)?;
    tracing::info!(address = %endpoint.address(), "serving");
    let stopped = drive.run()?;
    tracing::info!("programs detached; everything captured is counted");
    await_last_scrape(&registry, &stop)?;
    drop((stopped, gauges));
    endpoint.stop();
    Ok(())
}

/// Waits until somebody has scraped what was counted last, but no longer than [`LAST_SCRAPE`] or a second signal.
fn await_last_scrape(registry: &metrics::Registry, stop: &UnixStream) -> io::Result<()> {
    use std::io::Read as _;

    let before = registry.own().scrapes.get();
    let end = Instant::now() + LAST_SCRAPE;
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
