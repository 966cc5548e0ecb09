//! A cgroup that gives what runs in it a part of one core: by whichever version of cgroups has the cpu controller.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::prerequisite::Error;

/// Short, so that a process is held up often rather than long.
const PERIOD_US: u32 = 100_000;

static COUNT: AtomicU32 = AtomicU32::new(0);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Removed when dropped; by then its processes must have ended.
#[derive(Debug)]
pub struct Quota {
    path: PathBuf,
    version: Version,
}

impl Quota {
    pub fn new() -> Result<Self, Error> {
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let hierarchies = mounts.lines().filter_map(hierarchy);
        for (root, version) in hierarchies {
            let name = format!(
                "observer-quota-{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            );
            let quota = Self {
                path: root.join(name),
                version,
            };
            if std::fs::create_dir(&quota.path).is_ok() && quota.path.join(quota.file()).exists() {
                return Ok(quota);
            }
        }
        Err(Error::Missing(
            "no cgroup hierarchy here has the cpu controller".into(),
        ))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on, this much of one core.
    pub fn limit(&self, percent: u32) -> Result<(), Error> {
        let quota = PERIOD_US / 100 * percent;
        let text = match self.version {
            Version::One => {
                std::fs::write(self.path.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
                quota.to_string()
            }
            Version::Two => format!("{quota} {PERIOD_US}"),
        };
        Ok(std::fs::write(self.path.join(self.file()), text)?)
    }

    fn file(&self) -> &'static str {
        match self.version {
            Version::One => "cpu.cfs_quota_us",
            Version::Two => "cpu.max",
        }
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Left behind only if something in it still runs, which its own guard reports.
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// The root of a hierarchy that can have the cpu controller, from a line of the mount table.
fn hierarchy(line: &str) -> Option<(PathBuf, Version)> {
    let mut fields = line.split(' ').skip(1);
    let (root, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
    match kind {
        "cgroup2" => Some((root.into(), Version::Two)),
        "cgroup" if options.split(',').any(|option| option == "cpu") => Some((root.into(), Version::One)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_with_a_cpu_controller() {
        let check = |line: &str, expected| assert_eq!(hierarchy(line).map(|(_, version)| version), expected);
        check("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0", Some(Version::One));
        check("cgroup /sys/fs/cgroup/cpuacct cgroup rw,cpuacct 0 0", None);
        check("none /sys/fs/cgroup cgroup2 rw,relatime 0 0", Some(Version::Two));
        check("tmpfs /tmp tmpfs rw 0 0", None);
    }
}
