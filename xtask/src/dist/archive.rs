//! Archives and sums by the tools that every Debian has, told to forget who and when.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Release;
use crate::process;

/// Everything in `folder` as one archive, the same whenever and by whomever it is made.
pub fn tar(release: &Release, folder: &Path, to: &Path) -> Result<()> {
    let mut tar = process::command("tar");
    tar.args([
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--format=gnu",
    ]);
    tar.arg(format!("--mtime=@{}", release.epoch));
    // The members' names, without the dot that tar would put first.
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())))
        .collect::<std::io::Result<_>>()?;
    names.sort();
    process::run(
        tar.arg("--create")
            .arg("--file")
            .arg(to)
            .arg("--directory")
            .arg(folder)
            .args(names),
    )
}

pub fn sha256(file: &Path) -> Result<String> {
    let mut sum = process::command("sha256sum");
    let line = process::output(sum.arg("--binary").arg(file))?;
    let digest = line
        .split(' ')
        .next()
        .filter(|digest| digest.len() == 64)
        .context("sha256sum says no sum")?;
    Ok(digest.to_owned())
}

/// An empty folder of this name.
pub fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))
}

/// Copies a file and gives it a mode.
pub fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(to.parent().context("no folder")?)?;
    std::fs::copy(from, to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
    Ok(std::fs::set_permissions(to, PermissionsExt::from_mode(mode))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_archive_later() {
        let root = std::env::temp_dir().join(format!("xtask-archive-{}", std::process::id()));
        let release = Release {
            version: String::from("1"),
            architecture: "amd64",
            epoch: String::from("1700000000"),
            folder: root.clone(),
        };
        let mut sums = Vec::new();
        for (name, order) in [("first", ["a", "b"]), ("second", ["b", "a"])] {
            let folder = root.join(name);
            empty(&folder).unwrap();
            for file in order {
                std::fs::write(folder.join(file), file).unwrap();
            }
            let to = root.join(format!("{name}.tar"));
            tar(&release, &folder, &to).unwrap();
            sums.push(sha256(&to).unwrap());
        }
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(sums[0], sums[1]);
    }
}
