//! `cargo xtask kernels`: the same programs and the same capture test under other kernels, each in a virtual machine
//! that boots into the test and ends with it. It is emulated, and needs no installed kernel and no root file system: a kernel,
//! and an archive with busybox, the test as a static program and the kernel object.

mod archive;
mod fetch;
mod guest;
mod outcome;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::build::{self, Programs};
use crate::workspace::{Workspace, cargo};
use crate::{packages, process};
use outcome::Outcome;

/// A folder of kernels to use instead of the target directory's.
const FOLDER: &str = "OBSERVER_KERNELS";
/// Programs from all over the test suite would take each kernel minutes; this one has all that differs between kernels.
const TEST: &str = "capture_exchange";
const FILTER: &str = "few_streams_loopback_ipv4";
/// Statically linked, because the guest has no libraries; the target is named so that build scripts are not.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const STATIC: &str = "-Ctarget-feature=+crt-static";

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    if !cfg!(target_arch = "x86_64") {
        bail!("kernels of x86_64 only, so far");
    }
    let folder = std::env::var_os(FOLDER).map_or_else(|| workspace.target.join("kernels"), PathBuf::from);
    match args {
        [command] if command == "get" => {
            fetch::all(&folder)?;
            Ok(ExitCode::SUCCESS)
        }
        [command, wanted @ ..] if command == "run" => run(workspace, &folder, wanted),
        [] => run(workspace, &folder, &[]),
        [other, ..] => bail!("`cargo xtask kernels` knows `get` and `run`, not `{other}`"),
    }
}

/// Boots every kernel whose name has one of `wanted` in it, or all.
fn run(workspace: &Workspace, folder: &Path, wanted: &[String]) -> Result<ExitCode> {
    for (program, package) in [
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("busybox", "busybox-static"),
    ] {
        if process::which(program).is_none() {
            packages::install(&[package], "booting other kernels")?;
        }
    }
    if present(folder)?.is_empty() {
        fetch::all(folder)?;
    }
    let mut kernels = present(folder)?;
    kernels.retain(|kernel| wanted.is_empty() || wanted.iter().any(|part| name(kernel).contains(part)));
    if kernels.is_empty() {
        bail!("no kernel in {} is meant", folder.display());
    }
    let object = build::kernel_object(workspace, Programs::Release)?;
    let test = static_test(workspace)?;
    let place = workspace.target.join("kernels-run");
    let image = guest::image(&place, &test, &object, FILTER)?;
    println!("{}", outcome::HEAD);
    let mut all_good = true;
    for kernel in kernels {
        let said = guest::boot(&kernel, &image, &place.join(name(&kernel)))?;
        let outcome = Outcome::parse(&said);
        println!("{}", outcome.row(&name(&kernel)));
        all_good &= outcome.is_good();
    }
    println!("what each kernel and its test said is in {}", place.display());
    Ok(if all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The kernels that are there, oldest first.
fn present(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut kernels = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_file() && version(&path).is_some() {
            kernels.push(path);
        }
    }
    kernels.sort_by_key(|kernel| version(kernel));
    Ok(kernels)
}

fn name(kernel: &Path) -> String {
    kernel
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The numbers that a kernel's name begins with.
fn version(kernel: &Path) -> Option<Vec<u32>> {
    let name = name(kernel);
    let numbers = name.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    numbers.split('.').map(|number| number.parse().ok()).collect()
}

/// The capture test as a program that needs nothing.
fn static_test(workspace: &Workspace) -> Result<PathBuf> {
    let mut build = process::command(cargo());
    build
        .args([
            "test",
            "--package",
            "tests",
            "--test",
            TEST,
            "--no-run",
            "--target",
            TARGET,
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(workspace.target.join("static"))
        .args(build::locked());
    build.env("RUSTFLAGS", STATIC).current_dir(&workspace.root);
    println!("building {TEST} as a static program");
    let messages = process::output(&mut build)?;
    executable(&messages).context("cargo built no test program")
}

/// The program among cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == TEST)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_names() {
        let check = |name: &str, expected: Option<&[u32]>| {
            assert_eq!(version(Path::new(name)).as_deref(), expected, "{name}");
        };
        check("/k/5.10.0-46-cloud-amd64", Some(&[5, 10, 0]));
        check("7.3-cloud-amd64", Some(&[7, 3]));
        check("6.12.117+deb13-cloud-amd64", Some(&[6, 12, 117]));
        check("apt", None);
    }

    #[test]
    fn program_among_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"tests\"},\"executable\":null}\n\
            {\"target\":{\"name\":\"capture_exchange\"},\"executable\":\"/t/capture_exchange-1\"}\nnoise\n";
        assert_eq!(executable(messages), Some(PathBuf::from("/t/capture_exchange-1")));
        assert_eq!(executable("{}"), None);
    }
}
