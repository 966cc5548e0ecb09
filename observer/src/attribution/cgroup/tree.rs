//! The cgroup v2 tree by id. The id of a cgroup is the inode number of its folder, and the kernel does not use one
//! twice before it is rebooted (kernfs counts a generation in its upper half), so an entry never becomes wrong;
//! it only becomes old.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How this host arranges its controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// cgroup v2 alone.
    Unified,
    /// cgroup v2 without controllers beside v1: sockets have a v2 cgroup, but containers may only be told apart in
    /// the v1 hierarchies.
    Hybrid,
    /// cgroup v1 alone.
    Legacy,
}

#[derive(Debug)]
pub struct Tree {
    root: Option<PathBuf>,
    layout: Layout,
    paths: HashMap<u64, Entry>,
    scanned: Option<Instant>,
    /// Folders left out because of [`MAX_CGROUPS`].
    pub refused: u64,
}

#[derive(Debug)]
struct Entry {
    path: Arc<str>,
    seen: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    Found(Arc<str>),
    /// Not in the tree as it is now.
    Missing,
    /// Not known, and the tree was read too recently to do so again: ask later.
    Later,
}

/// A node has a few hundred; systemd and the kubelet some for each unit and container. About 200 bytes each.
const MAX_CGROUPS: usize = 32_768;

/// Deeper nesting is refused by nobody but made by nobody either.
const MAX_DEPTH: usize = 32;

/// Reading a tree of 500 folders takes 2 ms; five times a second is 1 % of a core at worst.
const RESCAN_INTERVAL: Duration = Duration::from_millis(200);

/// A cgroup that is gone still names the last calls of what was in it.
const KEEP_GONE: Duration = Duration::from_mins(5);

impl Tree {
    /// `mount` is `/sys/fs/cgroup`, or what stands for it.
    pub fn new(mount: &Path) -> Self {
        let hybrid = mount.join("unified");
        let (root, layout) = if mount.join("cgroup.controllers").exists() {
            (Some(mount.to_owned()), Layout::Unified)
        } else if hybrid.join("cgroup.controllers").exists() {
            (Some(hybrid), Layout::Hybrid)
        } else {
            (None, Layout::Legacy)
        };
        Self {
            root,
            layout,
            paths: HashMap::new(),
            scanned: None,
            refused: 0,
        }
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Where cgroup v2 is.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The path of a cgroup below the root, with a leading `/`.
    pub fn path(&mut self, id: u64, now: Instant) -> Lookup {
        if let Some(entry) = self.paths.get(&id) {
            return Lookup::Found(Arc::clone(&entry.path));
        }
        if self.root.is_none() || id == 0 {
            return Lookup::Missing;
        }
        if self
            .scanned
            .is_some_and(|last| now.saturating_duration_since(last) < RESCAN_INTERVAL)
        {
            return Lookup::Later;
        }
        self.scan(now);
        self.paths
            .get(&id)
            .map_or(Lookup::Missing, |entry| Lookup::Found(Arc::clone(&entry.path)))
    }

    fn scan(&mut self, now: Instant) {
        let Some(root) = self.root.clone() else { return };
        self.scanned = Some(now);
        self.paths
            .retain(|_, entry| now.saturating_duration_since(entry.seen) < KEEP_GONE);
        if let Ok(metadata) = fs::metadata(&root) {
            self.insert(std::os::unix::fs::MetadataExt::ino(&metadata), "/", now);
        }
        let mut folders = vec![(String::new(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let Ok(entries) = fs::read_dir(root.join(folder.trim_start_matches('/'))) else {
                continue;
            };
            for entry in entries.flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
                self.insert(entry.ino(), &path, now);
                if depth < MAX_DEPTH && folders.len() < MAX_CGROUPS {
                    folders.push((path, depth + 1));
                }
            }
        }
    }

    fn insert(&mut self, id: u64, path: &str, now: Instant) {
        if let Some(entry) = self.paths.get_mut(&id) {
            entry.seen = now;
            // A cgroup cannot be moved, but a fixture's folder can, and a wrong name is worse than an allocation.
            if *entry.path != *path {
                entry.path = path.into();
            }
        } else if self.paths.len() < MAX_CGROUPS {
            self.paths.insert(
                id,
                Entry {
                    path: path.into(),
                    seen: now,
                },
            );
        } else {
            self.refused += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn inode(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    fn unified() -> tempfile::TempDir {
        let mount = tempfile::tempdir().unwrap();
        fs::write(mount.path().join("cgroup.controllers"), "").unwrap();
        mount
    }

    #[test]
    fn layouts() {
        let mount = tempfile::tempdir().unwrap();
        assert_eq!(Tree::new(mount.path()).layout(), Layout::Legacy);
        fs::create_dir(mount.path().join("unified")).unwrap();
        fs::write(mount.path().join("unified/cgroup.controllers"), "").unwrap();
        assert_eq!(Tree::new(mount.path()).layout(), Layout::Hybrid);
        assert_eq!(Tree::new(unified().path()).layout(), Layout::Unified);
    }

    #[test]
    fn root_and_nested_cgroups() {
        let mount = unified();
        let folder = mount.path().join("system.slice/nginx.service");
        fs::create_dir_all(&folder).unwrap();
        let mut tree = Tree::new(mount.path());
        let now = Instant::now();
        assert_eq!(
            tree.path(inode(&folder), now),
            Lookup::Found("/system.slice/nginx.service".into())
        );
        assert_eq!(tree.path(inode(mount.path()), now), Lookup::Found("/".into()));
    }

    #[test]
    fn a_cgroup_made_later_is_found_after_the_interval() {
        let mount = unified();
        let mut tree = Tree::new(mount.path());
        let start = Instant::now();
        assert_eq!(tree.path(u64::MAX, start), Lookup::Missing);
        let folder = mount.path().join("late.service");
        fs::create_dir(&folder).unwrap();
        let id = inode(&folder);
        assert_eq!(tree.path(id, start), Lookup::Later);
        assert_eq!(
            tree.path(id, start + RESCAN_INTERVAL),
            Lookup::Found("/late.service".into())
        );
    }

    #[test]
    fn a_dead_cgroup_keeps_its_name_for_a_while() {
        let mount = unified();
        let folder = mount.path().join("short.service");
        fs::create_dir(&folder).unwrap();
        let id = inode(&folder);
        let mut tree = Tree::new(mount.path());
        let start = Instant::now();
        assert_eq!(tree.path(id, start), Lookup::Found("/short.service".into()));
        fs::remove_dir(&folder).unwrap();
        assert_eq!(tree.path(u64::MAX, start + KEEP_GONE / 2), Lookup::Missing);
        assert_eq!(
            tree.path(id, start + KEEP_GONE / 2),
            Lookup::Found("/short.service".into())
        );
        assert_eq!(tree.path(u64::MAX, start + KEEP_GONE), Lookup::Missing);
        assert_eq!(tree.path(id, start + KEEP_GONE), Lookup::Later);
    }
}
