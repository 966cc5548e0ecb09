//! Probes inside of processes: which program goes where in a TLS library. Attached to files, and so to every process that
//! has them mapped, now and later.

use std::collections::{self, HashSet};
use std::mem::offset_of;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError, Weak};

use aya::Ebpf;
use aya::maps::{Array, CgroupArray, HashMap, MapData, ProgramArray};
use aya::programs::uprobe::{UProbeAttachLocation, UProbeLinkId, UProbeScope};
use aya::programs::{ProgramError, UProbe};
use observer_ebpf::plaintext::{
    KernelPlaces, MAX_PLACES, ObjectKey, Plaintext, RandomPlace as KernelPlace, UNTIED,
};

use super::{ProbeError, Root, kernel_types, map};
use crate::tls::{Act, Point, RandomPlace, Target};

/// The probes, and the programs that go on after them; the order of the latter is that of `Plain` in the programs.
pub const PROBES: [&str; 15] = [
    "ssl_created",
    "ssl_cleared",
    "ssl_freed",
    "ssl_write",
    "ssl_write_ex",
    "ssl_write_end",
    "ssl_read",
    "ssl_read_ex",
    "ssl_read_end",
    "go_handshake",
    "go_write",
    "go_read",
    "go_read_end",
    "go_read_copy",
    "go_close",
];
pub const WALKS: [&str; 3] = ["plain_walk", "plain_open", "plain_announce"];

/// Maps that have one entry where TLS is not asked for.
pub const MAPS: [&str; 5] = ["OBJECTS", "TIES", "CALLS", "RUNS", "HELLOS"];

#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("the observer is stopping")]
    Stopping,
    #[error("program {name}: {source}")]
    Refused {
        name: &'static str,
        source: Box<ProgramError>,
    },
}

/// Programs of one act: those at the end of a call first, so that none begins whose end is not seen.
const fn programs(act: Act) -> &'static [&'static str] {
    match act {
        Act::Created => &["ssl_created"],
        Act::Cleared => &["ssl_cleared"],
        Act::Freed => &["ssl_freed"],
        Act::Write => &["ssl_write_end", "ssl_write"],
        Act::WriteEx => &["ssl_write_end", "ssl_write_ex"],
        Act::Read => &["ssl_read_end", "ssl_read"],
        Act::ReadEx => &["ssl_read_end", "ssl_read_ex"],
        Act::GoHandshake => &["go_handshake"],
        Act::GoWrite => &["go_write"],
        Act::GoRead => &["go_read"],
        Act::GoReadEnd => &["go_read_end"],
        Act::GoReadCopy => &["go_read_copy"],
        Act::GoClose => &["go_close"],
    }
}

/// Objects are new only if everything about them was seen: what makes them comes last, ends before beginnings.
const fn rank(act: Act) -> u8 {
    match act {
        Act::Freed | Act::GoClose | Act::GoReadEnd => 0,
        Act::Write
        | Act::WriteEx
        | Act::Read
        | Act::ReadEx
        | Act::GoWrite
        | Act::GoRead
        | Act::GoReadCopy => 1,
        Act::Cleared | Act::Created | Act::GoHandshake => 2,
    }
}

/// The probes of one target.
#[derive(Debug)]
pub struct Attached(Vec<(&'static str, UProbeLinkId)>);

/// Every so many passes over the objects those of living processes are read as well: to look whether their sockets are gone
/// takes a system call for each.
const SOCKETS: u32 = 5;

type ObjectKeyBytes = [u8; size_of::<ObjectKey>()];
type ObjectBytes = [u8; size_of::<Plaintext>()];

/// Attaches probes, beside whoever owns the programs; stops when those are gone.
pub struct Attacher {
    ebpf: Weak<Mutex<Ebpf>>,
    /// An array of programs is emptied when the last descriptor of it is closed.
    _tail_calls: ProgramArray<MapData>,
    _observed: CgroupArray<MapData>,
    places: Array<MapData, [u8; size_of::<KernelPlace>()]>,
    known: Vec<RandomPlace>,
    objects: HashMap<MapData, ObjectKeyBytes, ObjectBytes>,
    /// Objects whose sockets were gone when they were looked through last.
    departed: HashSet<ObjectKeyBytes>,
    passes: u32,
}

impl std::fmt::Debug for Attacher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Attacher").finish_non_exhaustive()
    }
}

