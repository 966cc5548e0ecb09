//! Things that are got once and kept under the target directory, whatever number of tests asks for them at once.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::prerequisite::{Error, say};

/// The target directory that this test was built in.
pub fn target_directory() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    let tagged = here
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists());
    tagged.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        Path::to_path_buf,
    )
}

/// The folder of the workloads' sources.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads")
}

/// What a folder's files say, as a key that changes with them.
pub fn contents<'a>(folder: &Path, files: impl IntoIterator<Item = &'a &'a str>) -> Result<String, Error> {
    let mut key = String::new();
    for file in files {
        key += &std::fs::read_to_string(folder.join(file))?;
    }
    Ok(key)
}

/// A folder that `make` fills, unless it did so before for the same `key`. One process fills, the others wait.
pub fn folder(
    name: &str,
    key: &str,
    make: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let root = target_directory().join("workloads");
    std::fs::create_dir_all(&root)?;
    let lock = File::create(root.join(format!("{name}.lock")))?;
    lock.lock()?;
    let (folder, stamp) = (root.join(name), root.join(format!("{name}.key")));
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == key) && folder.exists() {
        return Ok(folder);
    }
    say(&format!("preparing {name} in {}", folder.display()));
    remove(&stamp)?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    make(&folder)?;
    std::fs::write(&stamp, key)?;
    Ok(folder)
}

fn remove(file: &Path) -> Result<(), Error> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filled_once_for_the_same_key() {
        let name = format!("test-{}", std::process::id());
        let mut filled = 0;
        for (key, expected) in [("a", 1), ("a", 1), ("b", 2)] {
            let folder = folder(&name, key, |folder| {
                filled += 1;
                Ok(std::fs::write(folder.join("file"), key)?)
            });
            assert_eq!(
                std::fs::read_to_string(folder.unwrap().join("file")).unwrap(),
                key
            );
            assert_eq!(filled, expected);
        }
        let root = target_directory().join("workloads");
        std::fs::remove_dir_all(root.join(&name)).unwrap();
        for end in ["lock", "key"] {
            std::fs::remove_file(root.join(format!("{name}.{end}"))).unwrap();
        }
    }

    #[test]
    fn a_failure_leaves_nothing_prepared() {
        let name = format!("failing-{}", std::process::id());
        let failing = || folder(&name, "a", |_| Err(Error::Missing("no network".into())));
        assert!(matches!(failing(), Err(Error::Missing(_))));
        assert!(matches!(failing(), Err(Error::Missing(_))));
        let root = target_directory().join("workloads");
        std::fs::remove_dir_all(root.join(&name)).unwrap();
        std::fs::remove_file(root.join(format!("{name}.lock"))).unwrap();
    }
}
