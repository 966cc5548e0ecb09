//! The kernel side, seen from the daemon: loading the programs, attaching them, and taking them away again.
//!
//! Everything is held by file descriptors of this process: when it ends, however it ends, the kernel detaches the
//! programs and frees the maps. Nothing is pinned.

mod cgroup;
pub mod claim;
mod heap;
#[cfg(feature = "kernel-log")]
mod kernel_log;
mod object;
pub mod privilege;
mod program;
mod ring;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aya::maps::{Array, HashMap, MapData, ProgramArray, Queue, RingBuf};
use aya::programs::ProgramError;
use aya::{Ebpf, EbpfLoader};
use observer_ebpf::connection::{Held, HeldKey};
use observer_ebpf::loss::Loss;
use privilege::{Capabilities, Capability};

pub use cgroup::{CgroupError, Root};
pub use object::OBJECT;
pub use ring::Ring;

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
}

/// How long segments are held for a connection that was not told of: three times as long as a first segment takes to be
/// sent again for the third time (1, 2 and 4 s).
const HELD_UNTOLD: Duration = Duration::from_secs(20);

/// Loaded and attached programs. Dropping it detaches them.
pub struct Probe {
    /// Held for the programs and links in it; gone when detached.
    ebpf: Option<Ebpf>,
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
        let missing = Capabilities::effective()
            .map(Capabilities::missing)
            .unwrap_or_default();
        if !missing.is_empty() {
            return Err(ProbeError::Privilege(missing));
        }
        // Whether it was needed shows when maps are made.
        let _ = privilege::unlock_memory();
        let wake_up_at = u64::from(options.ring_bytes / 2);
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("RECORDS", options.ring_bytes)
            .override_global("WAKE_UP_AT", &wake_up_at, true)
            .load(object)?;
        program::load(&mut ebpf)?;
        let tail_calls = program::tail_calls(&mut ebpf)?;
        #[cfg(feature = "kernel-log")]
        let log = kernel_log::KernelLog::start(&mut ebpf);
        let ring = Ring::new(map::<RingBuf<MapData>>(&mut ebpf, "RECORDS")?);
        let losses = map(&mut ebpf, "LOSSES")?;
        let held = map(&mut ebpf, "HELD")?;
        let gone = map(&mut ebpf, "GONE")?;
        program::attach(&mut ebpf, root)?;
        heap::trim();
        Ok((
            Self {
                ebpf: Some(ebpf),
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

    /// How many instructions the kernel followed to accept each program; kernels before 5.16 do not say. Its limit is
    /// a million.
    pub fn verified_instructions(&self) -> impl Iterator<Item = (&str, u32)> {
        self.ebpf
            .iter()
            .flat_map(Ebpf::programs)
            .filter_map(|(name, program)| Some((name, program.info().ok()?.verified_instruction_count()?)))
    }

    /// How often each program ran and for how long, where the kernel counts it (`kernel.bpf_stats_enabled`).
    pub fn programs(&self) -> impl Iterator<Item = (&str, u64, Duration)> {
        self.ebpf
            .iter()
            .flat_map(Ebpf::programs)
            .filter_map(|(name, program)| {
                let info = program.info().ok()?;
                Some((name, info.run_count(), info.run_time()))
            })
    }

    /// Sockets whose end could not be told through the ring, since this was last asked.
    pub fn gone(&mut self) -> impl Iterator<Item = u64> + '_ {
        std::iter::from_fn(|| self.gone.pop(0).ok())
    }

    /// Takes the programs out of the kernel. What they have written stays in the ring.
    pub fn detach(&mut self) {
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
