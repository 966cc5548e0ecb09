//! The settings with a structure, which are in the file only: `buckets`, `labels`, `services`, `database_ports`.

use super::reader::{Reader, joined};
use super::setting;
use super::yaml::{Entry, Node, Value};
pub use crate::attribution::rule::ServiceRule;
use crate::gauge::database::DEFAULT;
use crate::metrics::histogram::Buckets;

/// Rules are tried one after the other, once per connection.
pub const MAX_RULES: usize = 1000;
pub const MAX_DATABASES: usize = 64;
pub const MAX_PORTS: usize = 64;

/// Their names, and what the documentation says of them.
pub const ABOUT: [(&str, &str); 4] = [
    (
        "buckets",
        "Upper bounds of the duration histograms, in seconds, ascending. `+Inf` is added.",
    ),
    (
        "labels",
        "`namespace: false` or `pod: false` leaves that label out of every series; what it told apart is added up.",
    ),
    (
        "services",
        "Rules that name services, first match first. Each has `service`, the name to give, and one or more conditions, \
         all of which must hold: `port` (that the service listens on), `unit` (systemd), `process` (its name), \
         `command_line`, `cgroup` (the path), `label` (of the pod or container: names with their values). All but the port \
         are patterns, in which `*` stands for anything.",
    ),
    (
        "database_ports",
        "For each database the ports by which connections to it are known. What is not named keeps its default; an empty \
         list switches one off.",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    pub namespace: bool,
    pub pod: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabasePorts {
    pub database: String,
    pub ports: Vec<u16>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Structured {
    pub buckets: Buckets,
    pub labels: Labels,
    pub services: Vec<ServiceRule>,
    pub database_ports: Vec<DatabasePorts>,
}

impl Default for Structured {
    fn default() -> Self {
        Self {
            buckets: Buckets::default(),
            labels: Labels {
                namespace: true,
                pod: true,
            },
            services: Vec::new(),
            database_ports: known_databases(),
        }
    }
}

/// The databases known by their servers' default ports, grouped for people.
fn known_databases() -> Vec<DatabasePorts> {
    let mut databases: Vec<DatabasePorts> = Vec::new();
    for (port, name) in DEFAULT {
        match databases.iter_mut().find(|known| known.database == name) {
            Some(known) => known.ports.push(port),
            None => databases.push(DatabasePorts {
                database: name.to_owned(),
                ports: vec![port],
            }),
        }
    }
    databases
}

impl Reader<'_> {
    pub fn buckets(&mut self, node: &Node) -> Option<Buckets> {
        let number = |text: &str| {
            text.parse::<f64>()
                .map_err(|_| format!("`{text}` is not a number"))
        };
        let items = self.list(node, "buckets", usize::MAX);
        let bounds: Vec<f64> = items
            .iter()
            .filter_map(|item| self.value(item, "buckets", number))
            .collect();
        if bounds.len() < items.len() || !matches!(node.value, Value::List(_) | Value::Null) {
            // Said already.
            return None;
        }
        Buckets::new(&bounds)
            .map_err(|error| self.wrong(node.line, "buckets", error.to_string()))
            .ok()
    }

    pub fn labels(&mut self, node: &Node, mut labels: Labels) -> Labels {
        for entry in self.fields(node, "labels", &["namespace", "pod"]) {
            let key = joined("labels", &entry.key);
            let Some(on) = self.value(&entry.value, &key, setting::boolean) else {
                continue;
            };
            match entry.key.as_str() {
                "namespace" => labels.namespace = on,
                _ => labels.pod = on,
            }
        }
        labels
    }

    pub fn services(&mut self, node: &Node) -> Vec<ServiceRule> {
        let items = self.list(node, "services", MAX_RULES);
        items
            .iter()
            .enumerate()
            .map(|(index, item)| self.rule(item, &format!("services[{index}]")))
            .collect()
    }

    fn rule(&mut self, node: &Node, key: &str) -> ServiceRule {
        let mut rule = ServiceRule::default();
        let before = self.mistakes.len();
        let known = [
            "service",
            "port",
            "unit",
            "process",
            "command_line",
            "cgroup",
            "label",
        ];
        for entry in self.fields(node, key, &known) {
            let (key, value) = (joined(key, &entry.key), &entry.value);
            match entry.key.as_str() {
                "service" => rule.name = self.value(value, &key, text).unwrap_or_default(),
                "port" => rule.port = self.value(value, &key, port),
                "unit" => rule.unit = self.value(value, &key, text),
                "process" => rule.process = self.value(value, &key, text),
                "command_line" => rule.command_line = self.value(value, &key, text),
                "cgroup" => rule.cgroup = self.value(value, &key, text),
                _ => rule.label = self.pod_labels(value, &key),
            }
        }
        if self.mistakes.len() > before {
            return rule;
        }
        let ServiceRule {
            name,
            port,
            unit,
            process,
            command_line,
            cgroup,
            label,
        } = &rule;
        if name.is_empty() {
            self.wrong(node.line, key, "has no `service`, the name to give");
        }
        let patterns = [unit, process, command_line, cgroup];
        if port.is_none() && label.is_empty() && patterns.iter().all(|pattern| pattern.is_none()) {
            let message = "has no condition (port, unit, process, command_line, cgroup or label)";
            self.wrong(node.line, key, message);
        }
        rule
    }

    fn pod_labels(&mut self, node: &Node, key: &str) -> Vec<(String, String)> {
        let entries = self.map(node, key);
        let pair = |entry: &Entry| {
            let value = self.value(&entry.value, &joined(key, &entry.key), text)?;
            Some((entry.key.clone(), value))
        };
        entries.into_iter().filter_map(pair).collect()
    }

    pub fn database_ports(&mut self, node: &Node, mut databases: Vec<DatabasePorts>) -> Vec<DatabasePorts> {
        let entries = self.map(node, "database_ports");
        if entries.len() > MAX_DATABASES {
            let message = format!("{} entries are too many; at most {MAX_DATABASES}", entries.len());
            self.wrong(node.line, "database_ports", message);
            return databases;
        }
        for entry in entries {
            let key = joined("database_ports", &entry.key);
            let items = self.list(&entry.value, &key, MAX_PORTS);
            let ports = items
                .iter()
                .filter_map(|item| self.value(item, &key, port))
                .collect();
            match databases.iter_mut().find(|known| known.database == entry.key) {
                Some(known) => known.ports = ports,
                None => databases.push(DatabasePorts {
                    database: entry.key.clone(),
                    ports,
                }),
            }
        }
        databases
    }
}

fn text(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn port(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|port| *port > 0);
    number.ok_or_else(|| format!("`{text}` is not a port (1 to 65535)"))
}
