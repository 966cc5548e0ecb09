//! The program that counts, for each network namespace, what changes its list of sockets for the gauges.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::MetadataExt as _;

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, MapError};
use aya::programs::{ProgramFd, RawTracePoint};
use observer_ebpf::change::{PORT_WORDS, SocketPlaces, place_of};

use super::program::{program, refused};
use super::uprobe::in_order;
use super::{ProbeError, kernel_types, map};

const PROGRAM: &str = "changed";
/// Called before every change of a TCP socket's state, since 4.16.
const TRACEPOINT: &str = "inet_sock_set_state";

/// How often something has changed in each namespace that was asked about.
#[derive(Debug)]
pub struct Changes {
    counts: HashMap<MapData, u32, u64>,
    program: ProgramFd,
}

impl Changes {
    /// Begins to count connections to `ports`, and listening sockets; nothing where the kernel does not describe its types, or
    /// otherwise than it is.
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
        let counts = map(ebpf, "CHANGES")?;
        let changed: &mut RawTracePoint = program(ebpf, PROGRAM)?;
        changed.load().map_err(refused(PROGRAM))?;
        let link = changed.attach(TRACEPOINT).map_err(refused(PROGRAM))?;
        let program = changed.fd().and_then(|fd| Ok(fd.try_clone()?));
        let mut changes = Self {
            program: program.map_err(refused(PROGRAM))?,
            counts,
        };
        if changes.does_count() == Some(true) {
            return Ok(Some(changes));
        }
        // It would run for nothing.
        changed.detach(link).map_err(refused(PROGRAM))?;
        Ok(None)
    }

    /// Whether a socket of this process is noticed. What is read of the kernel's memory, if it is another one's or may not be read, gives
    /// no error, but nothing.
    fn does_count(&mut self) -> Option<bool> {
        let own = fs::metadata("/proc/self/net/stat").ok()?.ino();
        let before = self.count(own)?;
        drop(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?);
        let after = self.count(own)?;
        self.forget(own);
        Some(after > before)
    }

    /// How often in this namespace, since it was first asked about; `None`: that is not known.
    pub fn count(&mut self, space: u64) -> Option<u64> {
        let space = u32::try_from(space).ok()?;
        match self.counts.get(&space, 0) {
            Ok(count) => Some(count),
            Err(MapError::KeyNotFound) => self.counts.insert(space, 0, 0).ok().map(|()| 0),
            Err(_) => None,
        }
    }

    /// Will not be asked about again, or only anew.
    pub fn forget(&mut self, space: u64) {
        if let Ok(space) = u32::try_from(space) {
            // Never asked about is as good.
            let _ = self.counts.remove(&space);
        }
    }

    /// How many changes, of whatever sockets, were not looked at so far. The kernel does not run a program within itself (since 6.1), as when a packet comes in the middle of it; it counts that (since
    /// 5.12), and tells it in text alone.
    #[must_use]
    pub fn missed(&self) -> u64 {
        let descriptor = self.program.as_fd().as_raw_fd();
        let told = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap_or_default();
        misses(&told)
    }
}

fn misses(told: &str) -> u64 {
    let count = told
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
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

fn bytes_of(places: SocketPlaces) -> [u8; size_of::<SocketPlaces>()] {
    let SocketPlaces {
        sock_net,
        net_entry,
        entry_number,
        sock_port,
    } = places;
    in_order([sock_net, net_entry, entry_number, sock_port])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_has_missed() {
        assert_eq!(misses("prog_type:\t17\nrun_cnt:\t0\nrecursion_misses:\t12\n"), 12);
        assert_eq!(misses("prog_type:\t17\n"), 0);
        assert_eq!(misses(""), 0);
    }
}
