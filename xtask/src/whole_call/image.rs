//! What the machine boots into: busybox, the daemon, the programs, and the libraries that they name.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::Guest;
use crate::kernels::archive::Archive;
use crate::process;

/// Said at the end, if all went well.
pub const GOOD: &str = "guest: counted all";

pub fn write(place: &Path, guest: &Guest) -> Result<PathBuf> {
    let Guest {
        kernel: _,
        daemon,
        object,
        judge,
        pairs,
    } = guest;
    let busybox = process::which("busybox").context("there is no busybox")?;
    let mut files = vec![
        ("bin/busybox".to_owned(), busybox),
        ("observer".to_owned(), daemon.clone()),
        ("judge".to_owned(), judge.clone()),
        ("object".to_owned(), object.clone()),
    ];
    files.extend(
        pairs
            .iter()
            .map(|(language, program)| (format!("peer-{language}"), program.clone())),
    );
    for library in libraries(files.iter().map(|(_, from)| from.as_path()))? {
        let name = library.to_string_lossy().trim_start_matches('/').to_owned();
        files.push((name, library));
    }
    let mut archive = Archive::default();
    for directory in directories(files.iter().map(|(name, _)| name.as_str())) {
        archive.directory(&directory);
    }
    archive.file("init", init(pairs).as_bytes());
    for (name, from) in &files {
        let content = fs::read(from).with_context(|| format!("{} cannot be read", from.display()))?;
        archive.file(name, &content);
    }
    fs::create_dir_all(place)?;
    let image = place.join("image.cpio");
    fs::write(&image, archive.finish()).with_context(|| format!("{} cannot be written", image.display()))?;
    Ok(image)
}

/// `-no-reboot` makes an exit of the restart. The pause is for what the kernel does by itself after its boot.
fn init(pairs: &[(String, PathBuf)]) -> String {
    let pairs = pairs.iter().fold(String::new(), |mut text, (language, _)| {
        let _ = write!(text, " {language}=/peer-{language}");
        text
    });
    format!(
        "#!/bin/busybox sh\n\
         export PATH=/bin HOME=/ OBSERVER_DAEMON=/observer OBSERVER_KERNEL_OBJECT=/object RUST_BACKTRACE=0\n\
         /bin/busybox --install -s /bin\n\
         mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp\n\
         mount -t cgroup2 cgroup2 /sys/fs/cgroup; ip link set lo up; sleep 2\n\
         /judge count-instructions{pairs} > /dev/ttyS1 2>&1 && echo '{GOOD}' > /dev/ttyS1\n\
         reboot -f\n"
    )
}

/// All that the dynamic linker would load for them, itself included; nothing for static programs.
fn libraries<'a>(programs: impl Iterator<Item = &'a Path>) -> Result<BTreeSet<PathBuf>> {
    let mut all = BTreeSet::new();
    for program in programs {
        let told = process::command("ldd").arg(program).output();
        // It fails for static programs.
        let told = told.context("ldd could not be started")?;
        all.extend(named(&String::from_utf8_lossy(&told.stdout)));
    }
    Ok(all)
}

/// The paths among lines like `libc.so.6 => /lib/libc.so.6 (0x…)` and `/lib64/ld.so (0x…)`.
fn named(told: &str) -> impl Iterator<Item = PathBuf> {
    let paths = told
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(PathBuf::from)
}

/// Every folder on the way to the files, those above first.
fn directories<'a>(files: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = ["proc", "sys", "dev", "tmp"].map(str::to_owned).into();
    for file in files {
        let mut folder = String::new();
        for part in Path::new(file).parent().into_iter().flat_map(Path::components) {
            let Component::Normal(part) = part else { continue };
            if !folder.is_empty() {
                folder.push('/');
            }
            folder.push_str(&part.to_string_lossy());
            all.insert(folder.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_loads() {
        let told = "\tlinux-vdso.so.1 (0x7ffc)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        let found: Vec<PathBuf> = named(told).collect();
        assert_eq!(
            found,
            [
                Path::new("/lib/x86_64-linux-gnu/libc.so.6"),
                Path::new("/lib64/ld-linux-x86-64.so.2")
            ]
        );
        assert_eq!(named("\tstatically linked\n").count(), 0);
    }

    #[test]
    fn folders_above_come_first() {
        let found: Vec<String> = directories(["lib/x/libc.so.6", "observer"].into_iter())
            .into_iter()
            .collect();
        assert_eq!(found, ["dev", "lib", "lib/x", "proc", "sys", "tmp"]);
    }
}
