//! A real Kubernetes that somebody has started, spoken to by the program that `OBSERVER_CLUSTER` names: its verbs
//! `kubectl ARGS…` and `image NAME:TAG FOLDER ENTRYPOINT…` are all that is used.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::prerequisite::Error;

#[derive(Debug)]
pub struct Cluster {
    program: OsString,
}

impl Cluster {
    pub fn find() -> Result<Self, Error> {
        let program = std::env::var_os("OBSERVER_CLUSTER").ok_or_else(|| {
            Error::Missing(
                "OBSERVER_CLUSTER is not set: it names the script that started a cluster".to_owned(),
            )
        })?;
        Ok(Self { program })
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("bash");
        let output = command.arg(&self.program).args(arguments).output()?;
        ensure!(
            output.status.success(),
            "{arguments:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.run(&[&["kubectl"], arguments].concat())
    }

    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.kubectl(&[&["get", "-o", "json"], arguments].concat())?;
        serde_json::from_str(&text).with_context(|| format!("{arguments:?}"))
    }

    pub fn apply(&self, file: &Path) -> Result<()> {
        self.kubectl(&["apply", "-f", &file.to_string_lossy()]).map(drop)
    }

    /// An image of one program, as `/usr/bin/NAME`, and the libraries that it is linked with.
    pub fn image(&self, tag: &str, program: &Path, name: &str, scratch: &Path) -> Result<()> {
        let root = scratch.join(format!("image-{name}"));
        let entry = format!("/usr/bin/{name}");
        place(&root, program, &entry)?;
        for library in libraries(program)? {
            place(&root, Path::new(&library), &library)?;
        }
        self.run(&["image", tag, &root.to_string_lossy(), &entry])
            .map(drop)
    }

    /// Removes namespaces and waits for them to be gone.
    pub fn remove(&self, namespaces: &[&str]) -> Result<()> {
        let options = ["--ignore-not-found", "--timeout=120s"];
        self.kubectl(&[&["delete", "namespace"], namespaces, &options].concat())
            .map(drop)
    }
}

fn place(root: &Path, file: &Path, at: &str) -> Result<()> {
    let target = root.join(at.trim_start_matches('/'));
    std::fs::create_dir_all(target.parent().context("no folder")?)?;
    std::fs::copy(file, &target).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}

/// As the dynamic linker says; none for a static program, which `ldd` calls a failure.
fn libraries(program: &Path) -> Result<Vec<String>> {
    let output = Command::new("ldd").arg(program).output().context("ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(str::to_owned).collect())
}
