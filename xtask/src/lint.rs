//! `cargo xtask lint`: everything that can be said about the sources without running them. All checks run, whatever
//! the first says; the last line names those that failed.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::build::{self, Programs};
use crate::toolchain::Toolchain;
use crate::workspace::{Workspace, cargo};
use crate::{deny, packages, process, tidy};

type Check = fn(&Workspace) -> Result<bool>;

const CHECKS: [(&str, Check); 5] = [
    ("format", format),
    ("clippy", clippy),
    ("clippy of the kernel programs", kernel_clippy),
    ("dependencies", deny::check),
    ("tidy", tidy::check),
];

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    if let [other, ..] = args {
        bail!("`cargo xtask lint` takes no arguments, not `{other}` either");
    }
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        println!("lint: {name}");
        match check(workspace) {
            Ok(true) => {}
            Ok(false) => failed.push(name),
            Err(error) => {
                println!("{name}: {error:#}");
                failed.push(name);
            }
        }
    }
    if failed.is_empty() {
        println!("lint: nothing to complain about");
        return Ok(ExitCode::SUCCESS);
    }
    println!("lint: failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn format(workspace: &Workspace) -> Result<bool> {
    let mut good = true;
    for manifest in ["Cargo.toml", "tests/fuzz/Cargo.toml"] {
        let manifest = workspace.root.join(manifest);
        if manifest.is_file() {
            let mut fmt = cargo_in(workspace);
            good &= process::succeeds(
                fmt.args(["fmt", "--all", "--check", "--manifest-path"])
                    .arg(manifest),
            )?;
        }
    }
    if !good {
        println!("`cargo fmt --all` mends this; without rustfmt: rustup component add rustfmt");
    }
    Ok(good)
}

fn clippy(workspace: &Workspace) -> Result<bool> {
    let mut clippy = cargo_in(workspace);
    clippy
        .args(["clippy", "--workspace", "--all-targets"])
        .args(build::locked());
    process::succeeds(clippy.args(["--", "--deny", "warnings"]))
}

/// The kernel programs compile for BPF only, so by another compiler, which may come without clippy.
fn kernel_clippy(workspace: &Workspace) -> Result<bool> {
    let toolchain = Toolchain::find(workspace)?;
    if !toolchain.has_clippy()
        && let Some(package) = toolchain.clippy_package()
        && let Err(error) = packages::install(&[package], "linting the kernel programs")
    {
        println!("{error:#}");
    }
    let subcommand = if toolchain.has_clippy() { "clippy" } else { "check" };
    let mut command = build::kernel_cargo(workspace, &toolchain, subcommand, Programs::Release);
    if toolchain.has_clippy() {
        command.args(["--", "--deny", "warnings"]);
    } else {
        println!("SKIPPED clippy of the kernel programs: {toolchain} has none; compiler warnings only");
        command.env("CARGO_ENCODED_RUSTFLAGS", "-Dwarnings");
    }
    process::succeeds(&mut command)
}

fn cargo_in(workspace: &Workspace) -> Command {
    let mut command = process::command(cargo());
    command.current_dir(&workspace.root);
    command
}
