//! `cargo xtask dist`: what is given to others, in `target/dist`: the static daemon, a Debian package, an image for
//! `docker load` or `ctr image import`, the bill of materials, checksums. The same source gives the same bytes.

mod archive;
mod bill;
mod image;
mod package;
pub mod program;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::build::{self, Programs};
use crate::process;
use crate::workspace::Workspace;

pub fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    if let [other, ..] = args {
        bail!("`cargo xtask dist` takes no arguments, not `{other}` either");
    }
    let release = Release::of(workspace)?;
    let object = build::kernel_object(workspace, Programs::Release)?;
    let daemon = program::build(workspace, &object)?;
    let mut made = vec![release.place("observer", &daemon)?];
    made.push(bill::write(workspace, &release)?);
    made.push(package::build(workspace, &release, &daemon)?);
    made.push(image::build(&release, &daemon)?);
    made.push(checksums(&release, &made)?);
    for file in &made {
        println!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What all parts have in common.
#[derive(Debug)]
pub struct Release {
    pub version: String,
    /// As Debian and images spell it.
    pub architecture: &'static str,
    /// Unix time that every file gets: that of the last commit.
    pub epoch: String,
    pub folder: PathBuf,
}

impl Release {
    fn of(workspace: &Workspace) -> Result<Self> {
        let version = workspace
            .package("observer")
            .and_then(|package| package["version"].as_str());
        let mut log = process::command("git");
        log.args(["log", "-1", "--format=%ct"])
            .current_dir(&workspace.root);
        // A source archive has no commit; its packager says the time.
        let epoch = std::env::var("SOURCE_DATE_EPOCH").or_else(|_| process::output(&mut log))?;
        let folder = workspace.target.join("dist");
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            version: version.context("the observer has no version")?.to_owned(),
            architecture: architecture()?,
            epoch: epoch.trim().to_owned(),
            folder,
        })
    }

    fn place(&self, name: &str, from: &Path) -> Result<PathBuf> {
        let to = self.folder.join(name);
        std::fs::copy(from, &to).with_context(|| format!("{} cannot be written", to.display()))?;
        Ok(to)
    }
}

fn architecture() -> Result<&'static str> {
    Ok(match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no packages are made for {other}"),
    })
}

fn checksums(release: &Release, files: &[PathBuf]) -> Result<PathBuf> {
    let mut sums = String::new();
    for file in files {
        let name = file
            .file_name()
            .context("a file without a name")?
            .to_string_lossy();
        let piece = format!("{}  {name}\n", archive::sha256(file)?);
        sums += &piece;
    }
    let file = release.folder.join("SHA256SUMS");
    std::fs::write(&file, sums)?;
    Ok(file)
}
