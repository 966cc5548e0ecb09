//! bpf-linker: pinned, installed into the target directory, and made to load the very LLVM that the compiler
//! uses. It reads the compiler's bitcode, which no older LLVM can and no newer one must.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::tool::Tool;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// The last version that loads LLVM as a shared library instead of linking one; later ones would need LLVM's
/// development packages of exactly the right version.
pub const VERSION: &str = "0.10.3";

/// LLVM versions that [`VERSION`] can be built for.
pub const LLVM_VERSIONS: [u32; 3] = [20, 21, 22];

/// The linker, ready for use.
#[derive(Debug)]
pub struct Linker {
    pub program: PathBuf,
    /// For `LD_LIBRARY_PATH`: holds nothing but a link to the compiler's LLVM, because the linker takes the
    /// first `libLLVM*` that it meets there, of whatever version.
    pub library_path: PathBuf,
}

impl Linker {
    /// Installs what is missing. The first time takes about a minute.
    pub fn prepare(workspace: &Workspace, toolchain: &Toolchain) -> Result<Self> {
        let features = [
            format!("llvm-{}", toolchain.llvm),
            format!("rust-llvm-{}", toolchain.llvm),
        ];
        let features = [features[0].as_str(), features[1].as_str()];
        let tool = Tool {
            name: "bpf-linker",
            version: VERSION,
            features: &features,
        };
        let program = tool.prepare(workspace)?;
        let library_path = tool.root(workspace).join(format!("llvm-of-{}", toolchain.word()));
        link_library(toolchain.rustc(), &library_path)?;
        Ok(Self {
            program,
            library_path,
        })
    }
}

/// Makes `directory` hold one link, to the LLVM that `rustc` itself loads.
fn link_library(rustc: &Path, directory: &Path) -> Result<()> {
    let mut ldd = process::command("ldd");
    let loaded = process::output(ldd.arg(rustc).env_remove("LD_LIBRARY_PATH"))?;
    let Some(library) = llvm_library(&loaded) else {
        bail!(
            "{} loads no shared LLVM, so bpf-linker {VERSION} cannot share it",
            rustc.display()
        );
    };
    let library = library
        .canonicalize()
        .with_context(|| format!("{} is gone", library.display()))?;
    let link = directory.join("libLLVM.so");
    if link.read_link().is_ok_and(|present| present == library) {
        return Ok(());
    }
    std::fs::create_dir_all(directory)?;
    // Whatever it was, it is not this compiler's any more.
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(&link)?;
    }
    std::os::unix::fs::symlink(&library, &link)?;
    Ok(())
}

/// The LLVM among the libraries that `ldd` lists.
fn llvm_library(loaded: &str) -> Option<PathBuf> {
    let line = loaded
        .lines()
        .find(|line| line.trim_start().starts_with("libLLVM"))?;
    let path = line.split_once("=> ")?.1.split_whitespace().next()?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(loaded: &str, expected: Option<&str>) {
        assert_eq!(llvm_library(loaded), expected.map(PathBuf::from), "{loaded}");
    }

    #[test]
    fn llvm_among_the_libraries() {
        check(
            "\tlinux-vdso.so.1 (0x1)\n\tlibLLVM.so.22.1 => /lib/x86_64-linux-gnu/libLLVM.so.22.1 (0x2)\n",
            Some("/lib/x86_64-linux-gnu/libLLVM.so.22.1"),
        );
        check(
            "\tlibLLVM.so.22.1-rust-1.97.0-nightly => /t/bin/../lib/l (0x7)\n",
            Some("/t/bin/../lib/l"),
        );
    }

    #[test]
    fn llvm_not_found_or_static() {
        check("\tlibLLVM.so.22.1 => not found\n", None);
        check("\tlibc.so.6 => /lib/libc.so.6 (0x2)\n", None);
    }
}
