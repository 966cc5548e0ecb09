//! The program that counts, for each network namespace, what changes its list of sockets for the gauges.

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, MapError};
use aya::programs::RawTracePoint;
use observer_ebpf::change::{PORT_WORDS, SocketPlaces, place_of};

use super::program::{program, refused};
use super::{ProbeError, kernel_types, map};
use crate::gauge::namespace;

const PROGRAM: &str = "changed";
/// Called before every change of a TCP socket's state.
const TRACEPOINT: &str = "inet_sock_set_state";

/// How often something has changed in each namespace that was asked about.
#[derive(Debug)]
pub struct Changes(HashMap<MapData, u32, u64>);

impl Changes {
    /// Begins to count connections to `ports`, and listening sockets; nothing where the kernel does not describe its types.
    pub(super) fn start(
        ebpf: &mut Ebpf,
        ports: impl Iterator<Item = u16>,
    ) -> Result<Option<Self>, ProbeError> {
        let Some(places) = kernel_types::of_sockets() else {
            return Ok(None);
        };
        write(ebpf, "SOCKET_PLACES", [bytes_of(places)].into_iter())?;
        let mut words = [0_u64; PORT_WORDS];
        for port in ports {
            let (word, bit) = place_of(port);
            if let Some(word) = usize::try_from(word).ok().and_then(|at| words.get_mut(at)) {
                *word |= bit;
            }
        }
        write(ebpf, "DATABASE_PORTS", words.into_iter())?;
        let program: &mut RawTracePoint = program(ebpf, PROGRAM)?;
        program.load().map_err(refused(PROGRAM))?;
        program.attach(TRACEPOINT).map_err(refused(PROGRAM))?;
        Ok(Some(Self(map(ebpf, "CHANGES")?)))
    }
}

impl namespace::Changes for Changes {
    fn count(&mut self, space: u64) -> Option<u64> {
        let space = u32::try_from(space).ok()?;
        match self.0.get(&space, 0) {
            Ok(count) => Some(count),
            Err(MapError::KeyNotFound) => self.0.insert(space, 0, 0).ok().map(|()| 0),
            Err(_) => None,
        }
    }

    fn forget(&mut self, space: u64) {
        if let Ok(space) = u32::try_from(space) {
            // Never asked about is as good.
            let _ = self.0.remove(&space);
        }
    }
}

/// The map stays the programs': they are not loaded yet.
fn write<T: aya::Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    values: impl Iterator<Item = T>,
) -> Result<(), ProbeError> {
    let failed = |source| ProbeError::Map {
        name,
        source: Box::new(source),
    };
    let map = ebpf.map_mut(name).ok_or(ProbeError::Missing(name))?;
    let mut array: Array<&mut MapData, T> = Array::try_from(map).map_err(failed)?;
    for (index, value) in (0..).zip(values) {
        array.set(index, value, 0).map_err(failed)?;
    }
    Ok(())
}

/// As the kernel programs have it.
fn bytes_of(places: SocketPlaces) -> [u8; size_of::<SocketPlaces>()] {
    let SocketPlaces {
        sock_net,
        net_entry,
        entry_number,
        sock_port,
    } = places;
    let mut bytes = [0; size_of::<SocketPlaces>()];
    let values = [sock_net, net_entry, entry_number, sock_port];
    for (target, value) in bytes.chunks_exact_mut(4).zip(values) {
        target.copy_from_slice(&value.to_ne_bytes());
    }
    bytes
}
