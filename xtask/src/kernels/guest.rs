//! One virtual machine: what it boots into, and running it to its end.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::archive::Archive;
use crate::process;

/// Longest life of a guest. Under emulation on a busy machine an old kernel takes minutes to verify the programs.
const MAX_SECONDS: &str = "1800";
/// Lines of a guest's output: the end of the capture test, and of the truth.
pub const STATUS: &str = "guest: status ";
pub const TRUTH: &str = "guest: truth ";

/// Everything that the guests run, as static programs.
#[derive(Debug)]
pub struct Programs {
    pub test: PathBuf,
    pub object: PathBuf,
    pub daemon: PathBuf,
    /// The program that judges, and the peer that it starts.
    pub truth: PathBuf,
    pub peer: PathBuf,
}

/// Mounts what the tests need, runs them, and ends the machine; `-no-reboot` makes an exit of the restart.
/// Kernels before 5.11 charge maps to the memory that may be locked.
fn init(filter: &str, situations: &str) -> String {
    format!(
        "#!/bin/busybox sh\n\
         export PATH=/bin HOME=/ OBSERVER_KERNEL_OBJECT=/object RUST_BACKTRACE=0\n\
         /bin/busybox --install -s /bin\n\
         mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp\n\
         mount -t cgroup2 cgroup2 /sys/fs/cgroup; echo +cpu > /sys/fs/cgroup/cgroup.subtree_control\n\
         ip link set lo up; ulimit -l unlimited\n\
         /test --nocapture {filter} > /dev/ttyS1 2>&1\n\
         echo \"{STATUS}$?\" > /dev/ttyS1\n\
         env CARGO_BIN_EXE_tonic-peer=/suite/peer OBSERVER_DAEMON=/suite/observer /suite/judge --seed 1 --no-capture \
         --implementation tonic --client tonic {situations} > /dev/ttyS1 2>&1\n\
         echo \"{TRUTH}$?\" > /dev/ttyS1\n\
         reboot -f\n"
    )
}

/// Writes the archive that every kernel boots into.
pub fn image(place: &Path, programs: &Programs, filter: &str, situations: &str) -> Result<PathBuf> {
    let read = |file: &Path| fs::read(file).with_context(|| format!("{} cannot be read", file.display()));
    let busybox = process::which("busybox").context("there is no busybox")?;
    let mut archive = Archive::default();
    for directory in ["bin", "proc", "sys", "dev", "tmp", "suite"] {
        archive.directory(directory);
    }
    archive.file("bin/busybox", &read(&busybox)?);
    archive.file("init", init(filter, situations).as_bytes());
    archive.file("test", &read(&programs.test)?);
    archive.file("object", &read(&programs.object)?);
    // The judge looks for the folder that it may write to by this mark.
    archive.file("suite/CACHEDIR.TAG", &[]);
    archive.file("suite/judge", &read(&programs.truth)?);
    archive.file("suite/peer", &read(&programs.peer)?);
    archive.file("suite/observer", &read(&programs.daemon)?);
    fs::create_dir_all(place)?;
    let image = place.join("image.cpio");
    fs::write(&image, archive.finish()).with_context(|| format!("{} cannot be written", image.display()))?;
    Ok(image)
}

/// Runs one kernel; gives what its test said.
pub fn boot(kernel: &Path, image: &Path, files: &Path) -> Result<String> {
    let (console, said) = (with(files, "console"), with(files, "test"));
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
        "-smp",
        "2",
        "-m",
        "2G",
    ]);
    // Not KVM: nested in another machine it may be there and fail in the middle, which stops the guest for ever.
    machine.args(["-accel", "tcg,thread=multi"]);
    machine.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    machine.arg("-kernel").arg(kernel).arg("-initrd").arg(image);
    // On a busy host the emulated timer may be too late for the kernel's check of it.
    machine.args([
        "-append",
        "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off",
    ]);
    for file in [&console, &said] {
        machine.arg("-serial").arg(format!("file:{}", file.display()));
    }
    // How it ended shows in what it said.
    process::succeeds(&mut machine)?;
    Ok(fs::read(&said)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default())
}

fn with(files: &Path, extension: &str) -> PathBuf {
    let mut name = files.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}
