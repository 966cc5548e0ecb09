//! `cargo xtask kernels`: the same programs, the same capture test and a short form of the truth under other kernels, each in
//! a virtual machine that boots into them and ends with them. It is emulated, and needs no installed kernel and no root file
//! system: a kernel, and an archive with busybox, the tests and the daemon as static programs, and the kernel object.

pub mod archive;
mod fetch;
mod guest;
mod outcome;
mod page;
mod suite;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::build::{self, Programs};
use crate::workspace::{Workspace, cargo};
use crate::{dist, packages, process};
use guest::Programs as Guest;
use outcome::Outcome;
use page::Run;
use suite::Suite;

/// A folder of kernels to use instead of the target directory's.
pub const FOLDER: &str = "OBSERVER_KERNELS";
/// Programs from all over the test suite would take each kernel minutes; this one has all that differs between kernels.
const TEST: &str = "capture_exchange";
/// What the last run of all kernels found.
const PAGE: &str = "observer/docs/kernels.md";
const FILTER: &str = "few_streams_loopback_ipv4";
/// Guests at a time: each has phases of one CPU and of two.
const AT_ONCE: usize = 3;
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
    let place = workspace.target.join("kernels-run");
    let guest = programs(workspace)?;
    let image = guest::image(&place, &guest, FILTER, &suite::options())?;
    println!("{}", outcome::HEAD);
    let date = process::output(process::command("date").args(["-u", "+%Y-%m-%d"]))?;
    let (count, mut runs) = (kernels.len(), Vec::new());
    for some in kernels.chunks(AT_ONCE) {
        for (kernel, said) in some.iter().zip(boot(some, &image, &place)?) {
            let run = Run {
                kernel: name(kernel),
                outcome: Outcome::parse(&said),
                suite: Suite::parse(&said),
            };
            println!("{}; {}", run.outcome.row(&run.kernel), run.suite.summary());
            runs.push(run);
        }
        if wanted.is_empty() {
            // After each: a run that is stopped leaves what it has found.
            std::fs::write(workspace.root.join(PAGE), page::page(date.trim(), &runs, count))?;
        }
    }
    println!("what each kernel and its tests said is in {}", place.display());
    let all_good = runs
        .iter()
        .all(|run| run.outcome.is_good() && run.suite.is_good());
    Ok(if all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs these kernels at once; gives what the tests of each said.
fn boot(kernels: &[PathBuf], image: &Path, place: &Path) -> Result<Vec<String>> {
    std::thread::scope(|scope| {
        let started: Vec<_> = kernels
            .iter()
            .map(|kernel| scope.spawn(|| guest::boot(kernel, image, &place.join(name(kernel)))))
            .collect();
        let ended = started.into_iter().map(|guest| match guest.join() {
            Ok(said) => said,
            Err(_) => bail!("the thread of a guest has panicked"),
        });
        ended.collect()
    })
}

/// Builds what the guests run.
fn programs(workspace: &Workspace) -> Result<Guest> {
    let object = build::kernel_object(workspace, Programs::Release)?;
    let daemon = dist::program::build(workspace, &object)?;
    let test = static_test(workspace)?;
    let mut build = static_build(
        workspace,
        &[
            "build",
            "--package",
            "tests",
            "--bin",
            "truth",
            "--bin",
            "tonic-peer",
        ],
    );
    process::run(&mut build)?;
    let built = workspace.target.join("static").join(TARGET).join("debug");
    Ok(Guest {
        test,
        object,
        daemon,
        truth: built.join("truth"),
        peer: built.join("tonic-peer"),
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

/// A cargo command whose programs need nothing.
fn static_build(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut build = process::command(cargo());
    build
        .args(arguments)
        .args(["--target", TARGET, "--target-dir"])
        .arg(workspace.target.join("static"))
        .args(build::locked());
    build.env("RUSTFLAGS", STATIC).current_dir(&workspace.root);
    // Emulation makes programs slow enough; and what is not there need not be unpacked.
    build
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    build
}

/// The capture test as such a program.
fn static_test(workspace: &Workspace) -> Result<PathBuf> {
    let mut build = static_build(
        workspace,
        &["test", "--package", "tests", "--test", TEST, "--no-run"],
    );
    build.args(["--message-format", "json-render-diagnostics"]);
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
