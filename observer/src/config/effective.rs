//! `observer config`: every setting, its value, and where that came from, in the form of a settings file.

use std::fmt::{self, Write as _};

use super::mistake::Place;
use super::structured::{DatabasePorts, Labels, ServiceRule, Structured};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective(Vec<Line>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    key: String,
    /// YAML; more than one line for what has a structure.
    value: String,
    place: Place,
}

impl Effective {
    pub fn add(&mut self, key: String, text: &str, place: Place) {
        let value = if text.is_empty() {
            String::new()
        } else {
            format!(" {}", scalar(text))
        };
        self.0.push(Line { key, value, place });
    }

    pub fn structured(&mut self, structured: &Structured, place: impl Fn(&str) -> Place) {
        let Structured {
            buckets,
            labels,
            services,
            database_ports,
        } = structured;
        let bounds = buckets
            .labels()
            .filter_map(|le| le.strip_prefix("le=\"")?.strip_suffix('"'));
        let bounds: Vec<_> = bounds.filter(|bound| *bound != "+Inf").collect();
        let Labels { namespace, pod } = labels;
        for (key, value) in [
            ("buckets", format!(" [{}]", bounds.join(", "))),
            ("labels", format!(" {{namespace: {namespace}, pod: {pod}}}")),
            ("services", rules(services)),
            ("database_ports", databases(database_ports)),
        ] {
            self.0.push(Line {
                key: key.to_owned(),
                value,
                place: place(key),
            });
        }
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { key, value, place } in &self.0 {
            let from = match place {
                Place::File { path, line, .. } => format!("{}:{line}", path.display()),
                other => other.to_string(),
            };
            // The comment on the first line; a structured value goes on below.
            let (first, rest) = value.split_once('\n').unwrap_or((value, ""));
            let left = if first.is_empty() && rest.is_empty() {
                format!("# {key}:")
            } else {
                format!("{key}:{first}")
            };
            writeln!(f, "{left:<40} # {from}")?;
            if !rest.is_empty() {
                writeln!(f, "{rest}")?;
            }
        }
        Ok(())
    }
}

fn rules(rules: &[ServiceRule]) -> String {
    if rules.is_empty() {
        return " []".to_owned();
    }
    let mut out = String::new();
    for ServiceRule {
        name,
        port,
        unit,
        process,
        command_line,
        cgroup,
        label,
    } in rules
    {
        // Writing to a String does not fail.
        let _ = write!(out, "\n  - service: {}", scalar(name));
        if let Some(port) = port {
            let _ = write!(out, "\n    port: {port}");
        }
        let patterns = [
            ("unit", unit),
            ("process", process),
            ("command_line", command_line),
            ("cgroup", cgroup),
        ];
        for (key, value) in patterns {
            if let Some(value) = value {
                let _ = write!(out, "\n    {key}: {}", scalar(value));
            }
        }
        if !label.is_empty() {
            out.push_str("\n    label:");
        }
        for (name, value) in label {
            let _ = write!(out, "\n      {}: {}", scalar(name), scalar(value));
        }
    }
    out
}

fn databases(databases: &[DatabasePorts]) -> String {
    let mut out = String::new();
    for DatabasePorts { database, ports } in databases {
        let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
        // Writing to a String does not fail.
        let _ = write!(out, "\n  {}: [{}]", scalar(database), ports.join(", "));
    }
    out
}

/// Bare where nothing could be misread; else in double quotes, of which JSON's are a subset.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let word = !text.is_empty() && text.chars().all(plain) && !text.starts_with('-') && text != "null";
    if word {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
