//! Dashboards as Grafana reads them: their questions, with variables put in.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::deploy;

#[derive(Debug)]
pub struct Dashboard {
    pub file: String,
    pub document: Value,
}

#[derive(Debug)]
pub struct Question {
    pub panel: String,
    pub expression: String,
}

/// All that `deploy` ships.
pub fn all() -> Result<Vec<Dashboard>> {
    let mut dashboards = Vec::new();
    for entry in std::fs::read_dir(deploy().join("dashboards"))? {
        let path = entry?.path();
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.extension().is_some_and(|end| end == "json") {
            let text = std::fs::read_to_string(&path)?;
            let document = serde_json::from_str(&text).with_context(|| file.clone())?;
            dashboards.push(Dashboard { file, document });
        }
    }
    dashboards.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(dashboards)
}

impl Dashboard {
    /// Panels, those inside of rows too.
    pub fn panels(&self) -> Vec<&Value> {
        let top = self.document["panels"].as_array().into_iter().flatten();
        top.flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
            .collect()
    }

    /// As written, with Grafana's variables in them.
    pub fn written(&self) -> Vec<Question> {
        let mut questions = Vec::new();
        for panel in self.panels() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                questions.push(Question {
                    panel: panel["title"].as_str().unwrap_or("?").to_owned(),
                    expression: target["expr"].as_str().unwrap_or_default().to_owned(),
                });
            }
        }
        questions
    }

    /// As Grafana asks when everything is chosen in every list.
    pub fn asked(&self, interval: &str) -> Vec<Question> {
        let mut questions = self.written();
        for question in &mut questions {
            let mut text = question.expression.replace("$__rate_interval", interval);
            text = text.replace("$__range", "5m");
            for variable in self.document["templating"]["list"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let name = variable["name"].as_str().unwrap_or_default();
                let all = variable["allValue"].as_str().unwrap_or(".+");
                text = text
                    .replace(&format!("${{{name}}}"), all)
                    .replace(&format!("${name}"), all);
            }
            question.expression = text;
        }
        questions
    }
}
