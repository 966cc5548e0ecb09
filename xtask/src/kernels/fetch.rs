//! Debian's kernels, from the mirror that this machine is configured for: the newest of every suite that has one, its
//! image alone; for another architecture also busybox. apt works with lists, cache and status of its own, so the system's stay as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::architecture::Architecture;
use crate::process;

type Suite = (&'static str, &'static str);

/// Archive and suite, oldest first. Old stable ones live in the security archive.
const SUITES: [Suite; 6] = [
    ("debian-security", "bullseye-security"),
    ("debian-security", "bookworm-security"),
    ("debian-security", "trixie-security"),
    ("debian", "trixie-backports"),
    ("debian", "sid"),
    ("debian", "experimental"),
];
/// The stable suite's. Of the other architecture it is enough: the programs are the same everywhere, and what differs between
/// kernels is seen in those of the first.
const ONE_KERNEL: [Suite; 1] = [("debian-security", "trixie-security")];
/// Has busybox for every architecture.
const BUSYBOX: [Suite; 1] = [("debian", "sid")];
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Fetches the kernels that are not there yet.
pub fn all(folder: &Path, architecture: Architecture) -> Result<()> {
    match architecture {
        Architecture::X86 => of(folder, architecture, &SUITES),
        Architecture::Arm => of(folder, architecture, &ONE_KERNEL),
    }
}

/// Fetches the stable suite's alone.
pub fn stable(folder: &Path) -> Result<()> {
    of(folder, Architecture::X86, &ONE_KERNEL)
}

fn of(folder: &Path, architecture: Architecture, suites: &[Suite]) -> Result<()> {
    let name = architecture.debian();
    println!("asking for the kernels for {name} of {} suite(s)", suites.len());
    let apt = updated(folder, architecture, suites)?;
    // Those for virtual machines: the drivers a guest needs are built in.
    let meta = format!("linux-image-cloud-{name}");
    let shown = process::output(apt_command("apt-cache", &apt).args(["show", &meta]))?;
    let images = images(&shown);
    if images.is_empty() {
        bail!("no suite of this machine's mirror has {meta}");
    }
    for image in images {
        let version = image.trim_start_matches("linux-image-");
        let kernel = folder.join(version);
        if !kernel.is_file() {
            fetch(&apt, version, &kernel).with_context(|| format!("kernel {version}"))?;
            println!("{}", kernel.display());
        }
    }
    Ok(())
}

/// A busybox that this machine cannot run, fetched if it is not there yet.
pub fn busybox(folder: &Path, architecture: Architecture) -> Result<PathBuf> {
    let busybox = folder.join(format!("busybox-{}", architecture.debian()));
    if busybox.is_file() {
        return Ok(busybox);
    }
    let apt = updated(folder, architecture, &BUSYBOX)?;
    let place = apt.join("unpack-busybox");
    fs::create_dir_all(&place)?;
    let mut download = apt_command("apt-get", &apt);
    download
        .args(["-qq", "download", "busybox-static"])
        .current_dir(&place);
    process::run(&mut download)?;
    for package in files(&place, ".deb")? {
        process::run(process::command("dpkg-deb").arg("-x").arg(package).arg(&place))?;
    }
    // Older packages have it elsewhere.
    let found = ["usr/bin/busybox", "bin/busybox"].map(|file| place.join(file));
    let found = found.iter().find(|file| file.is_file());
    fs::copy(found.context("the package has no busybox")?, &busybox)?;
    fs::remove_dir_all(&place)?;
    Ok(busybox)
}

/// An apt of our own that knows these suites.
fn updated(folder: &Path, architecture: Architecture, suites: &[Suite]) -> Result<PathBuf> {
    let (_, last) = suites.last().context("no suite")?;
    let apt = folder.join(format!("apt-{}-{last}", architecture.debian()));
    prepare(&apt, architecture, suites)?;
    process::run(apt_command("apt-get", &apt).args(["-qq", "update"]))?;
    Ok(apt)
}

/// Directories and configuration for it.
fn prepare(apt: &Path, architecture: Architecture, suites: &[Suite]) -> Result<()> {
    for directory in ["state/lists/partial", "cache/archives/partial", "none"] {
        fs::create_dir_all(apt.join(directory))?;
    }
    let site = site()?;
    let name = architecture.debian();
    let source = |(archive, suite): &Suite| {
        format!("deb [arch={name} signed-by={KEYS}] {site}/{archive} {suite} main\n")
    };
    let sources: String = suites.iter().map(source).collect();
    fs::write(apt.join("sources.list"), sources)?;
    fs::write(apt.join("status"), "")?;
    let apt_name = apt.display();
    let configuration = format!(
        "Dir::State \"{apt_name}/state\";\nDir::State::status \"{apt_name}/status\";\nDir::Cache \"{apt_name}/cache\";\n\
         Dir::Etc::sourcelist \"{apt_name}/sources.list\";\nDir::Etc::sourceparts \"{apt_name}/none\";\n\
         Dir::Etc::preferencesparts \"{apt_name}/none\";\nAPT::Architecture \"{name}\";\n\
         APT::Architectures {{ \"{name}\"; }};\nAPT::Sandbox::User \"\";\nAcquire::Languages \"none\";\n\
         Acquire::Check-Valid-Until \"false\";\n"
    );
    Ok(fs::write(apt.join("apt.conf"), configuration)?)
}

