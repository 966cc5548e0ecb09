//! `cargo xtask build`: the kernel object first, then the daemon with the object inside.
//!
//! The kernel object ends at `kernel/observer.bpf.o` in the target directory; its own build lies in
//! `kernel-build`, apart from the host's, so that two compilers never fight over one directory. The daemon's build
//! script gets the object's path by `OBSERVER_KERNEL_OBJECT`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::elf::Calls;
use crate::linker::Linker;
use crate::toolchain::{TARGET, Toolchain};
use crate::workspace::{Workspace, cargo};
use crate::{elf, process};

/// Tells `observer/build.rs` which object to embed.
pub const KERNEL_OBJECT: &str = "OBSERVER_KERNEL_OBJECT";

/// Tells tests and benches where the daemon is.
pub const DAEMON: &str = "OBSERVER_DAEMON";

/// Cargo profile of the kernel programs, in the workspace's Cargo.toml.
pub const PROFILE: &str = "kernel";

/// Whether the kernel programs log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    Release,
    Debug,
}

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let mut programs = Programs::Release;
    for arg in args {
        match arg.as_str() {
            "--debug-programs" => programs = Programs::Debug,
            other => bail!("`cargo xtask build` knows no `{other}`, only --debug-programs"),
        }
    }
    build(workspace, programs)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds both; gives the daemon's path.
pub fn build(workspace: &Workspace, programs: Programs) -> Result<PathBuf> {
    let object = kernel_object(workspace, programs)?;
    let mut build = process::command(cargo());
    build
        .args(["build", "--release", "--package", "observer", "--bin", "observer"])
        .args(locked());
    if programs == Programs::Debug {
        build.args(["--features", "kernel-log"]);
    }
    process::run(build.current_dir(&workspace.root).env(KERNEL_OBJECT, &object))?;
    let daemon = workspace.daemon();
    println!("daemon: {}, {} KiB", daemon.display(), kibibytes(&daemon)?);
    Ok(daemon)
}

/// The daemon that `OBSERVER_DAEMON` names, so that a second run builds nothing, else the one that is built.
pub fn given_or_built(workspace: &Workspace) -> Result<PathBuf> {
    match std::env::var_os(DAEMON) {
        Some(daemon) => Ok(PathBuf::from(daemon)),
        None => build(workspace, Programs::Release),
    }
}

/// Builds the kernel object; gives its path.
pub fn kernel_object(workspace: &Workspace, programs: Programs) -> Result<PathBuf> {
    kernel_object_for(workspace, programs, std::env::consts::ARCH)
}

/// The same for a machine that may be another one: probes of processes read its registers. All else is the same everywhere.
pub fn kernel_object_for(workspace: &Workspace, programs: Programs, machine: &str) -> Result<PathBuf> {
    let toolchain = Toolchain::find(workspace)?;
    let linker = Linker::prepare(workspace, &toolchain)?;
    let mut kernel = kernel_cargo(workspace, &toolchain, "build", programs);
    kernel.env("LD_LIBRARY_PATH", &linker.library_path);
    // The linker makes BTF of the debug information: types for maps, source lines for the verifier's log.
    let mut flags = vec![
        format!("-Clinker={}", linker.program.display()),
        String::from("-Clink-arg=--btf"),
        // The linker's default keeps LLVM from expanding copies in place; they would become calls of functions.
        String::from("-Clink-arg=--disable-expand-memcpy-in-order"),
        // Whose registers there are, for `aya-ebpf` and for us.
        format!("--cfg=bpf_target_arch=\"{machine}\""),
    ];
    // The object is the same wherever it was built, and tells nobody where that was.
    for (place, name) in places(workspace) {
        flags.push(format!("--remap-path-prefix={}={name}", place.display()));
    }
    kernel.args(["--bin", "observer"]);
    process::run(kernel.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")))?;

    let product = build_directory(workspace)
        .join(TARGET)
        .join(PROFILE)
        .join("observer");
    // Whoever builds the daemon without xtask gets the one that says nothing.
    let object = match programs {
        Programs::Release if machine != std::env::consts::ARCH => workspace
            .kernel_object()
            .with_file_name(format!("observer-{machine}.bpf.o")),
        Programs::Release => workspace.kernel_object(),
        Programs::Debug => workspace.kernel_object().with_file_name("observer-log.bpf.o"),
    };
    let linked = std::fs::read(&product).with_context(|| format!("{} was not built", product.display()))?;
    // What logs is for the machine at hand, and too large to be inlined.
    let calls = match programs {
        Programs::Release => Calls::Refused,
        Programs::Debug => Calls::Allowed,
    };
    replace(elf::finish(&linked, calls)?, &object)?;
    println!("kernel object: {}, {} KiB", object.display(), kibibytes(&object)?);
    Ok(object)
}

/// A cargo command over the kernel programs, with their features and profile.
pub fn kernel_cargo(
    workspace: &Workspace,
    toolchain: &Toolchain,
    subcommand: &str,
    programs: Programs,
) -> Command {
    let mut command = toolchain.cargo(workspace, subcommand);
    command.args([
        "--package",
        "observer-ebpf",
        "--no-default-features",
        "--profile",
        PROFILE,
    ]);
    command
        .arg("--target-dir")
        .arg(build_directory(workspace))
        .args(locked());
    let features = match programs {
        Programs::Release => "programs",
        Programs::Debug => "log",
    };
    command.args(["--features", features]);
    command
}

/// Where sources lie on this machine, and what they are called instead.
fn places(workspace: &Workspace) -> Vec<(PathBuf, &'static str)> {
    let home = std::env::home_dir().unwrap_or_default();
    let of = |variable: &str, folder: &str| {
        std::env::var_os(variable).map_or_else(|| home.join(folder), PathBuf::from)
    };
    vec![
        (of("CARGO_HOME", ".cargo"), "cargo"),
        (of("RUSTUP_HOME", ".rustup"), "rustup"),
        (workspace.root.clone(), ""),
    ]
}

fn build_directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("kernel-build")
}

/// CI builds what was committed, not what a registry has since published.
pub fn locked() -> Option<&'static str> {
    std::env::var_os("CI").map(|_| "--locked")
}

/// Leaves an equal file alone, so that cargo does not build the daemon again for nothing.
fn replace(new: Vec<u8>, to: &std::path::Path) -> Result<()> {
    if std::fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    std::fs::create_dir_all(to.parent().context("no directory for the kernel object")?)?;
    std::fs::write(to, new).with_context(|| format!("{} cannot be written", to.display()))
}

fn kibibytes(file: &std::path::Path) -> Result<u64> {
    let length = std::fs::metadata(file)
        .with_context(|| format!("{} was not built", file.display()))?
        .len();
    Ok(length.div_ceil(1024))
}