impl Attacher {
    /// Of programs that are loaded already.
    pub(super) fn new(
        ebpf: &mut Ebpf,
        root: &Root,
        tail_calls: ProgramArray<MapData>,
    ) -> Result<Self, ProbeError> {
        let mut observed: CgroupArray<MapData> = map(ebpf, "OBSERVED")?;
        observed
            .set(0, root.as_fd(), 0)
            .map_err(|source| ProbeError::Map {
                name: "OBSERVED",
                source: Box::new(source),
            })?;
        let mut kernel: Array<MapData, [u8; size_of::<KernelPlaces>()]> = map(ebpf, "KERNEL")?;
        if let Some(places) = kernel_types::of_tasks() {
            set(&mut kernel, "KERNEL", 0, bytes_of_places(&places))?;
        } else {
            tracing::warn!(
                "the kernel does not describe its types: sockets of Go's encrypted connections are not found"
            );
        }
        Ok(Self {
            ebpf: Weak::new(),
            _tail_calls: tail_calls,
            _observed: observed,
            places: map(ebpf, "PLACES")?,
            known: Vec::new(),
            objects: map(ebpf, "OBJECTS")?,
            departed: HashSet::new(),
            passes: 0,
        })
    }

    pub(super) fn shared(mut self, ebpf: Weak<Mutex<Ebpf>>) -> Self {
        self.ebpf = ebpf;
        self
    }

    /// Whether the programs are gone: nothing can be attached any more, and need not be looked for.
    pub fn is_over(&self) -> bool {
        self.ebpf.strong_count() == 0
    }

    /// Attaches everything of a target, or nothing.
    pub fn attach(&mut self, target: &Target) -> Result<Attached, AttachError> {
        if let Some(place) = target.random {
            self.know(place);
        }
        let mut points = target.points.clone();
        points.sort_by_key(|point| rank(point.act));
        let path = target.attach_path();
        let mut attached = Vec::new();
        for point in points {
            for name in programs(point.act) {
                // Taken for each, and only while the observer runs: registering a probe takes as long as there are processes to
                // change.
                let ebpf = self.ebpf.upgrade().ok_or(AttachError::Stopping)?;
                let mut ebpf = ebpf.lock().unwrap_or_else(PoisonError::into_inner);
                match attach_one(&mut ebpf, name, point, &path) {
                    Ok(link) => attached.push((*name, link)),
                    Err(source) => {
                        drop(ebpf);
                        self.detach(Attached(attached));
                        return Err(AttachError::Refused {
                            name,
                            source: Box::new(source),
                        });
                    }
                }
            }
        }
        Ok(Attached(attached))
    }

    /// Takes the probes of a target away, one after the other: each takes the kernel 0.1 s, and an observer that stops
    /// leaves the rest to whoever closes everything.
    pub fn detach(&mut self, attached: Attached) {
        for (name, link) in attached.0 {
            let Some(ebpf) = self.ebpf.upgrade() else { return };
            let mut ebpf = ebpf.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(program) = ebpf.program_mut(name)
                && let Ok(probe) = <&mut UProbe>::try_from(program)
            {
                // One that is gone already is as good.
                let _ = probe.detach(link);
            }
        }
    }

    /// A place where objects of some library have their random number.
    fn know(&mut self, place: RandomPlace) {
        if self.known.contains(&place) {
            return;
        }
        let Some(index) = u32::try_from(self.known.len())
            .ok()
            .filter(|index| *index < MAX_PLACES)
        else {
            tracing::warn!(
                ?place,
                "too many kinds of TLS libraries: sockets of this one are not found"
            );
            return;
        };
        self.known.push(place);
        let told = KernelPlace {
            kind: if place.pointer.is_some() { 1 } else { 2 },
            pointer: place.pointer.unwrap_or_default(),
            offset: place.offset,
            reserved: 0,
        };
        if let Err(error) = set(&mut self.places, "PLACES", index, bytes_of_place(&told)) {
            tracing::warn!(%error, "the programs cannot be told of a TLS library");
        }
    }

