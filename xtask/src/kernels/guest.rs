//! One virtual machine: what it boots into, and running it to its end.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::architecture::Architecture;
use super::archive::Archive;
use super::program::Programs;
use super::suite;
use crate::process;

/// Longest life of a guest. Under emulation on a busy machine an old kernel takes minutes to verify the programs.
const MAX_SECONDS: &str = "1800";
/// Where Debian keeps the certificates of authorities.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Lines of a guest's output: the ends of the capture test, of the truth, of the truth over TLS, and of the tests of names and
/// of changes of sockets.
pub const STATUS: &str = "guest: status ";
pub const TRUTH: &str = "guest: truth ";
pub const ENCRYPTED: &str = "guest: encrypted ";
pub const NAMES: &str = "guest: names ";
pub const CHANGES: &str = "guest: changes ";
/// In place of the exit status of a test that has said so.
pub const SKIPPED: i32 = 77;

/// Mounts what the tests need, runs them, and ends the machine; `-no-reboot` makes an exit of the restart.
/// `line` takes what is said. Kernels before 5.11 charge maps to the memory that may be locked.
pub fn init(line: &str, filter: &str) -> String {
    let truth = |options: String| {
        format!(
            "env CARGO_BIN_EXE_tonic-peer=/suite/peer OBSERVER_GO_PEER=/suite/go-peer OBSERVER_DAEMON=/suite/observer \
             /suite/judge --seed 1 --no-capture {options} > {line} 2>&1\n"
        )
    };
    let (plain, encrypted) = (truth(suite::plain()), truth(suite::encrypted()));
    let test = |program: &str, end: &str| {
        format!(
            "env CARGO_BIN_EXE_tonic-peer=/suite/peer OBSERVER_DAEMON=/suite/observer /suite/{program} --nocapture > /tmp/said 2>&1\n\
             end=$?; grep -q ^SKIPPED /tmp/said && end={SKIPPED}\n\
             echo \"{end}$end\" > {line}; cat /tmp/said > {line}\n"
        )
    };
    let (names, changes) = (test("names", NAMES), test("changes", CHANGES));
    format!(
        "#!/bin/busybox sh\n\
         export PATH=/bin HOME=/ OBSERVER_KERNEL_OBJECT=/object RUST_BACKTRACE=0\n\
         /bin/busybox --install -s /bin\n\
         mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp\n\
         mount -t cgroup2 cgroup2 /sys/fs/cgroup; echo +cpu > /sys/fs/cgroup/cgroup.subtree_control\n\
         mount -t tracefs tracefs /sys/kernel/tracing; ip link set lo up; ulimit -l unlimited\n\
         /test --nocapture {filter} > {line} 2>&1\n\
         echo \"{STATUS}$?\" > {line}\n\
         {plain}echo \"{TRUTH}$?\" > {line}\n\
         {encrypted}echo \"{ENCRYPTED}$?\" > {line}\n\
         {names}{changes}sync\n\
         reboot -f\n"
    )
}

/// Writes the archive that the kernels of one architecture boot into.
pub fn image(image: &Path, programs: &Programs, init: &str) -> Result<()> {
    let read = |file: &Path| fs::read(file).with_context(|| format!("{} cannot be read", file.display()));
    let mut archive = Archive::default();
    for directory in ["bin", "proc", "sys", "dev", "tmp", "suite"] {
        archive.directory(directory);
    }
    // The daemon's client of an API server wants some authority to trust, whether or not the server is asked over TLS.
    if let Ok(authorities) = fs::read(AUTHORITIES) {
        for directory in ["etc", "etc/ssl", "etc/ssl/certs"] {
            archive.directory(directory);
        }
        archive.file(AUTHORITIES.trim_start_matches('/'), &authorities);
    }
    archive.file("bin/busybox", &read(&programs.busybox)?);
    archive.file("init", init.as_bytes());
    archive.file("test", &read(&programs.capture)?);
    archive.file("object", &read(&programs.object)?);
    // The judge looks for the folder that it may write to by this mark.
    archive.file("suite/CACHEDIR.TAG", &[]);
    archive.file("suite/judge", &read(&programs.truth)?);
    archive.file("suite/names", &read(&programs.names)?);
    archive.file("suite/changes", &read(&programs.changes)?);
    archive.file("suite/peer", &read(&programs.peer)?);
    archive.file("suite/go-peer", &read(&programs.go_peer)?);
    archive.file("suite/observer", &read(&programs.daemon)?);
    fs::create_dir_all(image.parent().unwrap_or(Path::new(".")))?;
    fs::write(image, archive.finish()).with_context(|| format!("{} cannot be written", image.display()))
}

/// Runs one kernel; gives what its test said.
pub fn boot(architecture: Architecture, kernel: &Path, image: &Path, files: &Path) -> Result<String> {
    let (console, said) = (with(files, "console"), with(files, "test"));
    // An earlier run's must not pass for this one's.
    let _ = fs::remove_file(&said);
    let mut machine = process::command("timeout");
    let (emulator, _) = architecture.emulator();
    machine.args([MAX_SECONDS, emulator]);
    machine
        .args(architecture.machine())
        .args(["-smp", "2", "-m", "2G"]);
    // Not KVM: nested in another machine it may be there and fail in the middle, which stops the guest for ever.
    machine.args(["-accel", "tcg,thread=multi"]);
    machine.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    machine.arg("-kernel").arg(kernel).arg("-initrd").arg(image);
    machine.args(["-append", architecture.parameters()]);
    machine.arg("-serial").arg(format!("file:{}", console.display()));
    let (_, device) = architecture.line();
    machine
        .arg("-chardev")
        .arg(format!("file,id=said,path={}", said.display()))
        .args(device);
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
