//! A cgroup of the test's own: what runs in it is all that an observer attached to it sees, so other traffic of the
//! machine cannot disturb the counts.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::prerequisite::Error;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Removed when dropped; by then its processes must have ended.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    pub fn new() -> Result<Self, Error> {
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let root = mounts
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(' ').skip(1);
                Some((fields.next()?, fields.next()?))
            })
            .find(|(_, kind)| *kind == "cgroup2")
            .ok_or_else(|| Error::Missing("no cgroup v2 hierarchy is mounted".to_owned()))?;
        remove_orphans(Path::new(root.0));
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(root.0).join(format!("observer-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path)
            .map_err(|error| Error::Missing(format!("cannot make {}: {error}", path.display())))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Left behind only if something in it still runs, which its own guard reports.
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Those of tests that were killed before they could remove them; what is still in use stays.
fn remove_orphans(root: &Path) {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| {
            name.strip_prefix("observer-test-")?
                .split('-')
                .next()?
                .parse::<u32>()
                .ok()
        });
        if owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}
