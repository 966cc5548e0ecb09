//! Where an observer puts probes into a process, and whether they are there: a probed instruction is another than the one
//! in the file.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use observer::tls::{Scout, Target};

use crate::wait;

/// A debug build reads a program of 20 MB in seconds; the rest is for a loaded machine.
const PROBING: Duration = Duration::from_mins(1);

/// One instruction, as a process executes it.
#[derive(Debug)]
pub struct Site {
    process: u32,
    address: u64,
    /// What the file has there: one byte, since breakpoints are no longer on any machine.
    original: u8,
}

/// Files that were read once: a program of 100 MB takes a debug build seconds.
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Known {
    scout: Scout,
    targets: Vec<Target>,
}

impl Site {
    /// All in one process; `Err` where none can be found.
    pub fn of(process: u32) -> Result<Vec<Self>> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { scout, targets } = &mut *known;
        targets.extend(scout.look_at(process));
        let maps = std::fs::read_to_string(format!("/proc/{process}/maps"))?;
        let mut sites = Vec::new();
        for target in targets {
            for point in &target.points {
                if let Some(address) = address(&maps, target, point.offset) {
                    sites.push(Self {
                        process,
                        address,
                        original: read(&target.opened, point.offset)?,
                    });
                }
            }
        }
        ensure!(!sites.is_empty(), "process {process} has nothing to probe");
        Ok(sites)
    }

    pub fn is_probed(&self) -> Result<bool> {
        let memory = File::open(format!("/proc/{}/mem", self.process))?;
        Ok(read(&memory, self.address)? != self.original)
    }
}

/// Processes that hold probes, or events of the kernel in general.
pub fn probers() -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc")? {
        let Some(id) = process?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has ended meanwhile holds nothing.
        let files = std::fs::read_dir(format!("/proc/{id}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        if files.map(|file| file.path()).any(|file| is_probe(id, &file)) {
            found.push(id);
        }
    }
    Ok(found)
}

fn is_probe(process: u32, file: &Path) -> bool {
    let Ok(target) = std::fs::read_link(file) else {
        return false;
    };
    let target = target.to_string_lossy();
    if target.contains("perf_event") || target.contains("perf-event") {
        return true;
    }
    let number = file.file_name().unwrap_or_default().to_string_lossy();
    let about = || std::fs::read_to_string(format!("/proc/{process}/fdinfo/{number}")).unwrap_or_default();
    target.contains("bpf_link") && about().contains("link_type:\tperf")
}

/// Waits until a process is probed everywhere. Until then its connections are older than their probes.
pub fn await_probes(process: u32) -> Result<()> {
    await_all(process, true)
}

/// Waits until a process is as it was.
pub fn await_none(process: u32) -> Result<()> {
    await_all(process, false)
}

fn await_all(process: u32, probed: bool) -> Result<()> {
    // A process that has only just begun has not mapped its libraries yet.
    let sites = wait::until(PROBING, || {
        Site::of(process).map_err(|error| format!("{error:#}"))
    })?;
    wait::until(PROBING, || {
        let states: Result<Vec<bool>> = sites.iter().map(Site::is_probed).collect();
        let states = states.map_err(|error| format!("{error:#}"))?;
        let right = states.iter().filter(|state| **state == probed).count();
        if right == sites.len() {
            Ok(())
        } else {
            let wish = if probed { "probed" } else { "as before" };
            Err(format!("{right} of {} instructions are {wish}", sites.len()))
        }
    })
}

fn read(file: &File, offset: u64) -> Result<u8> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    Ok(byte[0])
}

/// Where the process has what is at `offset` of the target's file; `None`: it has not mapped that.
fn address(maps: &str, target: &Target, offset: u64) -> Option<u64> {
    maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = (number(start)?, number(end)?);
        let executable = fields.next()?.contains('x');
        let first = number(fields.next()?)?;
        let inode: u64 = fields.nth(1)?.parse().ok()?;
        let place = offset.checked_sub(first)?.checked_add(start)?;
        (executable && inode == target.file.inode && place < end).then_some(place)
    })
}
