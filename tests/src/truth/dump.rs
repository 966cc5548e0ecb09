//! The packets of one cell, recorded while it runs, kept if it fails: `observer replay` shows them again.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::wire::{self, Wire};
use crate::prerequisite::{Error, apt};
use crate::process::{Place, Process};
use crate::wait;

/// Starting, and writing what is left.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Bytes of a pcap file's head: when they are there, packets are being recorded.
const HEAD: u64 = 24;

pub fn prepare() -> Result<(), Error> {
    apt::install_for(&[("tcpdump", "tcpdump")])
}

/// When a packet comes to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// With others, within a second: cheap for whatever amount.
    Lazy,
    /// At once; bursts would be too much for it.
    Prompt,
}

#[derive(Debug)]
pub struct Dump {
    process: Process,
    file: PathBuf,
    port: u16,
}

impl Dump {
    /// Records one port; `place` says in which namespace.
    pub fn start(file: PathBuf, port: u16, place: &Place, flush: Flush) -> Result<Self> {
        let interface = if place.namespace.is_some() { "veth0" } else { "lo" };
        let mut command: Vec<OsString> = [
            "tcpdump", "-i", interface, "-U", "-Z", "root", "-B", "65536", "-w",
        ]
        .map(OsString::from)
        .into();
        command.push(file.clone().into());
        if flush == Flush::Prompt {
            command.push("--immediate-mode".into());
        }
        command.push(format!("tcp port {port}").into());
        // Not in the cgroup of the programs.
        let place = Place {
            namespace: place.namespace.clone(),
            ..Place::default()
        };
        let process = Process::start(&command, &place)?;
        let dump = Self { process, file, port };
        wait::until(MAX_WAIT, || match std::fs::metadata(&dump.file) {
            Ok(about) if about.len() >= HEAD => Ok(()),
            _ => Err(format!("tcpdump has not begun{}", dump.process.report())),
        })?;
        Ok(dump)
    }

    /// What the wire shows, as soon as it is `enough`.
    pub fn wire(&self, enough: impl Fn(&Wire) -> bool) -> Result<Wire> {
        wait::until(MAX_WAIT, || {
            let wire = wire::of(&self.file, self.port).map_err(|error| format!("{error:#}"))?;
            if enough(&wire) {
                Ok(wire)
            } else {
                let ended = wire.calls.iter().filter(|call| call.ended.is_some()).count();
                Err(format!(
                    "the packets show {} calls, {ended} ended",
                    wire.calls.len()
                ))
            }
        })
    }

    /// Ends the recording and keeps it.
    pub fn keep(mut self) -> Result<PathBuf> {
        self.process.signal(Signal::INT)?;
        self.process.wait(MAX_WAIT)?;
        Ok(std::mem::take(&mut self.file))
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        self.process.kill();
        if !self.file.as_os_str().is_empty() {
            // It lies in the target directory, where it harms nobody.
            let _ = std::fs::remove_file(&self.file);
        }
    }
}
