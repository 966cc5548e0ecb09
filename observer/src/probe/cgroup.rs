//! The cgroup v2 root that the programs are attached to: found where it is mounted, else mounted for this process
//! alone.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// Inode of the root of the hierarchy; every other cgroup has a larger one.
const ROOT_INODE: u64 = 1;

#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    #[error("{path} is no cgroup v2 directory that can be opened: {source}")]
    Open { path: PathBuf, source: io::Error },
    #[error(
        "no cgroup v2 hierarchy is mounted, and this process may not mount one ({0}); mount it \
         (`mount -t cgroup2 none /sys/fs/cgroup`) or run with CAP_SYS_ADMIN"
    )]
    NotMounted(io::Error),
}

/// An open cgroup v2 directory.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    /// Where it was found; `None`: mounted by this process, visible to nobody else.
    pub path: Option<PathBuf>,
    /// Whether it is the root of the hierarchy, below which every process of the machine is.
    pub whole: bool,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Root {
    /// The directory that was configured, else the first cgroup v2 mount, else a mount of our own.
    pub fn find(configured: Option<&Path>) -> Result<Self, CgroupError> {
        if let Some(path) = configured {
            return Self::open(path);
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        match mounted(&mounts) {
            Some(path) => Self::open(&path),
            None => Self::mount().map_err(CgroupError::NotMounted),
        }
    }

    fn open(path: &Path) -> Result<Self, CgroupError> {
        let failed = |source| CgroupError::Open {
            path: path.to_owned(),
            source,
        };
        let directory = File::open(path).map_err(failed)?;
        let whole = directory.metadata().map_err(failed)?.ino() == ROOT_INODE;
        Ok(Self {
            directory: directory.into(),
            path: Some(path.to_owned()),
            whole,
        })
    }

    /// A mount that is attached to no directory: it lives as long as the descriptor.
    fn mount() -> io::Result<Self> {
        let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(context.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let directory = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        Ok(Self {
            directory,
            path: None,
            whole: true,
        })
    }
}

/// The mount point of the first cgroup v2 mount that shows its hierarchy from the top.
fn mounted(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        // Fields of proc(5): the optional ones end in a lone dash, behind which the type stands.
        let (before, after) = line.split_once(" - ")?;
        if after.split(' ').next()? != "cgroup2" {
            return None;
        }
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (root == "/").then(|| PathBuf::from(unescaped(point)))
    })
}

/// Mount points have space, tab, newline and backslash written as three octal digits.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mounts: &str, expected: Option<&str>) {
        assert_eq!(mounted(mounts).as_deref(), expected.map(Path::new));
    }

    #[test]
    fn mounts() {
        check("", None);
        check(
            "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw",
            Some("/sys/fs/cgroup"),
        );
        check(
            "31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
             32 30 0:28 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw",
            Some("/sys/fs/cgroup/unified"),
        );
        check(
            "30 24 0:26 /kubepods/x /sys/fs/cgroup ro - cgroup2 cgroup rw",
            None,
        );
        check("30 24 0:26 / /a\\040b rw - cgroup2 cgroup rw", Some("/a b"));
        check("nonsense - cgroup2", None);
    }
}
