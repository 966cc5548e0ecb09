//! Programs from crates.io that xtask uses: each pinned, installed once into the target directory, never into the
//! user's own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::{Workspace, cargo};

/// A crate with the program of the same name.
#[derive(Debug)]
pub struct Tool<'a> {
    pub name: &'a str,
    pub version: &'a str,
    /// In place of the default ones.
    pub features: &'a [&'a str],
}

impl Tool<'_> {
    /// Where the tool is, or will be; another directory for every version and choice of features.
    pub fn root(&self, workspace: &Workspace) -> PathBuf {
        let features = self.features.join("-");
        let separator = if features.is_empty() { "" } else { "-" };
        workspace
            .tools()
            .join(format!("{}-{}{separator}{features}", self.name, self.version))
    }

    /// The program's file, installed where it was not.
    pub fn prepare(&self, workspace: &Workspace) -> Result<PathBuf> {
        let root = self.root(workspace);
        let program = root.join("bin").join(self.name);
        if program.is_file() {
            return Ok(program);
        }
        println!(
            "installing {} {} into {}; this happens once",
            self.name,
            self.version,
            root.display()
        );
        let mut install = process::command(cargo());
        install.args([
            "install",
            self.name,
            "--quiet",
            "--locked",
            // Built in half the time, and none of them has much to do.
            "--debug",
            "--version",
            self.version,
        ]);
        install.args(["--no-default-features", "--features", &self.features.join(",")]);
        install
            .arg("--root")
            .arg(&root)
            .arg("--target-dir")
            .arg(workspace.tools().join("build"));
        // Cargo asks to have the place in PATH, which nobody needs.
        install.env("PATH", prepended(&root.join("bin"))?);
        process::run(&mut install)
            .with_context(|| format!("{} could not be installed; it comes from crates.io", self.name))?;
        Ok(program)
    }
}

fn prepended(directory: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(directory.to_path_buf()).chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(all)?)
}
