//! Prometheus with the configuration and the rules that `deploy` ships, and questions to it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Server, Servers, deploy, free_address, option};
use crate::scrape;

#[derive(Debug)]
pub struct Prometheus(Server);

/// One series of an answer.
#[derive(Debug, Clone)]
pub struct Sample {
    pub labels: serde_json::Map<String, Value>,
    pub value: f64,
}

impl Sample {
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Prometheus {
    /// Runs in `folder` with deploy/prometheus/static.yml and all rules. Nothing is changed but the addresses
    /// (`targets`: what is written, what it is here) and the pace: everything is scraped and evaluated every second.
    pub fn start(servers: &Servers, folder: &Path, targets: &[(&str, &str)]) -> Result<Self> {
        let address = free_address()?;
        let mut configuration = std::fs::read_to_string(deploy().join("prometheus/static.yml"))?;
        for (written, here) in targets.iter().chain(&[("localhost:9090", address.as_str())]) {
            ensure!(configuration.contains(written), "static.yml names no {written}");
            configuration = configuration.replace(written, here);
        }
        copy_rules(folder)?;
        Self::run(servers, folder, address, &configuration)
    }

    /// With a configuration of the caller's, and the shipped rules without their patience: what holds, fires.
    pub fn start_impatient(servers: &Servers, folder: &Path, configuration: &str) -> Result<Self> {
        copy_rules(folder)?;
        for rules in std::fs::read_dir(folder.join("rules"))? {
            let file = rules?.path();
            let text = std::fs::read_to_string(&file)?;
            let impatient = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("for: "));
            std::fs::write(&file, impatient.collect::<Vec<_>>().join("\n"))?;
        }
        Self::run(servers, folder, free_address()?, configuration)
    }

    /// The same with deploy/prometheus/kubernetes.yml, for a cluster that is seen from outside. With `keys`, a folder, the
    /// commented lines for an endpoint that asks for them are in effect.
    pub fn start_beside(
        servers: &Servers,
        folder: &Path,
        kubeconfig: &Path,
        keys: Option<&Path>,
    ) -> Result<Self> {
        let mut written = std::fs::read_to_string(deploy().join("prometheus/kubernetes.yml"))?;
        if let Some(keys) = keys {
            written = shown(&written, keys)?;
        }
        let from = format!("kubeconfig_file: {}\n", kubeconfig.display());
        let configuration: String = written
            .split_inclusive('\n')
            .map(|line| match line.find("- role: ") {
                // Beside the role, in the same mapping.
                Some(at) => format!("{line}{}  {from}", &line[..at]),
                None => line.to_owned(),
            })
            .collect();
        copy_rules(folder)?;
        Self::run(servers, folder, free_address()?, &configuration)
    }

    fn run(servers: &Servers, folder: &Path, address: String, configuration: &str) -> Result<Self> {
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, configuration.replace(": 15s", ": 1s"))?;
        let command: Vec<OsString> = vec![
            servers.program("prometheus").into(),
            option("--config.file=", &file),
            option("--storage.tsdb.path=", &folder.join("data")),
            format!("--web.listen-address={address}").into(),
            "--log.level=warn".into(),
        ];
        Ok(Self(Server::start(&command, address, "/-/ready")?))
    }

    /// The answer to one question now.
    pub fn query(&self, question: &str) -> Result<Vec<Sample>> {
        let answer = self.ask(&format!("/api/v1/query?query={}", encoded(question)))?;
        let result = answer["data"]["result"].as_array();
        let result = result.with_context(|| format!("{question}: {answer}"))?;
        // A scalar is an answer without labels.
        if answer["data"]["resultType"] == "scalar" {
            return Ok(vec![sample(&Value::Null, result.get(1))]);
        }
        Ok(result
            .iter()
            .map(|series| sample(&series["metric"], series["value"].get(1)))
            .collect())
    }

    /// The only value that there is; an error that says what there is otherwise.
    pub fn value(&self, question: &str) -> Result<f64> {
        let answer = self.query(question)?;
        match answer.as_slice() {
            [one] => Ok(one.value),
            other => anyhow::bail!("{question}: {other:?}"),
        }
    }

    /// Rules as Prometheus has loaded them.
    pub fn rules(&self) -> Result<Vec<Value>> {
        let answer = self.ask("/api/v1/rules")?;
        let groups = answer["data"]["groups"]
            .as_array()
            .context("no groups of rules")?;
        Ok(groups
            .iter()
            .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
            .collect())
    }

    /// What was said last about each target: job, health, error.
    pub fn targets(&self) -> Result<Vec<(String, String, String)>> {
        let answer = self.ask("/api/v1/targets")?;
        let targets = answer["data"]["activeTargets"].as_array().context("no targets")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(targets
            .iter()
            .map(|target| {
                (
                    text(&target["labels"]["job"]),
                    text(&target["health"]),
                    text(&target["lastError"]),
                )
            })
            .collect())
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let (status, body) = scrape::get(self.0.address(), path)?;
        ensure!(status == 200, "{path}: {status} {body}{}", self.0.report());
        serde_json::from_str(&body).with_context(|| format!("{path}: {body}"))
    }
}

/// The commented lines with keys in them, in effect, with `keys` for the folder that they name.
fn shown(written: &str, keys: &Path) -> Result<String> {
    let (before, rest) = written
        .split_once("    # tls_config:\n")
        .context("no commented tls_config")?;
    let (commented, after) = rest
        .split_once("    kubernetes_sd_configs:\n")
        .context("nothing behind it")?;
    let lines = commented
        .replace("    # ", "    ")
        .replace("/etc/prometheus/observer", &keys.to_string_lossy());
    Ok(format!(
        "{before}    tls_config:\n{lines}    kubernetes_sd_configs:\n{after}"
    ))
}

fn sample(labels: &Value, value: Option<&Value>) -> Sample {
    Sample {
        labels: labels.as_object().cloned().unwrap_or_default(),
        value: value
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            .unwrap_or(f64::NAN),
    }
}

/// To where the configurations look for them.
fn copy_rules(folder: &Path) -> Result<()> {
    let folder = folder.join("rules");
    std::fs::create_dir_all(&folder)?;
    for entry in std::fs::read_dir(deploy().join("rules"))? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().ends_with(".rules.yaml") {
            let rules = std::fs::read_to_string(entry.path())?;
            std::fs::write(folder.join(name), rules.replace("interval: 30s", "interval: 1s"))?;
        }
    }
    Ok(())
}

/// For a query string.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
