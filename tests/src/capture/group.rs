//! A cgroup of its own for the test's process: programs attached there see the test's sockets and no others.

use std::path::{Path, PathBuf};

use observer::probe::Root;

use crate::prerequisite::Error;

/// The process is in it until this is dropped.
#[derive(Debug)]
pub struct Group {
    top: PathBuf,
    own: PathBuf,
}

impl Group {
    pub fn enter(name: &str) -> Result<Self, Error> {
        let missing = |error: String| Error::Missing(format!("no cgroup of its own: {error}"));
        let root = Root::find(None).map_err(|error| missing(error.to_string()))?;
        let top = root
            .path
            .ok_or_else(|| missing("cgroup v2 is not mounted".into()))?;
        let own = top.join(format!("observer-{}-{name}", std::process::id()));
        std::fs::create_dir(&own).map_err(|error| missing(error.to_string()))?;
        let group = Self { top, own };
        join(&group.own).map_err(|error| missing(error.to_string()))?;
        Ok(group)
    }

    pub fn path(&self) -> &Path {
        &self.own
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Without these the folder stays, which harms nobody.
        let _ = join(&self.top);
        let _ = std::fs::remove_dir(&self.own);
    }
}

/// Moves this process there.
fn join(group: &Path) -> std::io::Result<()> {
    std::fs::write(group.join("cgroup.procs"), "0")
}
