//! From YAML nodes to values, collecting what is wrong on the way. Used for the settings file and for the web
//! configuration file.

use std::collections::HashMap;
use std::path::Path;

use super::mistake::{Mistakes, Place, unknown_key};
use super::yaml::{Entry, Node, Value};

/// Reads nodes and collects what is wrong with them.
#[derive(Debug)]
pub struct Reader<'a> {
    pub path: &'a Path,
    pub mistakes: &'a mut Mistakes,
}

impl Reader<'_> {
    pub fn wrong(&mut self, line: usize, key: &str, message: impl Into<String>) {
        self.mistakes.add(Place::file(self.path, line, key), message);
    }

    /// The entries of a mapping whose keys are not known beforehand; a key twice is a mistake, and the first counts.
    pub fn map<'n>(&mut self, node: &'n Node, key: &str) -> Vec<&'n Entry> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            Value::Scalar(_) | Value::List(_) => {
                self.wrong(node.line, key, format!("must be a mapping, not {}", node.kind()));
                &[]
            }
        };
        let mut unique: Vec<&Entry> = Vec::with_capacity(entries.len());
        let mut seen = HashMap::new();
        for entry in entries {
            match seen.insert(entry.key.as_str(), entry.line) {
                None => unique.push(entry),
                Some(line) => {
                    self.wrong(
                        entry.line,
                        &joined(key, &entry.key),
                        format!("is there already, in line {line}"),
                    );
                }
            }
        }
        unique
    }

    /// The same where all keys are known; an unknown one is a mistake.
    pub fn fields<'n>(&mut self, node: &'n Node, key: &str, known: &[&str]) -> Vec<&'n Entry> {
        let mut entries = self.map(node, key);
        entries.retain(|entry| {
            let is_known = known.contains(&entry.key.as_str());
            if !is_known {
                let message = unknown_key(&entry.key, known.iter().copied());
                self.wrong(entry.line, &joined(key, &entry.key), message);
            }
            is_known
        });
        entries
    }

    pub fn list<'n>(&mut self, node: &'n Node, key: &str, most: usize) -> &'n [Node] {
        match &node.value {
            Value::List(items) if items.len() <= most => items,
            Value::List(items) => {
                self.wrong(
                    node.line,
                    key,
                    format!("{} entries are too many; at most {most}", items.len()),
                );
                &[]
            }
            Value::Null => &[],
            Value::Scalar(_) | Value::Map(_) => {
                self.wrong(node.line, key, format!("must be a list, not {}", node.kind()));
                &[]
            }
        }
    }

    /// A single value, read by `parse`.
    pub fn value<T>(
        &mut self,
        node: &Node,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Value::Scalar(text) = &node.value else {
            self.wrong(
                node.line,
                key,
                format!("must be a single value, not {}", node.kind()),
            );
            return None;
        };
        parse(text)
            .map_err(|message| self.wrong(node.line, key, message))
            .ok()
    }
}

/// `labels.pod`
pub fn joined(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
