//! The Prometheus operator's own schemas, from an npm package that is made of them; objects are held against them by Node.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::prerequisite::{Error, apt, get};
use crate::workload::cache;

/// Beside the test of the chart.
const FILES: [&str; 3] = ["package.json", "package-lock.json", "validate.mjs"];

#[derive(Debug)]
pub struct Operator {
    folder: PathBuf,
}

impl Operator {
    pub fn prepare() -> Result<Self, Error> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy_chart");
        let key = cache::contents(&sources, &FILES)?;
        let folder = cache::folder("operator", &key, |folder| {
            apt::install_for(&[("node", "nodejs"), ("npm", "npm")])?;
            for file in FILES {
                std::fs::copy(sources.join(file), folder.join(file))?;
            }
            let install = [
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ];
            get(Command::new("npm").current_dir(folder).args(install)).map(drop)
        })?;
        Ok(Self { folder })
    }

    /// Each `PodMonitor` and `PrometheusRule`: every field is known, and of its type.
    pub fn validate(&self, objects: &[Value]) -> Result<()> {
        let mut node = Command::new("node")
            .arg("validate.mjs")
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("node")?;
        let mut input = node.stdin.take().context("no standard input")?;
        input.write_all(&serde_json::to_vec(objects)?)?;
        drop(input);
        let output = node.wait_with_output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}
