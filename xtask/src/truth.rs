//! `cargo xtask truth`: builds the daemon and the program that judges it (crate `tests`), and runs that as root.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::build::{self, DAEMON, KERNEL_OBJECT, Programs};
use crate::workspace::{Workspace, cargo};
use crate::{privilege, process};

/// In the target directory, as cargo builds it.
const PROGRAM: &str = "debug/truth";
/// Tells the program whose child it is, so that it can ask the kernel to be killed with it.
const PARENT: &str = "OBSERVER_XTASK";

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let daemon = build::build(workspace, Programs::Release)?;
    Ok(if judge(workspace, &daemon, args)? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether every cell of the table is right, or explained.
pub fn judge(workspace: &Workspace, daemon: &Path, args: &[String]) -> Result<bool> {
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
    if privilege::is_root() {
        truth
            .env(DAEMON, daemon)
            .env(PARENT, std::process::id().to_string());
    } else {
        // Sudo hands over no variables unless they are named.
        truth = process::command(process::which("sudo").context("there was a sudo a moment ago")?);
        truth.arg(format!("{DAEMON}={}", daemon.display())).arg(&program);
    }
    let status = truth
        .args(args)
        .status()
        .with_context(|| format!("`{}` could not be started", process::shown(&truth)))?;
    Ok(status.success())
}
