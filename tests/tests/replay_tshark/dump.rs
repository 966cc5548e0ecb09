//! A recording of one port on loopback.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tests::wait;

/// Starting, and writing what is left.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Bytes of a pcap file's head: when they are there, packets are being recorded.
const HEAD: u64 = 24;

#[derive(Debug)]
pub struct Dump {
    child: Child,
    folder: PathBuf,
    file: PathBuf,
}

impl Dump {
    pub fn start(port: u16) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("observer-replay-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("capture.pcap");
        // Nothing is written through a buffer, and the kernel's is as large as the traffic.
        let mut arguments: Vec<OsString> = [
            "-i",
            "lo",
            "-U",
            "--immediate-mode",
            "-Z",
            "root",
            "-B",
            "65536",
            "-w",
        ]
        .map(OsString::from)
        .into();
        arguments.extend([file.clone().into(), format!("tcp port {port}").into()]);
        let child = Command::new("tcpdump")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("tcpdump")?;
        let dump = Self { child, folder, file };
        wait::until(MAX_WAIT, || match std::fs::metadata(&dump.file) {
            Ok(about) if about.len() >= HEAD => Ok(()),
            other => Err(format!("tcpdump has not begun: {other:?}")),
        })?;
        Ok(dump)
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Ends the recording; returns what the recorder has to say about it.
    pub fn stop(&mut self) -> String {
        use std::io::Read as _;
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let mut said = String::new();
        if let Some(errors) = &mut self.child.stderr {
            let _ = errors.read_to_string(&mut said);
        }
        let _ = self.child.wait();
        said
    }
}

impl Drop for Dump {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A failed test leaves its capture to look at.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
