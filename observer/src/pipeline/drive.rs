//! The loop around the pipeline: waits, drains the ring, lets time pass, and stops when it is told to.
//!
//! Records are written without waking anybody; the loop looks after them when its timer ends. The timer is short
//! while there is traffic and grows while there is none. The ring wakes it before its time when it is half full: its
//! descriptor is watched edge-triggered, because level-triggered it would be ready with the very first record.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use observer_ebpf::loss::Loss;
use rustix::event::{Timespec, epoll};

use super::{Naming, Pipeline};
use crate::clock::{Clock, SystemClock};
use crate::endpoint::Health;
use crate::metrics::own::Lost;
use crate::metrics::{Collection, Now, catalogue};
use crate::probe::{Probe, Ring};

/// Under load: at 50 turns a second a turn's fixed cost (about 5 µs) is far below 0.1 % of a core.
const SHORTEST: Duration = Duration::from_millis(20);
/// Idle. A scrape may be so much late.
const LONGEST: Duration = Duration::from_millis(160);
/// Records between two looks at the clock.
const BATCH: usize = 8192;
/// Records of one turn, so that a ring that never runs empty does not keep the loop from being stopped.
const MOST: usize = 16 * BATCH;
/// What is written after the programs were told to go is drained for no longer.
const MAX_DRAINING: Duration = Duration::from_secs(1);
/// How often the kernel's own statistics are read.
const STATISTICS: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Drive<N> {
    probe: Probe,
    ring: Ring,
    pipeline: Pipeline<N>,
    health: Arc<Health>,
    programs: Collection,
    clock: SystemClock,
    epoll: rustix::fd::OwnedFd,
    /// Readable when the process was told to stop; watched by `epoll`.
    _stop: UnixStream,
    statistics: Option<Instant>,
    /// Sockets whose end could not be told through the ring, which was full: what was in it then comes first.
    ended: Vec<u64>,
    /// Connections that only their process could have ended, which is gone.
    orphaned: Option<Receiver<u64>>,
}

impl<N: Naming> Drive<N> {
    pub fn new(
        probe: Probe,
        ring: Ring,
        pipeline: Pipeline<N>,
        health: Arc<Health>,
        stop: UnixStream,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &ring, epoll::EventData::new_u64(0), flags)?;
        epoll::add(&epoll, &stop, epoll::EventData::new_u64(1), flags)?;
        let programs = pipeline.recorder().registry().collection();
        Ok(Self {
            probe,
            ring,
            pipeline,
            health,
            programs,
            clock: SystemClock,
            epoll,
            _stop: stop,
            statistics: None,
            ended: Vec::new(),
            orphaned: None,
        })
    }

    /// Who tells of connections that ended with their process.
    #[must_use]
    pub fn with_ended(mut self, orphaned: Option<Receiver<u64>>) -> Self {
        self.orphaned = orphaned;
        self
    }

    /// Until told to stop; then the programs are detached and what they have written is counted.
    pub fn run(mut self) -> io::Result<Stopped<N>> {
        self.health.set_attached(true);
        let mut pause = SHORTEST;
        loop {
            pause = match self.turn() {
                0 => (pause * 2).min(LONGEST),
                // More waits; only look whether it is time to stop.
                MOST.. => Duration::ZERO,
                _ => SHORTEST,
            };
            if self.wait(pause)? {
                break;
            }
        }
        let told = Instant::now();
        self.health.set_attached(false);
        self.probe.detach();
        // Probes of processes go one by one, and some may tell a little longer.
        while self.turn() > 0 && told.elapsed() < MAX_DRAINING {}
        self.read_losses();
        self.pipeline.finish(Instant::now());
        let Self {
            pipeline, programs, ..
        } = self;
        Ok(Stopped {
            told,
            pipeline,
            _programs: programs,
        })
    }

    /// What waits in the ring, [`MOST`] at most; returns how many records that was.
    fn turn(&mut self) -> usize {
        let mut total = 0;
        loop {
            let now = Now {
                monotonic: self.clock.monotonic(),
                unix: self.clock.unix(),
            };
            let instant = Instant::now();
            self.pipeline.advance(now, instant);
            self.health.beat();
            let pipeline = &mut self.pipeline;
            let drained = self
                .ring
                .drain(BATCH, |record, payload| pipeline.on_record(record, payload));
            self.pipeline
                .recorder()
                .registry()
                .own()
                .events
                .add(drained as u64);
            total += drained;
            if drained < BATCH {
                let orphaned = self.orphaned.iter().flat_map(Receiver::try_iter);
                for cookie in self.ended.drain(..).chain(orphaned) {
                    self.pipeline.end(cookie);
                }
            }
            if self
                .statistics
                .is_none_or(|last| instant.duration_since(last) >= STATISTICS)
            {
                self.statistics = Some(instant);
                self.read_losses();
                self.read_statistics();
            }
            if drained < BATCH || total >= MOST {
                return total;
            }
        }
    }

    /// Waits; true: it is time to stop.
    fn wait(&self, pause: Duration) -> io::Result<bool> {
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 2];
        let timeout = Timespec::try_from(pause).ok();
        match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok(count) => Ok(events.iter().take(count).any(|event| event.data.u64() == 1)),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn read_losses(&mut self) {
        let own = self.pipeline.recorder().registry().own();
        for (loss, times) in self.probe.losses() {
            // This one is seen by the session, not by the programs.
            if loss != Loss::OversizedBlock {
                own.lost(Lost::Kernel(loss)).set(times);
            }
        }
        self.ended.extend(self.probe.gone());
        let pipeline = &self.pipeline;
        self.probe.forget(|hold| !pipeline.holds(hold), Instant::now());
    }

    fn read_statistics(&self) {
        let mut measured = Vec::new();
        let programs = self.probe.programs();
        for (name, runs, time) in &programs {
            for (family, value) in [
                (&catalogue::PROGRAM_RUNS, crate::gauge::cpu::to_f64(*runs)),
                (&catalogue::PROGRAM_SECONDS, time.as_secs_f64()),
            ] {
                measured.push(crate::metrics::collected::Measured {
                    family,
                    own: vec![name.as_str()],
                    namespace: "",
                    pod: "",
                    value,
                });
            }
        }
        self.programs.publish(&measured);
    }
}

/// What is left when the loop has ended: everything is counted, and can be scraped once more.
#[derive(Debug)]
pub struct Stopped<N> {
    /// When it was told to.
    pub told: Instant,
    pub pipeline: Pipeline<N>,
    _programs: Collection,
}
