//! The daemon without a dynamic linker: for musl where that target is installed, else glibc linked statically.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::build::{self, KERNEL_OBJECT};
use crate::process;
use crate::workspace::{Workspace, cargo};

/// What a daemon is built for.
#[derive(Debug)]
pub struct Target {
    /// As Rust calls it.
    pub name: String,
    pub is_musl: bool,
}

/// For this machine's own architecture.
pub fn build(workspace: &Workspace, object: &Path) -> Result<PathBuf> {
    let target = target()?;
    build_for(workspace, object, &target, |command| {
        if target.is_musl && process::which("musl-gcc").is_none() {
            // The few C files of `ring` need no C library; any compiler for this machine does.
            command.env(format!("CC_{}", target.name.replace('-', "_")), "cc");
        }
    })
}

/// `tools` names the compiler and the linker where cargo would not find them.
pub fn build_for(
    workspace: &Workspace,
    object: &Path,
    target: &Target,
    tools: impl FnOnce(&mut Command),
) -> Result<PathBuf> {
    let Target { name, is_musl } = target;
    let mut command = process::command(cargo());
    command
        .args(["build", "--release", "--package", "observer", "--bin", "observer"])
        .args(["--target", name])
        .args(build::locked())
        .current_dir(&workspace.root)
        .env(KERNEL_OBJECT, object)
        .env("RUSTFLAGS", flags(workspace, *is_musl));
    tools(&mut command);
    println!("daemon: for {name}, static");
    process::run(&mut command)?;
    let daemon = workspace.target.join(name).join("release/observer");
    ensure!(is_static(&daemon)?, "{} is not static", daemon.display());
    Ok(daemon)
}

/// The same bytes wherever it was built, and no path of that place in them.
fn flags(workspace: &Workspace, is_musl: bool) -> String {
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))
        .unwrap_or_default();
    let mut flags = vec![format!("--remap-path-prefix={}=", workspace.root.display())];
    if !home.is_empty() {
        flags.push(format!("--remap-path-prefix={home}=cargo"));
    }
    if !is_musl {
        flags.push(String::from("-Ctarget-feature=+crt-static"));
    }
    flags.join(" ")
}

fn target() -> Result<Target> {
    let mut rustc = process::command("rustc");
    let sysroot = process::output(rustc.args(["--print", "sysroot"]))?;
    let about = process::output(process::command("rustc").arg("-vV"))?;
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc names no host")?;
    let musl = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let installed = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(&musl)
        .join("lib");
    let is_musl = installed.is_dir();
    Ok(Target {
        name: if is_musl { musl } else { host.to_owned() },
        is_musl,
    })
}

/// `PT_INTERP` of ELF.
const INTERPRETER: u64 = 3;

/// Whether an ELF file names no program interpreter.
fn is_static(daemon: &Path) -> Result<bool> {
    let bytes = std::fs::read(daemon).with_context(|| format!("{} was not built", daemon.display()))?;
    let word = |at: usize, length: usize| -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |value, byte| (value << 8) | u64::from(*byte)),
        )
    };
    // Elf64_Ehdr: e_phoff, e_phentsize, e_phnum; Elf64_Phdr begins with p_type.
    let (start, size, count) = (word(32, 8), word(54, 2), word(56, 2));
    let (Some(start), Some(size), Some(count)) = (start, size, count) else {
        anyhow::bail!("{} is no ELF file", daemon.display());
    };
    Ok((0..count).all(|index| {
        let at = usize::try_from(start + index * size).ok();
        at.and_then(|at| word(at, 4)) != Some(INTERPRETER)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_has_an_interpreter() {
        // Tests are linked as the host links: against its shared C library.
        let own = std::env::current_exe().unwrap();
        assert!(!is_static(&own).unwrap());
        assert!(is_static(Path::new(env!("CARGO_MANIFEST_DIR"))).is_err());
    }
}
