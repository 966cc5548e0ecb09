//! `cargo xtask bench`: what decoding costs (criterion, crate `observer`), then what the kernel programs cost on
//! live traffic (benches of crate `tests`, which need root). `--overhead`: what it costs real programs to be observed
//! (`tests/src/overhead`), as root. `--instructions` and `--guest` count instead, and need no quiet machine.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::build::{self, DAEMON, KERNEL_OBJECT, Programs};
use crate::workspace::{Workspace, cargo};
use crate::{instructions, privilege, process, whole_call};

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    if args == ["--instructions"] {
        return instructions::command(workspace);
    }
    if args == ["--guest"] {
        return whole_call::command(workspace, &build::given_or_built(workspace)?);
    }
    if let Some(("--overhead", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return overhead(workspace, &build::given_or_built(workspace)?, rest);
    }
    let daemon = build::build(workspace, Programs::Release)?;
    for package in ["observer", "tests"] {
        let benches = workspace.benches(package);
        if benches.is_empty() {
            println!("{package} has no benches yet");
            continue;
        }
        if package == "tests" && !privilege::is_root() {
            bail!("the kernel programs' benches need root: start `cargo xtask bench` as root");
        }
        let mut bench = process::command(cargo());
        bench.args(["bench", "--package", package]).args(build::locked());
        for name in benches {
            bench.args(["--bench", name]);
        }
        bench.args(args).current_dir(&workspace.root);
        bench
            .env(KERNEL_OBJECT, workspace.kernel_object())
            .env(DAEMON, &daemon);
        process::run(&mut bench)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that is measured is built as it is released: the daemon, and tonic, which is a program of ours.
fn overhead(workspace: &Workspace, daemon: &Path, args: &[String]) -> Result<ExitCode> {
    if !privilege::is_root() {
        bail!("kernel programs and cgroups need root: start `cargo xtask bench --overhead` as root");
    }
    let mut build = process::command(cargo());
    build.args(["build", "--release", "--package", "tests"]);
    build
        .args(["--bin", "overhead", "--bin", "tonic-peer"])
        .args(build::locked());
    build
        .current_dir(&workspace.root)
        .env(KERNEL_OBJECT, workspace.kernel_object());
    process::run(&mut build)?;
    let programs = workspace.target.join("release");
    let mut overhead = process::command(programs.join("overhead"));
    overhead
        .args(args)
        .env(KERNEL_OBJECT, workspace.kernel_object())
        .env(DAEMON, daemon)
        .env("CARGO_BIN_EXE_tonic-peer", programs.join("tonic-peer"));
    process::run(&mut overhead)?;
    Ok(ExitCode::SUCCESS)
}
