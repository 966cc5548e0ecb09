//! Which process has a socket open: one pass over `/proc/*/fd`, for sockets that are older than the observer. The
//! kernel names the owner of all others. Needs `CAP_SYS_PTRACE` for processes of other users or with capabilities
//! that we have not; without it their sockets stay nameless here.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs;

use super::host::INIT;
use super::process::Processes;

/// Sockets kept: about 32 bytes each.
const MAX_OWNED: usize = 262_144;

/// Descriptors of one process that are looked at; a process above that is a proxy with as many connections, all of
/// which belong to it alone and are found by what it listens on.
const MAX_DESCRIPTORS: usize = 65_536;

/// One pass's result.
#[derive(Debug, Default)]
pub struct Owners {
    by_inode: HashMap<u64, u32>,
    /// Processes whose descriptors we were not allowed to see.
    pub denied: u64,
    /// Left out because of [`MAX_OWNED`] or [`MAX_DESCRIPTORS`].
    pub refused: u64,
}

impl Owners {
    pub fn scan(processes: &Processes) -> Self {
        let mut owners = Self::default();
        let Ok(pids) = processes.pids() else { return owners };
        for pid in pids {
            match fs::read_dir(processes.path(pid, "fd")) {
                Ok(descriptors) => owners.add(processes, pid, descriptors),
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => owners.denied += 1,
                Err(_) => {} // gone
            }
        }
        owners
    }

    /// Inodes of the sockets that one process has open.
    pub fn of(processes: &Processes, pid: u32) -> HashSet<u64> {
        let Ok(descriptors) = fs::read_dir(processes.path(pid, "fd")) else {
            return HashSet::new();
        };
        descriptors
            .flatten()
            .take(MAX_DESCRIPTORS)
            .filter_map(|descriptor| inode(&descriptor))
            .collect()
    }

    pub fn process(&self, inode: u64) -> Option<u32> {
        self.by_inode.get(&inode).copied()
    }

    fn add(&mut self, processes: &Processes, pid: u32, descriptors: fs::ReadDir) {
        for (count, descriptor) in descriptors.flatten().enumerate() {
            if count == MAX_DESCRIPTORS {
                self.refused += 1;
                return;
            }
            match fs::read_link(descriptor.path()) {
                Ok(target) => {
                    if let Some(inode) = target.to_str().and_then(parse_target) {
                        self.insert(processes, inode, pid);
                    }
                }
                // Root may list what it may not look at; all of the process's are alike.
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    self.denied += 1;
                    return;
                }
                Err(_) => {} // closed
            }
        }
    }

    /// A socket that several processes hold was inherited: the oldest of them, the master of a forking server,
    /// gives the name. That `init` made it for one of them says nothing.
    fn insert(&mut self, processes: &Processes, inode: u64, pid: u32) {
        let full = self.by_inode.len() >= MAX_OWNED;
        match self.by_inode.entry(inode) {
            Entry::Occupied(mut known) if *known.get() != pid => {
                let age = |pid: u32| {
                    let started = processes.stat(pid).map_or(u64::MAX, |stat| stat.started);
                    (pid == INIT, started, pid)
                };
                if age(pid) < age(*known.get()) {
                    known.insert(pid);
                }
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(_) if full => self.refused += 1,
            Entry::Vacant(free) => {
                free.insert(pid);
            }
        }
    }
}

fn inode(descriptor: &fs::DirEntry) -> Option<u64> {
    parse_target(fs::read_link(descriptor.path()).ok()?.to_str()?)
}

fn parse_target(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::attribution::socket::{Address, State, diag};

    #[test]
    fn own_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sockets = diag::dump(&[State::Listen]).unwrap();
        let entry = sockets
            .listener(Address::new(address.ip(), address.port()))
            .unwrap();
        let owners = Owners::scan(&Processes::new("/proc"));
        assert_eq!(owners.process(entry.inode), Some(std::process::id()));
        assert_eq!(owners.process(u64::MAX), None);
    }

    #[test]
    fn targets() {
        assert_eq!(parse_target("socket:[123]"), Some(123));
        for other in ["pipe:[123]", "socket:[x]", "socket:[]", "/dev/null", "socket:[1"] {
            assert_eq!(parse_target(other), None, "{other}");
        }
    }
}
