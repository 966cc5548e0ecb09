//! The kernel side, seen from the daemon: loading the programs, attaching them, and taking them away again.
//!
//! Everything is held by file descriptors of this process: when it ends, however it ends, the kernel detaches the
//! programs and frees the maps. Nothing is pinned.

mod cgroup;
pub mod change;
pub mod claim;
mod heap;
#[cfg(feature = "kernel-log")]
mod kernel_log;
mod kernel_types;
mod object;
pub mod privilege;
mod program;
mod remover;
mod ring;
pub mod uprobe;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aya::maps::{Array, HashMap, MapData, ProgramArray, Queue, RingBuf};
use aya::programs::ProgramError;
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfLoader};
use observer_ebpf::connection::{Held, HeldKey};
use observer_ebpf::loss::Loss;
use privilege::{Capabilities, Capability};

pub use cgroup::{CgroupError, Root};
pub use object::OBJECT;
use remover::Remover;
pub use ring::Ring;
pub use uprobe::Attacher;

#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(
        "this binary was built without kernel programs; build it with `cargo xtask build`, which says what is missing"
    )]
    NoObject,
    #[error(
        "the kernel object speaks version {found} of the record format, this daemon {expected}; rebuild both"
    )]
    Version { found: u32, expected: u32 },
    #[error("the kernel object cannot be loaded: {0}")]
    Load(#[from] aya::EbpfError),
    #[error("{} missing: {}", names(.0), advice(.0))]
    Privilege(Vec<Capability>),
    #[error("the kernel object lacks {0}; it does not belong to this daemon")]
    Missing(&'static str),
    #[error("the kernel refuses program {name}: {source}")]
    Program {
        name: &'static str,
        source: Box<ProgramError>,
    },
    #[error("map {name}: {source}")]
    Map {
        name: &'static str,
        source: Box<aya::maps::MapError>,
    },
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
}

fn names(missing: &[Capability]) -> String {
    let names: Vec<&str> = missing.iter().map(|capability| capability.name()).collect();
    format!(
        "{} {}",
        names.join(" and "),
        if names.len() == 1 { "is" } else { "are" }
    )
}

fn advice(missing: &[Capability]) -> String {
    let purposes: Vec<&str> = missing.iter().map(|capability| capability.purpose()).collect();
    format!(
        "needed for {}; run as root, or give it to the container (securityContext.capabilities.add) or the unit \
         (AmbientCapabilities)",
        purposes.join(" and ")
    )
}

/// What can be set before the programs are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Size of the ring buffer: a power of two, and a multiple of the page size.
    pub ring_bytes: u32,
    /// Whether processes may be probed for what they encrypt.
    pub tls: bool,
}

/// Whether the loader can tell which kernel this is. Where it cannot, it takes it for the oldest.
///
/// # Errors
///
/// What it could not read.
pub fn reads_version() -> Result<(), String> {
    KernelVersion::current()
        .map(drop)
        .map_err(|error| error.to_string())
}

/// How long segments are held for a connection that was not told of: three times as long as a first segment takes to be
/// sent again for the third time (1, 2 and 4 s).
const HELD_UNTOLD: Duration = Duration::from_secs(20);

/// Loaded and attached programs. Dropping it detaches them.
pub struct Probe {
    /// Held for the programs and links in it; gone when detached. Whoever probes processes has a part in it.
    ebpf: Option<Arc<Mutex<Ebpf>>>,
    attacher: Option<Attacher>,
    /// Whether processes may be probed.
    probes: bool,
    #[cfg(feature = "kernel-log")]
    _log: Option<kernel_log::KernelLog>,
    /// An array of programs is emptied when the last descriptor of it is closed.
    _tail_calls: [ProgramArray<MapData>; 2],
    losses: Array<MapData, u64>,
    held: HashMap<MapData, HeldKeyBytes, HeldBytes>,
    /// Cookies of sockets whose end found the ring full.
    gone: Queue<MapData, u64>,
    /// Connections nobody knows, for which segments are held, and since when.
    orphans: BTreeMap<u64, Instant>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Probe").finish_non_exhaustive()
    }
}

/// The two types as the map interface wants them: plain bytes.
type HeldKeyBytes = [u8; size_of::<HeldKey>()];
type HeldBytes = [u8; size_of::<Held>()];

