//! What procfs says about a process: its name, age, parents, command line and cgroups. Any answer may be missing:
//! the process may be gone before it is asked for.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::cgroup::membership::Membership;
use super::file;

/// procfs at a place of its own, so that tests can use a tree of files and a container the host's.
#[derive(Clone, Debug)]
pub struct Processes {
    root: PathBuf,
}

/// The parts of `/proc/PID/stat` that are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Name of the main thread, which is the name of the process; 15 bytes at most.
    pub name: Box<str>,
    pub parent: u32,
    /// User and system time of all its threads, in clock ticks.
    pub cpu_ticks: u64,
    /// The same of its children that have ended and were waited for, and of theirs.
    pub children_ticks: u64,
    /// Clock ticks after boot; with the pid it identifies a process.
    pub started: u64,
    pub resident_pages: u64,
}

/// Longest file read: a command line of a JVM can be 32 KiB; rules have no need of its end.
const MAX_COMMAND_LINE: u64 = 4096;
const MAX_STAT: u64 = 4096;
const MAX_STATUS: u64 = 16 * 1024;
const MAX_CGROUP_FILE: u64 = 64 * 1024;

/// Inode of the first PID namespace (`PROC_PID_INIT_INO` of the kernel).
const HOST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

impl Processes {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether pids here are those that the kernel programs see. In a container without the host's PID namespace
    /// they are not, and what a pid names would be another process. The host's procfs mounted into a container shows
    /// this process with a pid for each namespace it is nested in.
    pub fn is_host_view(&self) -> bool {
        if fs::metadata(self.root.join("self/ns/pid")).is_ok_and(|file| file.ino() == HOST_PID_NAMESPACE) {
            return true;
        }
        let status = file::read(&self.root.join("self/status"), MAX_STATUS).unwrap_or_default();
        let nested = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        nested.is_some_and(|pids| pids.split_ascii_whitespace().count() > 1)
    }

    pub fn path(&self, pid: u32, file: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(file)
    }

    pub fn stat(&self, pid: u32) -> Option<Stat> {
        Stat::parse(&file::read(&self.path(pid, "stat"), MAX_STAT).ok()?)
    }

    /// Arguments separated by blanks.
    pub fn command_line(&self, pid: u32) -> Option<String> {
        let text = file::read(&self.path(pid, "cmdline"), MAX_COMMAND_LINE).ok()?;
        Some(text.trim_end_matches('\0').replace('\0', " "))
    }

    pub fn membership(&self, pid: u32) -> Option<Membership> {
        Some(Membership::parse(
            &file::read(&self.path(pid, "cgroup"), MAX_CGROUP_FILE).ok()?,
        ))
    }

    /// Which network namespace the process is in, as a number that is equal for processes in the same one. The
    /// inode of its view of `net/stat` serves: it needs no `CAP_SYS_PTRACE`, unlike `ns/net`. (Of a process that has entered another
    /// namespace kernels before 5.11 may still show the former one's.)
    pub fn network_namespace(&self, pid: u32) -> Option<u64> {
        fs::metadata(self.path(pid, "net/stat"))
            .ok()
            .map(|metadata| metadata.ino())
    }

    pub fn pids(&self) -> io::Result<impl Iterator<Item = u32> + use<>> {
        let entries = fs::read_dir(&self.root)?;
        Ok(entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
    }
}

impl Stat {
    pub fn cpu_ticks_with_children(&self) -> u64 {
        self.cpu_ticks.saturating_add(self.children_ticks)
    }

    /// The name may hold blanks and parentheses; nothing behind it can.
    fn parse(text: &str) -> Option<Self> {
        let (before, rest) = text.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // proc(5) counts from 1 with the pid; `rest` begins at field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            name: name.into(),
            parent: u32::try_from(field(4)?).ok()?,
            cpu_ticks: field(14)?.saturating_add(field(15)?),
            children_ticks: field(16)?.saturating_add(field(17)?),
            started: field(22)?,
            resident_pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAIL: &str =
        " S 1 10 10 0 -1 4194560 500 0 2 0 150 50 3 4 20 0 4 0 12345 1000000 300 18446744073709551615 1";

    #[test]
    fn stat_lines() {
        let check = |name: &str| {
            let stat = Stat::parse(&format!("10 ({name}){TAIL}")).unwrap();
            assert_eq!(
                stat,
                Stat {
                    name: name.into(),
                    parent: 1,
                    cpu_ticks: 200,
                    children_ticks: 7,
                    started: 12345,
                    resident_pages: 300
                }
            );
        };
        check("csca");
        check("tmux: server");
        check("a) S 7 (b");
        check("");
        assert_eq!(Stat::parse("10 (x) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn this_process() {
        let processes = Processes::new("/proc");
        let pid = std::process::id();
        let stat = processes.stat(pid).unwrap();
        assert!(stat.resident_pages > 0);
        assert!(processes.command_line(pid).unwrap().contains("observer"));
        assert!(
            processes.membership(pid).unwrap().unified.is_some() || !Path::new("/sys/fs/cgroup").exists()
        );
        assert!(processes.pids().unwrap().any(|other| other == pid));
        assert_eq!(processes.network_namespace(pid), processes.network_namespace(pid));
        assert_eq!(processes.stat(u32::MAX), None);
    }

    proptest! {
        #[test]
        fn any_stat(text in "\\PC*") {
            let _ = Stat::parse(&text);
        }
    }
}