    /// Frees objects of processes that are gone, and of sockets that were gone a while ago, too: their programs may never say
    /// that they are done. Gives the names of those connections that only their processes could have ended.
    pub fn forget(&mut self, is_alive: impl Fn(u32) -> bool) -> Vec<u64> {
        let keys: Vec<ObjectKeyBytes> = self.objects.keys().filter_map(Result::ok).collect();
        let mut ended = Vec::new();
        self.passes = self.passes.wrapping_add(1);
        let looks_at_sockets = self.passes.is_multiple_of(SOCKETS);
        let before = if looks_at_sockets {
            std::mem::take(&mut self.departed)
        } else {
            HashSet::new()
        };
        // Asked once for each process, not for each of its objects.
        let mut asked = collections::HashMap::new();
        for key in keys {
            let (_, process) = key.split_at(size_of::<u64>());
            let process = process
                .first_chunk()
                .map_or(0, |bytes| u32::from_ne_bytes(*bytes));
            let alive = *asked.entry(process).or_insert_with(|| is_alive(process));
            if alive && !looks_at_sockets {
                continue;
            }
            let object = self.objects.get(&key, 0).ok();
            let departed = object
                .as_ref()
                .and_then(|object| object.get(offset_of!(Plaintext, departed)));
            if alive && departed != Some(&1) {
                continue;
            }
            if alive && !before.contains(&key) {
                self.departed.insert(key);
                continue;
            }
            if let Some(object) = object {
                let id = object
                    .get(offset_of!(Plaintext, id)..)
                    .and_then(|rest| rest.first_chunk())
                    .map_or(0, |bytes| u64::from_ne_bytes(*bytes));
                if id & UNTIED != 0 {
                    ended.push(id);
                }
            }
            // Gone already is as good.
            let _ = self.objects.remove(&key);
        }
        ended
    }
}

fn attach_one(
    ebpf: &mut Ebpf,
    name: &'static str,
    point: Point,
    path: &Path,
) -> Result<UProbeLinkId, ProgramError> {
    let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?;
    let probe: &mut UProbe = program.try_into()?;
    probe.attach(
        UProbeAttachLocation::AbsoluteOffset(point.offset),
        path,
        UProbeScope::AllProcesses,
    )
}

fn set<T: aya::Pod>(
    array: &mut Array<MapData, T>,
    name: &'static str,
    index: u32,
    value: T,
) -> Result<(), ProbeError> {
    array.set(index, value, 0).map_err(|source| ProbeError::Map {
        name,
        source: Box::new(source),
    })
}

fn bytes_of_place(place: &KernelPlace) -> [u8; size_of::<KernelPlace>()] {
    let KernelPlace {
        kind,
        pointer,
        offset,
        reserved,
    } = *place;
    in_order([kind, pointer, offset, reserved])
}

fn bytes_of_places(places: &KernelPlaces) -> [u8; size_of::<KernelPlaces>()] {
    let KernelPlaces {
        known,
        task_files,
        files_table,
        table_size,
        table_files,
        file_private,
        socket_file,
        socket_sock,
        sock_cookie,
    } = *places;
    in_order([
        known,
        task_files,
        files_table,
        table_size,
        table_files,
        file_private,
        socket_file,
        socket_sock,
        sock_cookie,
    ])
}

/// Words one behind the other, as kernel programs have them.
pub(super) fn in_order<const WORDS: usize, const BYTES: usize>(words: [u32; WORDS]) -> [u8; BYTES] {
    const { assert!(WORDS * 4 == BYTES) };
    let mut bytes = [0; BYTES];
    for (place, byte) in bytes.iter_mut().zip(words.into_iter().flat_map(u32::to_ne_bytes)) {
        *place = byte;
    }
    bytes
}
