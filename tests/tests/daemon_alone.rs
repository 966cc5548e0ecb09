//! Two observers of the same sockets would count every call twice: the second is refused, with the reason, and may
//! begin as soon as the first has ended, however it ended.

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use tests::cgroup::Cgroup;
use tests::observer::{self, Observer};
use tests::prerequisite::or_skip;

/// Ended by force where it should have ended by itself: a second observer that is not refused runs on.
fn output(subcommand: &str, cgroup: &str) -> Result<Output> {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "60"]);
    command
        .arg(observer::prepare()?)
        .args([subcommand, "--cgroup-path", cgroup]);
    if subcommand == "run" {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    Ok(command.output()?)
}

#[test]
fn a_second_observer_is_refused() -> Result<()> {
    let test = "a_second_observer_is_refused";
    let (Some(_), Some(cgroup)) = (or_skip(test, observer::prepare()), or_skip(test, Cgroup::new())) else {
        return Ok(());
    };
    let path = cgroup.path().to_string_lossy();
    let arguments = ["--cgroup-path", &path];

    let first = Observer::start(&arguments)?;
    let second = output("run", &path)?;
    let said = String::from_utf8_lossy(&second.stderr);
    ensure!(second.status.code() == Some(1), "{}: {said}", second.status);
    let expected = format!("another observer (process {}) is attached", first.process.id());
    ensure!(said.contains(&expected), "expected {expected:?} in {said}");

    let check = output("check", &path)?;
    let report = String::from_utf8_lossy(&check.stdout);
    ensure!(check.status.success(), "{}: {report}", check.status);
    ensure!(report.contains("attached to this cgroup"), "{report}");

    first.process.signal(Signal::KILL)?;
    Observer::start(&arguments)?.stop()?;
    Observer::start(&arguments)?.stop()
}
