//! The emulated machine: one processor, whose clock goes on by a nanosecond with each instruction, and no chance in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::kernels::{FOLDER, fetch};
use crate::process;
use crate::workspace::Workspace;

/// The kernel of Debian's stable suite. Figures hold for it.
const VERSION: &str = "6.12.";
/// Longest life of the machine: a minute and a half, if the host does nothing else.
const MAX_SECONDS: &str = "900";

/// The newest of the version, among those of `cargo xtask kernels` if they are there; else fetched alone, and kept apart from
/// them, because there is more in that folder than one.
pub fn kernel(workspace: &Workspace) -> Result<PathBuf> {
    let all = std::env::var_os(FOLDER).map_or_else(|| workspace.target.join("kernels"), PathBuf::from);
    let folder = workspace.target.join("whole-call/kernels");
    if let Some(kernel) = newest(&all).or_else(|| newest(&folder)) {
        return Ok(kernel);
    }
    fs::create_dir_all(&folder)?;
    fetch::stable(&folder)?;
    newest(&folder).with_context(|| format!("Debian's stable suite has no kernel {VERSION}"))
}

fn newest(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let kernels = entries.map(|entry| entry.path()).filter(|path| {
        let name = name(path);
        path.is_file() && name.starts_with(VERSION) && name.ends_with("amd64")
    });
    kernels.max()
}

fn name(kernel: &Path) -> String {
    kernel
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Without what security updates change.
pub fn release(kernel: &Path) -> String {
    let name = name(kernel);
    let numbers: Vec<&str> = name.splitn(3, '.').take(2).collect();
    numbers.join(".")
}

/// Runs it to its end; gives what was written to its second serial line.
pub fn boot(kernel: &Path, image: &Path, place: &Path) -> Result<String> {
    let (console, said) = (place.join("console"), place.join("said"));
    // An earlier run's must not pass for this one's.
    let _ = fs::remove_file(&said);
    let mut machine = process::command("timeout");
    machine.args([
        MAX_SECONDS,
        "qemu-system-x86_64",
        "-machine",
        "q35",
        "-cpu",
        "max",
    ]);
    machine.args(["-smp", "1", "-m", "1G", "-accel", "tcg,thread=single"]);
    machine.args(["-icount", "shift=0,sleep=off", "-seed", "1"]);
    machine.args(["-rtc", "base=2024-01-01T00:00:00,clock=vm"]);
    machine.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    machine.arg("-kernel").arg(kernel).arg("-initrd").arg(image);
    machine.args([
        "-append",
        "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off nokaslr norandmaps",
    ]);
    for file in [&console, &said] {
        machine.arg("-serial").arg(format!("file:{}", file.display()));
    }
    // How it ended shows in what it said.
    process::succeeds(&mut machine)?;
    let said = fs::read(&said).unwrap_or_default();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_of_a_kernel() {
        assert_eq!(release(Path::new("/k/6.12.118+deb13-cloud-amd64")), "6.12");
    }

    #[test]
    fn the_newest_for_this_machine() {
        let folder = std::env::temp_dir().join(format!("observer-whole-call-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let newest_of = |names: &[&str]| {
            for name in names {
                fs::write(folder.join(name), "").unwrap();
            }
            newest(&folder).map(|kernel| name(&kernel))
        };
        let none = newest_of(&["6.1.0-56-cloud-amd64", "6.12.118+deb13-cloud-arm64"]);
        let found = newest_of(&["6.12.117+deb13-cloud-amd64", "6.12.118+deb13-cloud-amd64"]);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(none, None);
        assert_eq!(found.as_deref(), Some("6.12.118+deb13-cloud-amd64"));
    }
}
