//! Keeps probes in all TLS libraries that processes use: those of now when the observer starts, others when they are
//! mapped. On a thread of its own, because reading files and registering probes takes its time.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::mapped::Mappings;
use super::{FileId, Scout, Target};
use crate::metrics::Registry;
use crate::metrics::own::TlsFile;
use crate::probe::Attacher;
use crate::probe::uprobe::{AttachError, Attached};

/// A pass over all processes: finds what was missed, and what can go.
const SCAN: Duration = Duration::from_secs(30);
/// The same where the kernel does not tell of mappings.
const SCAN_UNTOLD: Duration = Duration::from_secs(2);
/// Programs map many files when they start: what comes so close together is looked at together.
const GATHER: Duration = Duration::from_millis(2);
/// Processes that are looked at after one wake-up; the next scan has the others.
const MOST: usize = 256;

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Probes what there is, then goes on beside. Connections that only their process could have ended come out of the
    /// receiver when it has ended.
    pub fn start(attacher: Attacher, registry: Arc<Registry>) -> io::Result<(Self, Receiver<u64>)> {
        let (stop, told) = UnixStream::pair()?;
        let (ended, receiver) = mpsc::channel();
        let mut keeper = Keeper {
            scout: Scout::new(),
            mappings: listen(),
            attacher,
            attached: HashMap::new(),
            registry,
            ended,
            failed: 0,
            lost: 0,
        };
        keeper.scan();
        let thread = thread::Builder::new()
            .name("tls".to_owned())
            .spawn(move || keeper.run(&told))?;
        let watch = Self {
            stop: Some(stop),
            thread: Some(thread),
        };
        Ok((watch, receiver))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The other end becomes readable.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // One that has panicked has said so.
            let _ = thread.join();
        }
    }
}

fn listen() -> Option<Mappings> {
    match Mappings::open() {
        Ok(mappings) => Some(mappings),
        Err(error) => {
            tracing::warn!(
                %error,
                "the kernel does not tell of new mappings: TLS libraries of new programs are found by looking every {} s",
                SCAN_UNTOLD.as_secs()
            );
            None
        }
    }
}

struct Keeper {
    scout: Scout,
    mappings: Option<Mappings>,
    attacher: Attacher,
    attached: HashMap<FileId, Vec<Attached>>,
    registry: Arc<Registry>,
    ended: Sender<u64>,
    failed: u64,
    lost: u64,
}

impl Keeper {
    fn run(mut self, told: &UnixStream) {
        let mut scanned = Instant::now();
        let mut forgot = scanned;
        loop {
            let every = if self.mappings.is_some() {
                SCAN
            } else {
                SCAN_UNTOLD
            };
            match self.wait(told, (scanned + every).saturating_duration_since(Instant::now())) {
                Woken::Stop => return,
                Woken::Mapped => self.look(),
                Woken::Time => {}
            }
            let missed = self.mappings.as_ref().map_or(0, Mappings::lost) > self.lost;
            if missed || scanned.elapsed() >= every {
                self.lost = self.mappings.as_ref().map_or(0, Mappings::lost);
                self.scan();
                scanned = Instant::now();
            }
            // A call under way when its process died must not stay so.
            if forgot.elapsed() >= FORGET {
                self.forget();
                forgot = Instant::now();
            }
        }
    }

    fn wait(&self, told: &UnixStream, longest: Duration) -> Woken {
        let descriptors = self.mappings.iter().flat_map(Mappings::descriptors);
        let descriptors: Vec<_> = std::iter::once(told.as_fd()).chain(descriptors).collect();
        let mut waiting: Vec<_> = descriptors
            .iter()
            .map(|descriptor| PollFd::new(descriptor, PollFlags::IN))
            .collect();
        let timeout = Timespec::try_from(longest.min(FORGET)).ok();
        let ready = poll(&mut waiting, timeout.as_ref());
        match (ready, waiting.split_first()) {
            (Ok(0) | Err(_), _) => Woken::Time,
            (_, Some((stop, _))) if !stop.revents().is_empty() => Woken::Stop,
            _ => Woken::Mapped,
        }
    }

    /// What was mapped since the last look.
    fn look(&mut self) {
        thread::sleep(GATHER);
        let Self { mappings, scout, .. } = self;
        let mut processes = Vec::new();
        if let Some(mappings) = mappings {
            mappings.drain(|process, file| {
                if scout.knows(file) {
                    scout.saw(file);
                } else if !processes.contains(&process) && processes.len() < MOST {
                    processes.push(process);
                }
            });
        }
        for process in processes {
            if self.attacher.is_over() {
                return;
            }
            let targets = self.scout.look_at(process);
            self.attach(targets);
        }
    }

    fn scan(&mut self) {
        let targets = self.scout.scan();
        self.attach(targets);
        for file in self.scout.retire() {
            for attached in self.attached.remove(&file).into_iter().flatten() {
                self.attacher.detach(attached);
            }
        }
        self.count();
    }

    fn attach(&mut self, targets: Vec<Target>) {
        if targets.is_empty() {
            return;
        }
        let mut replaced = HashMap::<FileId, Vec<Attached>>::new();
        for target in targets {
            match self.attacher.attach(&target) {
                Ok(attached) => {
                    tracing::info!(
                        library = target.library.name(),
                        version = target.version,
                        file = ?target.shown,
                        "TLS library probed"
                    );
                    replaced.entry(target.file).or_default().push(attached);
                }
                Err(AttachError::Stopping) => return,
                Err(error) => {
                    self.failed += 1;
                    tracing::warn!(%error, file = ?target.shown, "a TLS library cannot be probed");
                }
            }
        }
        // The same file with another content: its former probes go.
        for (file, attached) in replaced {
            for former in self.attached.insert(file, attached).into_iter().flatten() {
                self.attacher.detach(former);
            }
        }
        self.count();
    }

    fn forget(&mut self) {
        let gone = self
            .attacher
            .forget(|process| Path::new(&format!("/proc/{process}")).exists());
        for connection in gone {
            // The loop that counts has ended: so will this one.
            let _ = self.ended.send(connection);
        }
    }

    fn count(&self) {
        let own = self.registry.own();
        let skipped = self
            .scout
            .judged()
            .filter(|judged| !judged.is_target() && !judged.verdicts.is_empty())
            .count();
        own.tls_files.of(TlsFile::Probed).set(self.attached.len() as u64);
        own.tls_files.of(TlsFile::Skipped).set(skipped as u64);
        own.tls_files.of(TlsFile::Failed).set(self.failed);
    }
}

/// Objects of processes that have ended are looked for so often: a pass over all of them.
const FORGET: Duration = Duration::from_secs(2);

enum Woken {
    Stop,
    Mapped,
    Time,
}
