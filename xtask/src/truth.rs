//! `cargo xtask truth`: builds the daemon and the program that judges it (crate `tests`), and runs that as root.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::build::{self, DAEMON, KERNEL_OBJECT, Programs};
use crate::test::{SKIPPED, watchdog};
use crate::workspace::{Workspace, cargo};
use crate::{privilege, process};

/// In the target directory, as cargo builds it.
const PROGRAM: &str = "debug/truth";
/// Tells the program whose child it is, so that it can ask the kernel to be killed with it.
const PARENT: &str = "OBSERVER_XTASK";
/// The whole takes half an hour, a soak as long as it is told; a run that hangs shall not be found next week.
const MAX_WHOLE: Duration = Duration::from_hours(12);
/// The quick form takes two minutes and a half, and some more to prepare its programs for the first time.
pub const MAX_QUICK: Duration = Duration::from_mins(25);

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let daemon = build::build(workspace, Programs::Release)?;
    Ok(if judge(workspace, &daemon, args, None, MAX_WHOLE)? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether every cell of the table is right, or explained. Cells that are skipped are also written to `skips`.
pub fn judge(
    workspace: &Workspace,
    daemon: &Path,
    args: &[String],
    skips: Option<&Path>,
    limit: Duration,
) -> Result<bool> {
    let mut build = process::command(cargo());
    build
        .args([
            "build",
            "--package",
            "tests",
            "--bin",
            "truth",
            "--bin",
            "tonic-peer",
        ])
        .args(build::locked())
        .current_dir(&workspace.root)
        .env(KERNEL_OBJECT, workspace.kernel_object());
    process::run(&mut build)?;
    let program = workspace.target.join(PROGRAM);
    let mut truth = privilege::as_root(&program, "for kernel programs, cgroups and namespaces")?;
    let variables = [(DAEMON, Some(daemon)), (SKIPPED, skips)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    if privilege::is_root() {
        truth.envs(variables).env(PARENT, std::process::id().to_string());
    } else {
        // Sudo hands over no variables unless they are named.
        truth = process::command(process::which("sudo").context("there was a sudo a moment ago")?);
        truth
            .args(variables.map(|(name, value)| format!("{name}={}", value.display())))
            .arg(&program);
    }
    let child = truth
        .args(args)
        .spawn()
        .with_context(|| format!("`{}` could not be started", process::shown(&truth)))?;
    watchdog::wait(child, limit)
}
