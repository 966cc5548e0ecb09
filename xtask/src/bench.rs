//! `cargo xtask bench`: what decoding costs (criterion, crate `observer`), then what the kernel programs cost on
//! live traffic (benches of crate `tests`, which need root).

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::build::{self, DAEMON, KERNEL_OBJECT, Programs};
use crate::workspace::{Workspace, cargo};
use crate::{instructions, privilege, process};

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    if args == ["--instructions"] {
        return instructions::command(workspace);
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
