//! Archives and sums by the tools that every Debian has, told to forget who and when.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Release;
use crate::process;

/// Everything in `folder` as one archive, the same whenever and by whomever it is made: for all to read, whatever the umask
/// of whoever made the folders was.
pub fn tar(release: &Release, folder: &Path, to: &Path) -> Result<()> {
    let mut tar = process::command("tar");
    tar.args([
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mode=u=rwX,go=rX",
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

/// Gives every folder in `folder` and itself the mode that it has under an ordinary umask.
pub fn open(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open(&entry.path())?;
        }
    }
    Ok(())
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

    fn mode(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_same_archive_later_and_under_another_umask() {
        let root = std::env::temp_dir().join(format!("xtask-archive-{}", std::process::id()));
        let release = Release {
            version: String::from("1"),
            architecture: "amd64",
            epoch: String::from("1700000000"),
            folder: root.clone(),
        };
        let mut sums = Vec::new();
        for (name, order, umask) in [("first", ["a", "b"], 0o022), ("second", ["b", "a"], 0o077)] {
            let folder = root.join(name);
            empty(&folder.join("etc")).unwrap();
            for file in order {
                std::fs::write(folder.join("etc").join(file), file).unwrap();
                mode(&folder.join("etc").join(file), 0o666 & !umask);
            }
            mode(&folder.join("etc"), 0o777 & !umask);
            let to = root.join(format!("{name}.tar"));
            tar(&release, &folder, &to).unwrap();
            sums.push(sha256(&to).unwrap());
        }
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(sums[0], sums[1]);
    }

    #[test]
    fn a_folder_that_only_its_maker_could_open() {
        use std::os::unix::fs::PermissionsExt;
        let root = std::env::temp_dir().join(format!("xtask-open-{}", std::process::id()));
        let inner = root.join("etc/marty-observer");
        empty(&inner).unwrap();
        for folder in [&inner, &root.join("etc"), &root] {
            mode(folder, 0o700);
        }
        open(&root).unwrap();
        let found = [&root, &root.join("etc"), &inner]
            .map(|folder| std::fs::metadata(folder).unwrap().permissions().mode() & 0o777);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, [0o755; 3]);
    }
}
