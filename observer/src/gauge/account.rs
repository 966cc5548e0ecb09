//! Where the kernel keeps the books of cgroups, and of processes where cgroups do not tell: which file, in which
//! hierarchy.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::attribution::cgroup::tree::{Layout, Tree};
use crate::attribution::file;
use crate::attribution::process::{Processes, Stat};
use crate::attribution::roster::Account;

#[derive(Clone, Debug)]
pub struct Books {
    unified: Option<PathBuf>,
    /// Mounts of v1 controllers; absent where they are not v1.
    cpuacct: Option<PathBuf>,
    memory: Option<PathBuf>,
    pub processes: Processes,
}

/// Every process's figures at one time; read only when an account needs them.
#[derive(Debug, Default)]
pub struct Census {
    stats: HashMap<u32, Stat>,
    children: HashMap<u32, Vec<u32>>,
}

/// `memory.stat` has some 60 lines.
const MAX_FILE: u64 = 16 * 1024;

/// `cgroup.procs` of a cgroup with ten thousand processes.
const MAX_PROCS_FILE: u64 = 128 * 1024;

/// Processes in one census: `pid_max` of a large machine is 4,194,304, of which few are used.
const MAX_PROCESSES: usize = 65_536;

/// Processes that belong to one account.
const MAX_OF_ACCOUNT: usize = 16_384;

impl Books {
    /// `cgroups` is `/sys/fs/cgroup`.
    pub fn new(processes: Processes, cgroups: &Path) -> Self {
        let tree = Tree::new(cgroups);
        let mount = |names: [&str; 2]| {
            if tree.layout() == Layout::Unified {
                return None;
            }
            names
                .into_iter()
                .map(|name| cgroups.join(name))
                .find(|path| path.is_dir())
        };
        Self {
            unified: tree.root().map(Path::to_owned),
            cpuacct: mount(["cpuacct", "cpu,cpuacct"]),
            memory: mount(["memory", "memory"]),
            processes,
        }
    }

    /// A file of the account in the hierarchy of a controller: v1's where there is one, else v2's.
    pub fn cpu_file(&self, account: &Account, v1: &str, v2: &str) -> Option<(String, bool)> {
        let Account::Cgroup { unified, cpuacct, .. } = account else {
            return None;
        };
        self.file(self.cpuacct.as_deref(), cpuacct, v1, unified, v2)
    }

    pub fn memory_file(&self, account: &Account, v1: &str, v2: &str) -> Option<(String, bool)> {
        let Account::Cgroup { unified, memory, .. } = account else {
            return None;
        };
        self.file(self.memory.as_deref(), memory, v1, unified, v2)
    }

    /// With the text, whether it is v1's.
    fn file(
        &self,
        mount: Option<&Path>,
        path: &str,
        v1: &str,
        unified: &str,
        v2: &str,
    ) -> Option<(String, bool)> {
        let text =
            |root: &Path, path: &str, name: &str| file::read(&below(root, path).join(name), MAX_FILE).ok();
        let from_v1 = mount
            .and_then(|mount| text(mount, path, v1))
            .map(|text| (text, true));
        from_v1.or_else(|| Some((text(self.unified.as_deref()?, unified, v2)?, false)))
    }