/// Where this machine's packages come from, without the archive's name.
fn site() -> Result<String> {
    let mut targets = process::command("apt-get");
    let listed =
        process::output(targets.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]))?;
    site_among(&listed).context("apt knows no Debian mirror here; put kernels into the folder by hand")
}

fn site_among(listed: &str) -> Option<String> {
    let archive = |line: &str| {
        line.trim_end_matches('/')
            .strip_suffix("/debian")
            .map(str::to_owned)
    };
    listed.lines().find_map(archive)
}

fn apt_command(program: &str, apt: &Path) -> Command {
    let mut command = process::command(program);
    command.arg("-c").arg(apt.join("apt.conf"));
    command
}

/// The packages that the meta package of every suite depends on.
fn images(shown: &str) -> Vec<&str> {
    let depends = shown.lines().filter_map(|line| line.strip_prefix("Depends: "));
    let mut images: Vec<&str> = depends
        .flat_map(|depends| depends.split(", "))
        .filter_map(|package| package.split(' ').next())
        .filter(|package| {
            package.starts_with("linux-image-") && package.contains(|c: char| c.is_ascii_digit())
        })
        .collect();
    images.sort_unstable();
    images.dedup();
    images
}

/// Newer packages have the image of `linux-image` in `linux-binary`.
fn fetch(apt: &Path, version: &str, kernel: &Path) -> Result<()> {
    let place = apt.join(format!("unpack-{version}"));
    fs::create_dir_all(&place)?;
    let fetched = ["linux-binary", "linux-image"]
        .iter()
        .try_for_each(|package| -> Result<()> {
            let mut download = apt_command("apt-get", apt);
            download.args(["-qq", "download", &format!("{package}-{version}")]);
            download.current_dir(&place).stderr(Stdio::null());
            if !kernel.is_file() && process::succeeds(&mut download)? {
                unpack(&place, kernel)?;
            }
            Ok(())
        });
    fs::remove_dir_all(&place)?;
    fetched?;
    if !kernel.is_file() {
        bail!("no package has its image");
    }
    Ok(())
}

/// Takes the image out of the package that lies in `place`, and leaves the modules in it.
fn unpack(place: &Path, kernel: &Path) -> Result<()> {
    for package in files(place, ".deb")? {
        let mut tar = process::command("dpkg-deb");
        let mut tar = tar
            .arg("--fsys-tarfile")
            .arg(&package)
            .stdout(Stdio::piped())
            .spawn()?;
        let archive = tar.stdout.take().context("dpkg-deb has no output")?;
        let patterns = ["--wildcards", "./boot/vmlinuz*", "./usr/lib/modules/*/vmlinuz"];
        let mut extract = Command::new("tar");
        extract
            .arg("-x")
            .arg("-C")
            .arg(place)
            .args(patterns)
            .stderr(Stdio::null());
        // One of the two patterns always finds nothing, which tar takes for a failure.
        extract.stdin(archive).status()?;
        tar.wait()?;
        fs::remove_file(package)?;
    }
    let mut found = files(&place.join("boot"), "vmlinuz")?;
    found.extend(modules(place)?);
    if let Some(image) = found.first() {
        fs::rename(image, kernel)?;
    }
    Ok(())
}

fn modules(place: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in files(&place.join("usr/lib/modules"), "")? {
        found.extend(files(&folder, "vmlinuz")?);
    }
    Ok(found)
}

/// Entries of a directory that may not be there, whose names have `part` in them.
fn files(directory: &Path, part: &str) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().contains(part) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_of_this_machine() {
        let listed = "http://mirror.test/x/debian-security/\nhttp://mirror.test/x/debian/\n";
        assert_eq!(site_among(listed).as_deref(), Some("http://mirror.test/x"));
        assert_eq!(site_among("http://mirror.test/ubuntu/\n"), None);
    }

    #[test]
    fn images_of_the_meta_packages() {
        let shown = "Package: a\nDepends: linux-image-6.12.1+deb13-cloud-amd64 (= 6.12.1-1)\n\nPackage: b\n\
            Depends: linux-image-5.10.0-46-cloud-amd64 (= 5.10.1-1), x\nDepends: linux-image-6.12.1+deb13-cloud-amd64\n";
        assert_eq!(
            images(shown),
            [
                "linux-image-5.10.0-46-cloud-amd64",
                "linux-image-6.12.1+deb13-cloud-amd64"
            ]
        );
    }
}
