//! Puts the kernel object where the crate embeds it from: `$OUT_DIR/observer.bpf.o`. Never builds it: that
//! needs another compiler, which `cargo xtask build` finds and runs.
//!
//! The object is, first match: the file named by `OBSERVER_KERNEL_OBJECT`; the one that xtask built last
//! (`kernel/observer.bpf.o` in the target directory); an empty file, so that `cargo check`, clippy and unit tests
//! need no kernel toolchain. The daemon finds the file empty and says so.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const KERNEL_OBJECT: &str = "OBSERVER_KERNEL_OBJECT";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={KERNEL_OBJECT}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let object = match env::var_os(KERNEL_OBJECT) {
        Some(named) => Some(PathBuf::from(named)),
        None => last_built(&out)?,
    };
    let bytes = match object {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            fs::read(&path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?
        }
        None => Vec::new(),
    };
    fs::write(out.join("observer.bpf.o"), bytes)
}

/// The object that xtask left in the target directory that `out` lies in.
fn last_built(out: &Path) -> io::Result<Option<PathBuf>> {
    // Cargo tags the root of its target directory.
    let Some(target) = out
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").is_file())
    else {
        return Ok(None);
    };
    // Watched while still empty, so that the first object is noticed.
    let directory = target.join("kernel");
    fs::create_dir_all(&directory)?;
    println!("cargo::rerun-if-changed={}", directory.display());
    let object = directory.join("observer.bpf.o");
    Ok(object.is_file().then_some(object))
}