    /// Where cgroups of pods may be found.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        [&self.unified, &self.cpuacct, &self.memory]
            .into_iter()
            .filter_map(|root| root.as_deref())
    }

    /// The roots in which the cgroup of an account may be found, with its path in each.
    fn places<'a>(&'a self, account: &'a Account) -> impl Iterator<Item = PathBuf> + 'a {
        let paths = match account {
            Account::Cgroup {
                unified,
                cpuacct,
                memory,
            } => [
                (&self.unified, unified),
                (&self.cpuacct, cpuacct),
                (&self.memory, memory),
            ]
            .map(Some),
            Account::Process { .. } => [None, None, None],
        };
        paths
            .into_iter()
            .flatten()
            .filter_map(|(root, path)| Some(below(root.as_deref()?, path)))
    }

    /// Whether there is anything left of it.
    pub fn lives(&self, account: &Account) -> bool {
        match account {
            Account::Process { pid, started } => self
                .processes
                .stat(*pid)
                .is_some_and(|stat| stat.started == *started),
            Account::Cgroup { .. } => self.places(account).any(|path| has_processes(&path, 0)),
        }
    }

    /// One living process of the account.
    pub fn any_process(&self, account: &Account) -> Option<u32> {
        match account {
            Account::Process { pid, .. } => self.lives(account).then_some(*pid),
            Account::Cgroup { .. } => self.places(account).find_map(|path| first_process(&path, 0)),
        }
    }

    /// All processes of the account.
    pub fn members(&self, account: &Account, census: &Census) -> Vec<u32> {
        let mut members = Vec::new();
        match account {
            Account::Process { pid, started } => {
                if census.stats.get(pid).is_some_and(|stat| stat.started == *started) {
                    census.descend(*pid, &mut members);
                }
            }
            Account::Cgroup { .. } => {
                for path in self.places(account) {
                    collect_processes(&path, 0, &mut members);
                    if !members.is_empty() {
                        break;
                    }
                }
            }
        }
        members
    }
}

impl Census {
    pub fn take(processes: &Processes) -> Self {
        let mut census = Self::default();
        let Ok(pids) = processes.pids() else { return census };
        for pid in pids.take(MAX_PROCESSES) {
            if let Some(stat) = processes.stat(pid) {
                census.children.entry(stat.parent).or_default().push(pid);
                census.stats.insert(pid, stat);
            }
        }
        census
    }

    pub fn stat(&self, pid: u32) -> Option<&Stat> {
        self.stats.get(&pid)
    }

    /// The process and what it started. A service that another started is counted with both: it has an account of
    /// its own, and its parent answers for it.
    fn descend(&self, root: u32, into: &mut Vec<u32>) {
        let mut open = vec![root];
        while let Some(pid) = open.pop() {
            if into.len() >= MAX_OF_ACCOUNT {
                return;
            }
            into.push(pid);
            open.extend(
                self.children
                    .get(&pid)
                    .into_iter()
                    .flatten()
                    .filter(|child| **child != pid),
            );
        }
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Containers in a pod, cgroups in a container.
const MAX_DEPTH: usize = 6;

fn folders(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

fn first_process(path: &Path, depth: usize) -> Option<u32> {
    let text = file::read(&path.join("cgroup.procs"), MAX_PROCS_FILE).unwrap_or_default();
    let first = text
        .lines()
        .find_map(|line| line.parse().ok().filter(|pid| *pid != 0));
    first.or_else(|| {
        (depth < MAX_DEPTH)
            .then(|| folders(path).find_map(|path| first_process(&path, depth + 1)))
            .flatten()
    })
}

/// A folder alone says nothing: kubelets that manage v1 leave those of v2 behind. v2 knows whether there are processes
/// in it or below; they need not be visible to us.
fn has_processes(path: &Path, depth: usize) -> bool {
    if let Ok(events) = file::read(&path.join("cgroup.events"), MAX_FILE) {
        return events.lines().any(|line| line == "populated 1");
    }
    let own = file::read(&path.join("cgroup.procs"), MAX_PROCS_FILE).unwrap_or_default();
    !own.trim().is_empty() || depth < MAX_DEPTH && folders(path).any(|path| has_processes(&path, depth + 1))
}

fn collect_processes(path: &Path, depth: usize, into: &mut Vec<u32>) {
    let text = file::read(&path.join("cgroup.procs"), MAX_PROCS_FILE).unwrap_or_default();
    let room = MAX_OF_ACCOUNT.saturating_sub(into.len());
    into.extend(
        text.lines()
            .filter_map(|line| line.parse::<u32>().ok())
            .filter(|pid| *pid != 0)
            .take(room),
    );
    if depth < MAX_DEPTH {
        for folder in folders(path) {
            collect_processes(&folder, depth + 1, into);
        }
    }
}
