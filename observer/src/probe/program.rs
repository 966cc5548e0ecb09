//! The programs of the object: which there are, what they are loaded with, and where they go.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use aya::Ebpf;
use aya::maps::{MapData, ProgramArray};
use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, Program, ProgramError, ProgramFd, SockOps,
    UProbe,
};

use super::{ProbeError, Root, map, uprobe};

/// Where the tail calls of a hook go; the order is that of `Next` in the programs.
const INGRESS: [&str; 7] = [
    "ingress",
    "ingress_walk",
    "ingress_open",
    "ingress_announce",
    "ingress_store",
    "ingress_drain",
    "ingress_drain_open",
];
const EGRESS: [&str; 10] = [
    "egress",
    "egress_walk",
    "egress_open",
    "egress_announce",
    "egress_store",
    "egress_drain",
    "egress_drain_open",
    "egress_cross",
    "egress_cross_open",
    "egress_cross_announce",
];

/// Birth and end of sockets; all three kinds are attached once.
const CREATED: &str = "created";
const RELEASED: &str = "released";
const ESTABLISHED: &str = "established";

/// Threads that load. Half a second of one CPU is what the kernel takes to verify the programs; it verifies several at
/// once, but more threads than this gain little, and take CPUs from those that work there.
const MAX_THREADS: usize = 4;

/// Has the kernel verify all programs; those that probe processes only where TLS was asked for.
pub fn load(ebpf: &mut Ebpf, tls: bool) -> Result<(), ProbeError> {
    let mut present: HashMap<&str, &mut Program> = ebpf.programs_mut().collect();
    let names = INGRESS
        .iter()
        .chain(&EGRESS)
        .copied()
        .chain([CREATED, RELEASED, ESTABLISHED])
        .chain(uprobe::PROBES.into_iter().chain(uprobe::WALKS).filter(|_| tls));
    let mut waiting = Vec::new();
    for name in names {
        let program = present.remove(name).ok_or(ProbeError::Missing(name))?;
        waiting.push((name, program));
    }
    let waiting = Mutex::new(waiting);
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS);
    thread::scope(|scope| {
        let work = || loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match next {
                Some((name, program)) => load_one(name, program)?,
                None => return Ok(()),
            }
        };
        // One that cannot be started leaves its part to the others.
        let started: Vec<_> = (1..threads)
            .filter_map(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let own = work();
        let joined = started.into_iter().filter_map(|thread| thread.join().ok());
        joined.fold(own, Result::and)
    })
}

fn load_one(name: &'static str, program: &mut Program) -> Result<(), ProbeError> {
    let loaded = match program {
        Program::CgroupSkb(skb) => skb.load(),
        Program::CgroupSock(sock) => sock.load(),
        Program::SockOps(ops) => ops.load(),
        Program::UProbe(probe) => probe.load(),
        _ => return Err(ProbeError::Missing(name)),
    };
    loaded.map_err(refused(name))
}

/// The arrays of programs, filled; they are emptied when the last descriptor of them is closed.
pub fn tail_calls(ebpf: &mut Ebpf) -> Result<[ProgramArray<MapData>; 2], ProbeError> {
    Ok([fill(ebpf, "INGRESS", &INGRESS)?, fill(ebpf, "EGRESS", &EGRESS)?])
}

/// The same over plaintext.
pub fn walks(ebpf: &mut Ebpf) -> Result<ProgramArray<MapData>, ProbeError> {
    fill_with(ebpf, "PLAINTEXT", &uprobe::WALKS, |ebpf, name| {
        let walk: &mut UProbe = program(ebpf, name)?;
        walk.fd()
            .and_then(|fd| Ok(fd.try_clone()?))
            .map_err(refused(name))
    })
}

fn fill(
    ebpf: &mut Ebpf,
    array: &'static str,
    names: &[&'static str],
) -> Result<ProgramArray<MapData>, ProbeError> {
    fill_with(ebpf, array, names, |ebpf, name| {
        let skb: &mut CgroupSkb = program(ebpf, name)?;
        skb.fd().and_then(|fd| Ok(fd.try_clone()?)).map_err(refused(name))
    })
}

fn fill_with(
    ebpf: &mut Ebpf,
    array: &'static str,
    names: &[&'static str],
    descriptor: impl Fn(&mut Ebpf, &'static str) -> Result<ProgramFd, ProbeError>,
) -> Result<ProgramArray<MapData>, ProbeError> {
    let mut programs: ProgramArray<MapData> = map(ebpf, array)?;
    for (index, name) in (0..).zip(names) {
        let fd = descriptor(ebpf, name)?;
        programs.set(index, &fd, 0).map_err(|source| ProbeError::Map {
            name: array,
            source: Box::new(source),
        })?;
    }
    Ok(programs)
}

/// Attaches everything. The packet programs come first: a connection whose establishment was seen must not have
/// packets that were not.
pub fn attach(ebpf: &mut Ebpf, root: &Root) -> Result<(), ProbeError> {
    // `Single` without override is what links take; links of several observers stand side by side all the same.
    let mode = CgroupAttachMode::Single;
    for (name, kind) in [
        (INGRESS[0], CgroupSkbAttachType::Ingress),
        (EGRESS[0], CgroupSkbAttachType::Egress),
    ] {
        let skb: &mut CgroupSkb = program(ebpf, name)?;
        skb.attach(root, kind, mode).map_err(refused(name))?;
    }
    for name in [RELEASED, CREATED] {
        let sock: &mut CgroupSock = program(ebpf, name)?;
        sock.attach(root, mode).map_err(refused(name))?;
    }
    let ops: &mut SockOps = program(ebpf, ESTABLISHED)?;
    ops.attach(root, mode).map_err(refused(ESTABLISHED))?;
    Ok(())
}

pub fn program<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, ProbeError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or(ProbeError::Missing(name))?;
    program.try_into().map_err(refused(name))
}

pub fn refused(name: &'static str) -> impl Fn(ProgramError) -> ProbeError {
    move |source| ProbeError::Program {
        name,
        source: Box::new(source),
    }
}
