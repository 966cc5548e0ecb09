//! `cargo xtask kernels`: the same programs, the same capture test and a short form of the truth under other kernels, each in
//! a virtual machine that boots into them and ends with them. It is emulated, and needs no installed kernel and no root file
//! system: a kernel, and an archive with busybox, the tests and the daemon as static programs, and the kernel object.

mod architecture;
pub mod archive;
pub mod fetch;
mod guest;
mod outcome;
mod page;
mod program;
mod suite;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::workspace::Workspace;
use crate::{packages, process};
use architecture::Architecture;
use outcome::Outcome;
use page::Run;
use program::Programs;
use suite::Suite;

/// A folder of kernels to use instead of the target directory's.
pub const FOLDER: &str = "OBSERVER_KERNELS";
/// What the last run of all kernels found.
const PAGE: &str = "observer/docs/kernels.md";
const FILTER: &str = "few_streams_loopback_ipv4";
/// Guests at a time: each has phases of one CPU and of two.
const AT_ONCE: usize = 3;

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    if !cfg!(target_arch = "x86_64") {
        bail!("on a machine of x86_64 only, so far");
    }
    let folder = std::env::var_os(FOLDER).map_or_else(|| workspace.target.join("kernels"), PathBuf::from);
    match args {
        [command] if command == "get" => {
            Architecture::ALL
                .into_iter()
                .try_for_each(|architecture| fetch::all(&folder, architecture))?;
            Ok(ExitCode::SUCCESS)
        }
        [command, wanted @ ..] if command == "run" => run(workspace, &folder, wanted),
        [] => run(workspace, &folder, &[]),
        [other, ..] => bail!("`cargo xtask kernels` knows `get` and `run`, not `{other}`"),
    }
}

/// Boots every kernel whose name has one of `wanted` in it, or all.
fn run(workspace: &Workspace, folder: &Path, wanted: &[String]) -> Result<ExitCode> {
    for architecture in Architecture::ALL {
        let there = present(folder)?;
        if !there
            .iter()
            .any(|kernel| Architecture::of(&name(kernel)) == architecture)
        {
            fetch::all(folder, architecture)?;
        }
    }
    let mut kernels = present(folder)?;
    kernels.retain(|kernel| wanted.is_empty() || wanted.iter().any(|part| name(kernel).contains(part)));
    if kernels.is_empty() {
        bail!("no kernel in {} is meant", folder.display());
    }
    let place = workspace.target.join("kernels-run");
    let images = images(workspace, folder, &kernels, &place)?;
    println!("{}", outcome::HEAD);
    let date = process::output(process::command("date").args(["-u", "+%Y-%m-%d"]))?;
    let (count, mut runs) = (kernels.len(), Vec::new());
    for some in kernels.chunks(AT_ONCE) {
        for (kernel, said) in some.iter().zip(boot(some, &images, &place)?) {
            let run = Run {
                kernel: name(kernel),
                outcome: Outcome::parse(&said),
                suite: Suite::parse(&said),
            };
            let [names, changes] = run.suite.tests();
            println!(
                "{}; {}; names {names}, changes {changes}",
                run.outcome.row(&run.kernel),
                run.suite.summary()
            );
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

/// What the kernels boot into: one archive for each architecture among them.
fn images(
    workspace: &Workspace,
    folder: &Path,
    kernels: &[PathBuf],
    place: &Path,
) -> Result<BTreeMap<Architecture, PathBuf>> {
    let mut images = BTreeMap::new();
    for kernel in kernels {
        let architecture = Architecture::of(&name(kernel));
        if images.contains_key(&architecture) {
            continue;
        }
        for (program, package) in architecture.programs() {
            if process::which(program).is_none() {
                packages::install(&package, "booting other kernels")?;
            }
        }
        let busybox = match architecture {
            Architecture::X86 => process::which("busybox").context("there is no busybox")?,
            Architecture::Arm => fetch::busybox(folder, architecture)?,
        };
        let machine = architecture.machine_name();
        let object = build::kernel_object_for(workspace, build::Programs::Release, machine)?;
        let programs = Programs::build(workspace, architecture, object, busybox)?;
        let (line, _) = architecture.line();
        let init = guest::init(line, FILTER);
        let image = place.join(format!("image-{}.cpio", architecture.debian()));
        guest::image(&image, &programs, &init)?;
        images.insert(architecture, image);
    }
    Ok(images)
}

/// Runs these kernels at once; gives what the tests of each said.
fn boot(kernels: &[PathBuf], images: &BTreeMap<Architecture, PathBuf>, place: &Path) -> Result<Vec<String>> {
    let boot = |kernel: &Path| {
        let architecture = Architecture::of(&name(kernel));
        let image = images.get(&architecture).context("no archive to boot into")?;
        guest::boot(architecture, kernel, image, &place.join(name(kernel)))
    };
    std::thread::scope(|scope| {
        let started: Vec<_> = kernels
            .iter()
            .map(|kernel| scope.spawn(|| boot(kernel)))
            .collect();
        let ended = started.into_iter().map(|guest| match guest.join() {
            Ok(said) => said,
            Err(_) => bail!("the thread of a guest has panicked"),
        });
        ended.collect()
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
        check("busybox-arm64", None);
    }
}
