//! SIGTERM: the process ends with 0 within the promised 5 s, whatever it is doing and whoever does not read.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tests::cgroup::Cgroup;
use tests::observer::{self, Observer};
use tests::prerequisite::or_skip;
use tests::process::{Place, Process};
use tests::wait;

const PROMISED: Duration = Duration::from_secs(5);
/// A loaded machine.
const LIMIT: Duration = Duration::from_mins(1);
/// Together more than the sockets on both sides buffer.
const ANSWERS: usize = 2_000;

/// Nobody scrapes after the signal, and somebody has not read what was asked for before.
#[test]
fn a_reader_is_stuck() -> Result<()> {
    let test = "a_reader_is_stuck";
    let (Some(_), Some(cgroup)) = (or_skip(test, observer::prepare()), or_skip(test, Cgroup::new())) else {
        return Ok(());
    };
    let observer = Observer::start(&["--cgroup-path", &cgroup.path().to_string_lossy()])?;
    let mut stuck = TcpStream::connect(observer.address())?;
    stuck.write_all(&b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(ANSWERS))?;
    let scrapes = || -> Result<f64, String> {
        let scrape = observer.scrape().map_err(|error| error.to_string())?;
        Ok(scrape.sum("marty_observer_scrapes_total", &[]))
    };
    wait::until(LIMIT, || match (scrapes()?, scrapes()?) {
        // Only the first of these two itself.
        (before, after) if before > 2.0 && after - before < 1.5 => Ok(()),
        counts => Err(format!("answers are still read: {counts:?}")),
    })?;
    observer.stop()
}

/// A second observer of the same cgroup waits for the first to end.
#[test]
fn while_another_observer_is_waited_for() -> Result<()> {
    let test = "while_another_observer_is_waited_for";
    let (Some(daemon), Some(cgroup)) = (or_skip(test, observer::prepare()), or_skip(test, Cgroup::new()))
    else {
        return Ok(());
    };
    let path = cgroup.path().to_string_lossy().into_owned();
    let first = Observer::start(&["--cgroup-path", &path])?;
    let command = [
        daemon.into(),
        OsString::from("run"),
        "--listen".into(),
        "127.0.0.1:0".into(),
        "--cgroup-path".into(),
        path.into(),
    ];
    let mut second = Process::start(&command, &Place::default())?;
    let id = second.id();
    wait::until(LIMIT, || match catches_termination(id) {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    second.signal(Signal::TERM)?;
    let status = second.wait(PROMISED)?;
    ensure!(status.success(), "{status}{}", second.report());
    first.stop()
}

/// Whether the process has registered for SIGTERM: what comes earlier ends it as it ends any process.
fn catches_termination(id: u32) -> Result<bool> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let caught = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .context("no SigCgt")?;
    let mask = u64::from_str_radix(caught.trim(), 16)?;
    Ok(mask >> (Signal::TERM.as_raw() - 1) & 1 == 1)
}
