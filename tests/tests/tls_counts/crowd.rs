//! A thousand processes that share one library.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::process::{Place, Process};

/// A thousand processes start.
const CROWDING: Duration = Duration::from_mins(2);

/// The shared OpenSSL that a process has mapped.
pub fn library_of(process: u32) -> Result<Option<PathBuf>> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps"))?;
    let mut paths = maps
        .lines()
        .filter_map(|line| Some(PathBuf::from(line.get(line.find('/')?..)?)));
    Ok(paths.find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libssl.so")
    }))
}

/// Processes that do nothing but map a library.
pub struct Crowd(Process);

const CROWD: usize = 1_000;

pub fn crowd(library: &Path) -> Result<Crowd> {
    let script = "i=0; while [ $i -lt $1 ]; do LD_PRELOAD=$0 sleep 600 & i=$((i+1)); done; echo begun; wait";
    let command = [
        "sh".into(),
        "-c".into(),
        script.into(),
        library.into(),
        CROWD.to_string().into(),
    ];
    let mut process = Process::start(&command, &Place::default())?;
    process.wait_for("begun", CROWDING)?;
    Ok(Crowd(process))
}

impl Crowd {
    fn children(&self) -> Result<Vec<u32>> {
        let id = self.0.id();
        let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let children: Result<Vec<u32>, _> = text.split_ascii_whitespace().map(str::parse).collect();
        let children = children?;
        ensure!(children.len() == CROWD, "{} processes", children.len());
        Ok(children)
    }

    pub fn first_child(&self) -> Result<u32> {
        Ok(self.children()?.first().copied().unwrap_or_default())
    }

    pub fn last_child(&self) -> Result<u32> {
        Ok(self.children()?.last().copied().unwrap_or_default())
    }
}
