//! Debian packages: installed where the test is root, or unpacked from another suite without touching the system.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Error, get, say};

/// Seconds to wait for another apt on this machine.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=600";

/// Sees to it that packages of this system's own suite are installed.
pub fn install(packages: &[&str]) -> Result<(), Error> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if !rustix::process::geteuid().is_root() || !Path::new("/etc/debian_version").exists() {
        return Err(Error::Missing(format!("needs: {by_hand}")));
    }
    say(&by_hand);
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-qq", "-o", LOCK_TIMEOUT])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        get(&mut command)
    };
    let install = [&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat();
    // Old lists are the usual reason for a failure.
    apt(&install)
        .or_else(|_| apt(&["update"]).and_then(|_| apt(&install)))
        .map(drop)
}

/// Sees to it that programs are there, installing the packages that have the missing ones.
pub fn install_for(programs: &[(&str, &str)]) -> Result<(), Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    let missing: Vec<&str> = programs
        .iter()
        .filter(|(program, _)| !found(program))
        .map(|(_, package)| *package)
        .collect();
    install(&missing)
}

fn installed(package: &str) -> bool {
    let query = Command::new("dpkg-query")
        .args(["-W", "-f=${db:Status-Status}", package])
        .output();
    query.is_ok_and(|output| output.stdout == b"installed")
}

/// Unpacks packages of `suite` into `folder`: with lists, cache and status of its own, from the mirror that this
/// system uses.
pub fn unpack(suite: &str, packages: &[&str], folder: &Path) -> Result<(), Error> {
    let own = Own::prepare("deb", suite, folder)?;
    say(&format!("from Debian {suite}: {}", packages.join(" ")));
    own.apt(&[&["download"], packages].concat())?;
    for package in own.files()? {
        get(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder))?;
    }
    own.remove()
}

/// Unpacks the sources of a package of `suite` into `folder`, as their authors published them.
pub fn source(suite: &str, package: &str, folder: &Path) -> Result<(), Error> {
    let own = Own::prepare("deb-src", suite, folder)?;
    say(&format!("sources of {package} from Debian {suite}"));
    own.apt(&["source", "--download-only", "--tar-only", package])?;
    for archive in own.files()? {
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(folder).arg("--strip-components=1");
        get(tar.arg("-xf").arg(archive))?;
    }
    own.remove()
}

/// An apt that works in a folder of its own.
struct Own {
    state: PathBuf,
}

impl Own {
    fn prepare(kind: &str, suite: &str, folder: &Path) -> Result<Self, Error> {
        let state = folder.join("apt");
        for part in ["lists/partial", "cache/archives/partial", "empty", "got"] {
            std::fs::create_dir_all(state.join(part))?;
        }
        let key = "/usr/share/keyrings/debian-archive-keyring.gpg";
        if !Path::new(key).exists() {
            return Err(Error::Missing(format!(
                "{suite} needs: apt-get install debian-archive-keyring"
            )));
        }
        let list = format!(
            "{kind} [signed-by={key} check-valid-until=no] {} {suite} main\n",
            mirror()?
        );
        std::fs::write(state.join("list"), list)?;
        std::fs::write(state.join("status"), "")?;
        std::fs::write(state.join("conf"), apt_configuration(&state))?;
        let own = Self { state };
        own.apt(&["update"])?;
        Ok(own)
    }

    fn apt(&self, arguments: &[&str]) -> Result<(), Error> {
        let mut command = Command::new("apt-get");
        command
            .current_dir(self.state.join("got"))
            .arg("-qq")
            .arg("-c")
            .arg(self.state.join("conf"))
            .args(arguments);
        get(&mut command).map(drop)
    }

    /// What was downloaded.
    fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = std::fs::read_dir(self.state.join("got"))?;
        let files = entries.map(|entry| Ok(entry?.path()));
        files.collect()
    }

    fn remove(self) -> Result<(), Error> {
        Ok(std::fs::remove_dir_all(self.state)?)
    }
}

fn apt_configuration(state: &Path) -> String {
    let state = state.display();
    format!(
        "Dir::State \"{state}\"; Dir::State::Lists \"{state}/lists\"; Dir::State::status \"{state}/status\";\n\
         Dir::Cache \"{state}/cache\"; Dir::Etc::sourcelist \"{state}/list\"; Dir::Etc::sourceparts \"{state}/empty\";\n\
         Dir::Etc::preferences \"{state}/empty/none\"; Dir::Etc::preferencesparts \"{state}/empty\";\n\
         APT::Sandbox::User \"\"; Acquire::Languages \"none\"; Acquire::Retries \"3\"; {LOCK_TIMEOUT_LINE}\n"
    )
}

const LOCK_TIMEOUT_LINE: &str = "DPkg::Lock::Timeout \"600\";";

/// The Debian mirror that this system is configured for.
fn mirror() -> Result<String, Error> {
    let uris = get(Command::new("apt-get").args(["update", "--print-uris", "-o", LOCK_TIMEOUT]))?;
    let found = uris.lines().find_map(|line| {
        let (before, _) = line.strip_prefix('\'')?.split_once("/dists/")?;
        before.ends_with("/debian").then(|| before.to_owned())
    });
    found.ok_or_else(|| Error::Missing("apt has no Debian mirror configured".into()))
}
