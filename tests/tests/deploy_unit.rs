//! The systemd unit: the daemon starts as nobody with exactly the capabilities that the unit gives it, and tells the
//! service manager. systemd itself does not run here; its own checker reads the unit.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tests::cgroup::Cgroup;
use tests::monitoring::{deploy, free_address};
use tests::prerequisite::{Error, or_skip};
use tests::process::{Place, Process};
use tests::{observer, scrape};

/// The verifier takes its time on a loaded machine.
const STARTING: Duration = Duration::from_mins(2);
const STOPPING: Duration = Duration::from_secs(5);

fn unit() -> Result<String> {
    Ok(std::fs::read_to_string(
        deploy().join("systemd/marty-observer.service"),
    )?)
}

/// The only value of a setting.
fn setting<'a>(unit: &'a str, name: &str) -> Result<&'a str> {
    let mut values = unit
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = values.next().with_context(|| format!("no {name}"))?;
    ensure!(values.next().is_none(), "{name} is there twice");
    Ok(value)
}

/// A folder that nobody can read, too, and that goes with the test.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("observer-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn message(socket: &UnixDatagram) -> Result<String> {
    let mut bytes = [0; 256];
    let length = socket.recv(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// The unit's command as the unit runs it, but for the paths.
fn start(capabilities: &str, folder: &Path, address: &str, cgroup: &Cgroup) -> Result<Process> {
    let binary = folder.join("observer");
    let daemon = observer::prepare().map_err(|error| anyhow::anyhow!(error))?;
    std::fs::copy(daemon, &binary)?;
    let configuration = folder.join("observer.yaml");
    std::fs::copy(deploy().join("systemd/observer.yaml"), &configuration)?;
    let set: Vec<String> = capabilities
        .split(' ')
        .map(|name| format!(",+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    let set = format!("-all{}", set.concat());
    let mut command: Vec<OsString> = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        .map(OsString::from)
        .to_vec();
    for option in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
        command.push(format!("{option}={set}").into());
    }
    command.extend(["--no-new-privs".into(), "env".into()]);
    command.push(format!("NOTIFY_SOCKET={}", folder.join("notify").display()).into());
    command.extend([
        binary.into(),
        "run".into(),
        "--config".into(),
        configuration.into(),
    ]);
    command.extend(["--listen".into(), address.into()]);
    command.extend(["--cgroup-path".into(), cgroup.path().into()]);
    Process::start(&command, &Place::default())
}

#[test]
fn starts_with_the_capabilities_of_the_unit() -> Result<()> {
    let test = "starts_with_the_capabilities_of_the_unit";
    let unit = unit()?;
    let capabilities = setting(&unit, "AmbientCapabilities")?;
    ensure!(capabilities == "CAP_BPF CAP_NET_ADMIN CAP_PERFMON");
    ensure!(setting(&unit, "CapabilityBoundingSet")? == capabilities);
    ensure!(setting(&unit, "Type")? == "notify");
    let Some(_) = or_skip(test, observer::prepare()) else {
        return Ok(());
    };
    let Some(cgroup) = or_skip(test, Cgroup::new()) else {
        return Ok(());
    };
    let folder = Folder::new("unit")?;
    let socket = UnixDatagram::bind(folder.0.join("notify"))?;
    std::fs::set_permissions(folder.0.join("notify"), PermissionsExt::from_mode(0o777))?;
    socket.set_read_timeout(Some(STARTING))?;
    let address = free_address()?;
    let mut process = start(capabilities, &folder.0, &address, &cgroup)?;
    let told = message(&socket).with_context(|| process.report())?;
    ensure!(told == "READY=1", "{told}{}", process.report());
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    for line in ["Uid:\t65534", "CapEff:\t000000c000001000", "NoNewPrivs:\t1"] {
        ensure!(status.contains(line), "no {line} in {status}");
    }
    let (code, page) = scrape::get(&address, "/metrics")?;
    ensure!(
        code == 200 && page.contains("marty_observer_build_info"),
        "{code} {page}"
    );
    process.signal(Signal::TERM)?;
    ensure!(message(&socket)? == "STOPPING=1");
    let status = process.wait(STOPPING)?;
    ensure!(status.success(), "it ended with {status}{}", process.report());
    Ok(())
}

#[test]
fn settings_are_known_to_the_daemon() -> Result<()> {
    let test = "settings_are_known_to_the_daemon";
    let Some(daemon) = or_skip(test, observer::prepare()) else {
        return Ok(());
    };
    for file in ["systemd/observer.yaml", "examples/marty-services.yaml"] {
        let output = Command::new(&daemon)
            .args(["config", "--config"])
            .arg(deploy().join(file))
            .output()?;
        ensure!(
            output.status.success(),
            "{file}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Where systemd's checker is, and that it reads units without systemd running.
fn checker() -> Result<(), Error> {
    let version = Command::new("systemd-analyze").arg("--version").output();
    match version {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(Error::Missing("needs: apt-get install systemd".to_owned())),
    }
}

#[test]
fn systemd_accepts_the_unit() -> Result<()> {
    if or_skip("systemd_accepts_the_unit", checker()).is_none() {
        return Ok(());
    }
    // The checker wants the program to be there, wherever that is.
    let folder = Folder::new("verify")?;
    let file = folder.0.join("marty-observer.service");
    std::fs::write(&file, unit()?.replace("/usr/bin/observer", "/bin/true"))?;
    for arguments in [
        ["verify", "--man=no"].as_slice(),
        ["security", "--offline=true", "--threshold=25"].as_slice(),
    ] {
        let output = Command::new("systemd-analyze")
            .args(arguments)
            .arg(&file)
            .output()?;
        ensure!(
            output.status.success(),
            "{arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