impl Probe {
    /// Loads the programs of `object` and attaches them at `root`.
    pub fn attach(object: &[u8], root: &Root, options: Options) -> Result<(Self, Ring), ProbeError> {
        if object.is_empty() {
            return Err(ProbeError::NoObject);
        }
        let effective = Capabilities::effective();
        let mut missing = effective.map(Capabilities::missing).unwrap_or_default();
        if options.tls {
            missing.extend(effective.into_iter().flat_map(Capabilities::missing_for_tls));
        }
        if !missing.is_empty() {
            return Err(ProbeError::Privilege(missing));
        }
        if let Err(error) = reads_version() {
            tracing::warn!(
                error,
                "the loader cannot read this kernel's version and attaches as on the oldest: `observer check` says what follows"
            );
        }
        // Whether it was needed shows when maps are made.
        let _ = privilege::unlock_memory();
        let wake_up_at = u64::from(options.ring_bytes / 2);
        let tls = u32::from(options.tls);
        let mut loader = EbpfLoader::new();
        loader
            .map_max_entries("RECORDS", options.ring_bytes)
            .override_global("WAKE_UP_AT", &wake_up_at, true)
            .override_global("TLS", &tls, true);
        if !options.tls {
            for name in uprobe::MAPS {
                loader.map_max_entries(name, 1);
            }
        }
        let mut ebpf = loader.load(object)?;
        program::load(&mut ebpf, options.tls)?;
        let tail_calls = program::tail_calls(&mut ebpf)?;
        let attacher = if options.tls {
            let walks = program::walks(&mut ebpf)?;
            Some(Attacher::new(&mut ebpf, root, walks)?)
        } else {
            None
        };
        #[cfg(feature = "kernel-log")]
        let log = kernel_log::KernelLog::start(&mut ebpf);
        let ring = Ring::new(map::<RingBuf<MapData>>(&mut ebpf, "RECORDS")?);
        let losses = map(&mut ebpf, "LOSSES")?;
        let held = map(&mut ebpf, "HELD")?;
        let gone = map(&mut ebpf, "GONE")?;
        program::attach(&mut ebpf, root)?;
        heap::trim();
        let ebpf = Arc::new(Mutex::new(ebpf));
        let attacher = attacher.map(|attacher| attacher.shared(Arc::downgrade(&ebpf)));
        Ok((
            Self {
                ebpf: Some(ebpf),
                attacher,
                probes: options.tls,
                #[cfg(feature = "kernel-log")]
                _log: log,
                _tail_calls: tail_calls,
                losses,
                held,
                gone,
                orphans: BTreeMap::new(),
            },
            ring,
        ))
    }

    /// What counts changes of the sockets in other namespaces, for the gauges: connections to these ports, and listening.
    /// Without it the gauges have to look for themselves, which is dearer.
    pub fn changes(&mut self, ports: impl Iterator<Item = u16>) -> Option<change::Changes> {
        let mut ebpf = self.ebpf.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let started = change::Changes::start(&mut ebpf, ports);
        heap::trim();
        match started {
            Ok(Some(changes)) => return Some(changes),
            Ok(None) => tracing::info!(
                "the kernel does not describe its types as they are: changes of sockets in pods are looked for, not told"
            ),
            Err(error) => tracing::warn!(%error, "changes of sockets in pods are looked for, not told"),
        }
        None
    }

    /// How often each loss has happened since the programs were loaded.
    pub fn losses(&self) -> impl Iterator<Item = (Loss, u64)> + '_ {
        Loss::ALL
            .into_iter()
            .map(|loss| (loss, self.losses.get(&u32::from(loss as u8), 0).unwrap_or(0)))
    }

    /// Frees what is still held for connections that have ended. To be called now and then: a connection that has not
    /// been told of yet looks the same, and its segments wait for one that was lost on the way.
    pub fn forget(&mut self, is_gone: impl Fn(u64) -> bool, now: Instant) {
        let keys: Vec<HeldKeyBytes> = self.held.keys().filter_map(Result::ok).collect();
        let mut gone = BTreeMap::new();
        for key in keys {
            let (hold, _) = key.split_at(size_of::<u64>());
            let hold = hold.try_into().map_or(0, u64::from_ne_bytes);
            if !is_gone(hold) {
                continue;
            }
            let since = self.orphans.get(&hold).copied().unwrap_or(now);
            if now.duration_since(since) >= HELD_UNTOLD {
                // Gone already is as good.
                let _ = self.held.remove(&key);
            } else {
                gone.insert(hold, since);
            }
        }
        self.orphans = gone;
    }

    /// What attaches probes to processes; nothing where TLS was not asked for, or the second time.
    pub fn attacher(&mut self) -> Option<Attacher> {
        self.attacher.take()
    }

    /// How many instructions the kernel followed to accept each program; kernels before 5.16 do not say. Its limit is
    /// a million.
    pub fn verified_instructions(&self) -> Vec<(String, u32)> {
        self.each_program(|info| info.verified_instruction_count())
    }

    /// How often each program ran and for how long, where the kernel counts it (`kernel.bpf_stats_enabled`).
    pub fn programs(&self) -> Vec<(String, u64, Duration)> {
        let measured = self.each_program(|info| Some((info.run_count(), info.run_time())));
        measured
            .into_iter()
            .map(|(name, (runs, time))| (name, runs, time))
            .collect()
    }

    /// Nothing while probes are attached: nobody waits for these numbers.
    fn each_program<T>(&self, ask: impl Fn(aya::programs::ProgramInfo) -> Option<T>) -> Vec<(String, T)> {
        let Some(Ok(ebpf)) = self.ebpf.as_ref().map(|ebpf| ebpf.try_lock()) else {
            return Vec::new();
        };
        let each = ebpf
            .programs()
            .filter_map(|(name, program)| Some((name.to_owned(), ask(program.info().ok()?)?)));
        each.collect()
    }

    /// Sockets whose end could not be told through the ring, since this was last asked.
    pub fn gone(&mut self) -> impl Iterator<Item = u64> + '_ {
        std::iter::from_fn(|| self.gone.pop(0).ok())
    }

    /// Takes the programs out of the kernel. What they have written stays in the ring.
    pub fn detach(&mut self) {
        let remover = if self.probes {
            Remover::start()
        } else {
            return self.ebpf = None;
        };
        if let Err(error) = &remover {
            tracing::warn!(%error, "probes are taken away by the daemon itself: it ends late");
        }
        self.ebpf = None;
    }
}

fn map<M: TryFrom<aya::maps::Map, Error = aya::maps::MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, ProbeError> {
    let map = ebpf.take_map(name).ok_or(ProbeError::Missing(name))?;
    M::try_from(map).map_err(|source| ProbeError::Map {
        name,
        source: Box::new(source),
    })
}
