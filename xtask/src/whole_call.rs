//! Instructions that a whole call costs more with the observer, of the kernel, of both ends and of the daemon: counted in
//! an emulated machine in which time is a count of instructions. What is counted, and how: `tests/src/overhead/counted.rs`.

mod cost;
mod image;
mod machine;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::build::{self, DAEMON, KERNEL_OBJECT};
use crate::workspace::{Workspace, cargo};
use crate::{packages, privilege, process};
pub use cost::{Baseline, Change, Cost};
pub use machine::release;

/// What the pair of plain sockets is called (`tests/src/overhead/counted.rs`).
pub const GUARDED: &str = "exchange";
/// Language of the program that is built with the judge.
const OWN: &str = "tonic";

/// What the machine boots, and the pairs that it counts.
#[derive(Debug)]
pub struct Guest {
    kernel: PathBuf,
    daemon: PathBuf,
    object: PathBuf,
    judge: PathBuf,
    /// Language and program: what is counted besides the pair of plain sockets, which the judge is itself.
    pairs: Vec<(String, PathBuf)>,
}

/// `cargo xtask bench --guest`: counts for every pair and writes the figures down.
pub fn command(workspace: &Workspace, daemon: &Path) -> Result<ExitCode> {
    let guest = Guest::build(workspace, daemon, prepare(workspace)?)?;
    let costs = guest.count(workspace)?;
    let baseline = Baseline {
        kernel: release(&guest.kernel),
        compiler: compiler()?,
        costs,
    };
    print!("{baseline}");
    baseline.write(workspace)?;
    Ok(ExitCode::SUCCESS)
}

/// Installs the emulator and fetches the kernel, which it gives; an error says what this machine lacks.
pub fn prepare(workspace: &Workspace) -> Result<PathBuf> {
    if !cfg!(target_arch = "x86_64") {
        bail!("instructions of a whole call are counted on x86_64 only, so far");
    }
    for (program, package) in [
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("busybox", "busybox-static"),
    ] {
        if process::which(program).is_none() {
            packages::install(&[package], "counting instructions of a whole call")?;
        }
    }
    machine::kernel(workspace)
}

impl Guest {
    /// With the pairs that can be had, as they are released.
    fn build(workspace: &Workspace, daemon: &Path, kernel: PathBuf) -> Result<Self> {
        let built = programs(workspace)?;
        let judge = built.join("overhead");
        let mut asked = process::command(&judge);
        asked
            .arg("counted-programs")
            .env(DAEMON, daemon)
            .env(format!("CARGO_BIN_EXE_{OWN}-peer"), built.join("tonic-peer"));
        let told = process::output(&mut asked)?;
        let pairs = told.lines().filter_map(|line| {
            let (language, program) = line.split_once('=')?;
            Some((language.to_owned(), PathBuf::from(program)))
        });
        Ok(Self {
            kernel,
            daemon: daemon.to_owned(),
            object: workspace.kernel_object(),
            judge,
            pairs: pairs.collect(),
        })
    }

    /// With the pair of plain sockets alone, which does so little itself that it need not be as it is released: it is there
    /// where the tests are.
    pub fn guard(workspace: &Workspace, daemon: &Path, kernel: PathBuf) -> Result<Self> {
        let mut build = process::command(cargo());
        build
            .args(["build", "--package", "tests", "--bin", "overhead"])
            .args(build::locked())
            .current_dir(&workspace.root)
            .env(KERNEL_OBJECT, workspace.kernel_object());
        process::run(&mut build).context("the program that counts")?;
        Ok(Self {
            kernel,
            daemon: daemon.to_owned(),
            object: workspace.kernel_object(),
            judge: workspace.target.join("debug/overhead"),
            pairs: Vec::new(),
        })
    }

    pub fn count(&self, workspace: &Workspace) -> Result<Vec<Cost>> {
        let place = workspace.target.join("whole-call");
        let image = image::write(&place, self)?;
        let said = machine::boot(&self.kernel, &image, &place)?;
        let costs: Vec<Cost> = said.lines().filter_map(Cost::told).collect();
        if !said.lines().any(|line| line.trim() == image::GOOD) || costs.is_empty() {
            bail!("the machine did not count to the end; it said:\n{said}");
        }
        Ok(costs)
    }
}

/// As they are released, but for the libraries; gives their folder.
fn programs(workspace: &Workspace) -> Result<PathBuf> {
    if !privilege::is_root() {
        println!("not as root: programs that are not there yet may not be had");
    }
    let mut build = process::command(cargo());
    build.args(["build", "--release", "--package", "tests"]);
    build
        .args(["--bin", "overhead", "--bin", "tonic-peer"])
        .args(build::locked())
        .current_dir(&workspace.root)
        .env(KERNEL_OBJECT, workspace.kernel_object());
    process::run(&mut build).context("the programs that are counted")?;
    Ok(workspace.target.join("release"))
}

pub fn compiler() -> Result<String> {
    let version = process::output(process::command("rustc").arg("-V"))?;
    Ok(format!("{}, {}", version.trim(), std::env::consts::ARCH))
}
