//! What to probe for the plaintext of TLS: which files of which processes hold a TLS library, and where in them the
//! probe points are. It reads processes and files and attaches nothing; what is probed and why not is in `docs/tls.md`.
//!
//! Everything read here was written by others, by whoever runs a container on this node: reading is bounded, nothing
//! panics, and what is not certain is skipped with a [`Reason`].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

mod access;
mod boring;
mod bytes;
mod code;
mod elf;
mod entry;
mod go;
mod judge;
mod layer;
#[cfg(test)]
mod made;
pub mod mapped;
mod maps;
mod name;
mod openssl;
mod random;
mod reason;
mod report;
mod scout;
pub mod watch;

pub use reason::Reason;
pub use report::Report;
pub use scout::{Judged, Scout, Verdict};

/// What a probe point means; each is one kernel program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// OpenSSL and its kin: the return of `SSL_new`.
    Created,
    /// `SSL_clear`: the object is used for another connection.
    Cleared,
    /// `SSL_free`.
    Freed,
    /// Entry and return of `SSL_write`: one point, the loader attaches both. So are the next three. Those of `SSL_write_ex` and
    /// `SSL_read_ex` may be of a function that has the same arguments, and does the work of both names.
    Write,
    WriteEx,
    Read,
    ReadEx,
    /// Entry of `crypto/tls.(*Conn).clientHandshake` or `.serverHandshake`: once for each connection. All entries in Go
    /// are behind the check of the stack, which starts a function anew; registers and stack are as on entry there.
    GoHandshake,
    /// Entry of `crypto/tls.(*Conn).Write`.
    GoWrite,
    /// Entry of `crypto/tls.(*Conn).Read`.
    GoRead,
    /// A RET instruction of it: Go moves its stacks, so that return probes would crash the program.
    GoReadEnd,
    /// In place of both: the one call in it that copies to the caller what was read.
    GoReadCopy,
    /// Entry of `crypto/tls.(*Conn).Close`.
    GoClose,
}

/// One place to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Point {
    pub act: Act,
    /// In the file, as uprobes want it.
    pub offset: u64,
}

/// Where in memory an SSL object has its 32 bytes of client random: at `*(ssl + pointer) + offset`, or at `ssl + offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RandomPlace {
    pub pointer: Option<u32>,
    pub offset: u32,
}

/// A file as the kernel names it in a process's mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Library {
    OpenSsl,
    BoringSsl,
    Go,
}

impl Library {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenSsl => "OpenSSL",
            Self::BoringSsl => "BoringSSL",
            Self::Go => "Go crypto/tls",
        }
    }
}

/// What was found in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    pub library: Library,
    /// As exactly as the file says it.
    pub version: Option<String>,
    pub points: Vec<Point>,
    /// `None`: it could not be read off the code, and connections are not tied by it.
    pub random: Option<RandomPlace>,
}

/// One file to probe, whatever the number of processes that map it.
#[derive(Clone, Debug)]
pub struct Target {
    pub file: FileId,
    /// A path that this process can open: `/proc/PID/root/…`, `/proc/PID/exe` or `/proc/PID/map_files/…`. It is gone
    /// with that process; [`Target::attach_path`] is not.
    pub path: PathBuf,
    /// As the process names it.
    pub shown: PathBuf,
    pub library: Library,
    pub version: Option<String>,
    pub points: Vec<Point>,
    pub random: Option<RandomPlace>,
    /// The file that was judged. Drop it when the probes are attached: it keeps a container's mount busy.
    pub opened: Arc<File>,
}

impl Target {
    /// Names the very file that was judged, as long as this target lives: nobody can put another in its place between
    /// judging and attaching.
    #[must_use]
    pub fn attach_path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        PathBuf::from(format!("/proc/self/fd/{}", self.opened.as_raw_fd()))
    }
}

/// What one file holds, whether or not a process has it mapped.
pub fn examine(path: &Path) -> std::io::Result<Vec<Verdict>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok(judge::judge(&bytes::Opened { file: &file, length }, path))
}

#[cfg(test)]
mod tests;
