//! Where things are: the workspace's root, its target directory and what its crates declare, all as cargo says.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The program that runs xtask: the same cargo must run everything else, or the two disagree about the lockfile.
pub fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| String::from("cargo"))
}

#[derive(Debug)]
pub struct Workspace {
    pub root: PathBuf,
    /// What `CARGO_TARGET_DIR` or cargo's configuration say; `target` beside the workspace otherwise.
    pub target: PathBuf,
    metadata: Value,
}

impl Workspace {
    pub fn find() -> Result<Self> {
        // Set at compile time, so that xtask works from any directory.
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest
            .parent()
            .context("xtask lies in no workspace")?
            .to_path_buf();
        let mut command = process::command(cargo());
        command
            .args(["metadata", "--format-version=1", "--no-deps"])
            .current_dir(&root);
        let metadata: Value = serde_json::from_str(&process::output(&mut command)?)?;
        let target = metadata["target_directory"]
            .as_str()
            .context("cargo metadata names no target directory")?;
        Ok(Self {
            target: PathBuf::from(target),
            root,
            metadata,
        })
    }

    /// The daemon as `cargo xtask build` leaves it.
    pub fn daemon(&self) -> PathBuf {
        self.target.join("release/observer")
    }

    /// The kernel object as `cargo xtask build` leaves it. `observer/build.rs` knows this place too.
    pub fn kernel_object(&self) -> PathBuf {
        self.target.join("kernel/observer.bpf.o")
    }

    /// Programs that xtask installs for itself.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// What `package` of this workspace declares, if there is one of that name.
    pub fn package(&self, package: &str) -> Option<&Value> {
        self.metadata["packages"]
            .as_array()?
            .iter()
            .find(|declared| declared["name"] == package)
    }

    /// Names of the bench targets of `package`.
    pub fn benches(&self, package: &str) -> Vec<&str> {
        let targets = self
            .package(package)
            .and_then(|declared| declared["targets"].as_array());
        let benches = targets
            .into_iter()
            .flatten()
            .filter(|target| target["kind"][0] == "bench");
        benches.filter_map(|target| target["name"].as_str()).collect()
    }

    /// The oldest compiler that may build this workspace, as (major, minor).
    pub fn rust_version(&self) -> Option<(u32, u32)> {
        parse_version(self.package("xtask")?["rust_version"].as_str()?)
    }
}

/// The first two numbers of a version.
pub fn parse_version(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim().split(['.', '-', ' ']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(parse_version("1.95"), Some((1, 95)));
        assert_eq!(
            parse_version("1.97.0-nightly (e50aa6fba 2026-05-19)"),
            Some((1, 97))
        );
        assert_eq!(parse_version("22.1.8\n"), Some((22, 1)));
        assert_eq!(parse_version("rustc"), None);
    }

    #[test]
    fn the_workspace_itself() {
        let workspace = Workspace::find().unwrap();
        assert!(workspace.root.join("observer-ebpf/Cargo.toml").is_file());
        assert!(workspace.rust_version().is_some());
    }
}
