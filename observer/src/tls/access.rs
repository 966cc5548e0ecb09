//! How the observer comes to the file behind another process's mapping: by its path, seen from that process's root; where
//! that is gone, by `/proc/PID/exe` and `/proc/PID/map_files`. What is opened is compared with what is mapped.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat2};
use rustix::io::Errno;

use super::maps::{self, Mapping};
use super::{FileId, Reason};

/// A file that is the mapped one.
#[derive(Debug)]
pub struct Reached {
    pub file: File,
    pub path: PathBuf,
    pub size: u64,
    pub modified: (i64, u64),
}

/// Opens what `mapping` of the process whose folder in procfs is `process` maps.
pub fn reach(process: &Path, mapping: &Mapping) -> Result<Reached, Reason> {
    let mut reason = Reason::Deleted;
    if !mapping.deleted {
        let path = process.join("root").join(relative(&mapping.path));
        match beneath(&process.join("root"), &mapping.path).map(|file| verified(&file, path, mapping.file)) {
            Ok(Ok(Some(reached))) => return Ok(reached),
            Ok(Ok(None)) | Err(Errno::NOENT | Errno::NOTDIR) => reason = Reason::Replaced,
            Ok(Err(error)) => reason = error,
            Err(error) => reason = refusal(error),
        }
    }
    let (start, end) = mapping.range;
    for path in [
        process.join("exe"),
        process.join(format!("map_files/{start:x}-{end:x}")),
    ] {
        let opened = open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        if let Ok(file) = opened
            && let Ok(Some(reached)) = verified(&file, path, mapping.file)
        {
            return Ok(reached);
        }
    }
    Err(if process.join("maps").exists() {
        reason
    } else {
        Reason::Ended
    })
}

/// A name only: opening a device or a pipe does something, and may wait for ever. Links, which a container may have put
/// there in the meantime, do not lead out of its root.
fn beneath(root: &Path, path: &Path) -> Result<OwnedFd, Errno> {
    let root = open(
        root,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(
        root,
        relative(path),
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Opens it for reading if it is the regular file that is mapped; `None`: it is another.
fn verified(name: &OwnedFd, path: PathBuf, expected: FileId) -> Result<Option<Reached>, Reason> {
    let stat = fstat(name).map_err(refusal)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let readable = format!("/proc/self/fd/{}", name.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(readable, flags, Mode::empty()).map_err(refusal)?);
    let direct = FileId {
        device: stat.st_dev,
        inode: stat.st_ino,
    };
    if direct != expected && mapped_as(&file, &stat).ok() != Some(expected) {
        return Ok(None);
    }
    Ok(Some(Reached {
        file,
        path,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: (stat.st_mtime, stat.st_mtime_nsec),
    }))
}

/// How the kernel names this file in mappings. overlayfs and btrfs show another device there than `stat` does, and some
/// overlays another inode, differently from kernel to kernel; so the kernel is asked: the file is mapped here, and
/// looked up in our own list.
fn mapped_as(file: &File, stat: &Stat) -> io::Result<FileId> {
    if stat.st_size == 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let page = Page::map(file)?;
    let found = maps::at(File::open("/proc/self/maps")?, page.start())?;
    found.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A page of a file in this process, never looked into.
struct Page(*mut std::ffi::c_void);

const PAGE: usize = 4096;

impl Page {
    #[expect(
        unsafe_code,
        reason = "a new mapping at a place that the kernel chooses, which nothing reads or writes"
    )]
    fn map(file: impl AsFd) -> io::Result<Self> {
        use rustix::mm::{MapFlags, ProtFlags, mmap};
        // SAFETY: as the reason says; no reference into it is made, so that the file may change or shrink.
        let address = unsafe {
            mmap(
                std::ptr::null_mut(),
                PAGE,
                ProtFlags::READ,
                MapFlags::SHARED,
                file,
                0,
            )?
        };
        Ok(Self(address))
    }

    fn start(&self) -> u64 {
        self.0.addr() as u64
    }
}

impl Drop for Page {
    #[expect(unsafe_code, reason = "unmaps what `map` mapped and nothing refers to")]
    fn drop(&mut self) {
        // SAFETY: as the reason says. It fails for a wrong address only.
        let _ = unsafe { rustix::mm::munmap(self.0, PAGE) };
    }
}

/// What a refusal of the system means.
pub fn refusal(error: impl Into<io::Error>) -> Reason {
    let error = error.into();
    match error.kind() {
        io::ErrorKind::PermissionDenied => Reason::Denied(error.to_string()),
        _ => Reason::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn own_executable() -> Mapping {
        let own = std::env::current_exe().unwrap();
        let maps = maps::read(File::open("/proc/self/maps").unwrap()).unwrap();
        maps.into_iter().find(|mapping| mapping.path == own).unwrap()
    }

    #[test]
    fn by_path() {
        let reached = reach(Path::new("/proc/self"), &own_executable()).unwrap();
        assert!(reached.path.starts_with("/proc/self/root/"), "{:?}", reached.path);
        assert_eq!(reached.size, reached.file.metadata().unwrap().len());
    }

    #[test]
    fn by_exe_when_deleted() {
        let mapping = Mapping {
            deleted: true,
            ..own_executable()
        };
        let reached = reach(Path::new("/proc/self"), &mapping).unwrap();
        assert_eq!(reached.path, Path::new("/proc/self/exe"));
    }

    #[test]
    fn another_file_at_its_path() {
        let mut other = tempfile::NamedTempFile::new().unwrap();
        other.write_all(b"x").unwrap();
        let mapping = Mapping {
            path: other.path().to_owned(),
            range: (0, 1),
            file: FileId { device: 1, inode: 1 },
            deleted: false,
        };
        assert_eq!(
            reach(Path::new("/proc/self"), &mapping).unwrap_err(),
            Reason::Replaced
        );
    }

    #[test]
    fn devices_are_not_opened() {
        let mapping = Mapping {
            path: "/dev/zero".into(),
            range: (0, 1),
            file: FileId { device: 1, inode: 1 },
            deleted: false,
        };
        assert_eq!(
            reach(Path::new("/proc/self"), &mapping).unwrap_err(),
            Reason::Replaced
        );
    }

    #[test]
    fn the_kernel_says_how_it_maps() {
        let own = own_executable();
        let file = File::open(&own.path).unwrap();
        let stat = fstat(&file).unwrap();
        assert_eq!(mapped_as(&file, &stat).unwrap(), own.file);
    }
}
