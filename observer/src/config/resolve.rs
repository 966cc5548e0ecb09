//! From what was said (by flag, environment, file) to what is meant: the flag wins over the environment, that over the
//! file, that over the default. Every value is checked, also one that is overruled.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::effective::Effective;
use super::mistake::{Mistakes, Place, unknown_key};
use super::reader::Reader;
use super::setting::{About, Setting};
use super::structured::{self, Structured};
use super::yaml::{self, Node};
use super::{Config, environment, table};

/// Values of flags, by the setting's name.
pub type Flags = HashMap<&'static str, String>;

/// Everything that can be said, read already.
#[derive(Debug, Default)]
pub struct Said {
    pub flags: Flags,
    pub environment: Vec<(OsString, OsString)>,
}

/// The configuration in effect, and where each value came from.
pub fn resolve(said: &Said) -> Result<(Config, Effective), Mistakes> {
    let mut mistakes = Mistakes::default();
    let variables = environment::read(&said.environment, &mut mistakes);
    let mut sources = Sources {
        flags: &said.flags,
        variables,
        file: HashMap::new(),
        path: PathBuf::new(),
        lines: HashMap::new(),
        mistakes,
        effective: Effective::default(),
    };
    let root = sources.read_file();
    let structured = sources.structured(root.as_ref());
    let config = sources.config(structured);
    let Sources {
        path,
        lines,
        effective,
        ..
    } = &mut sources;
    effective.structured(&config.structured, |key| {
        lines
            .get(key)
            .map_or(Place::Default, |line| Place::file(path, *line, key))
    });
    sources.mistakes.none().map(|()| (config, sources.effective))
}

struct Sources<'a> {
    flags: &'a Flags,
    variables: HashMap<String, environment::Variable>,
    /// Key to value and line, of the settings that are one value.
    file: HashMap<String, (String, usize)>,
    path: PathBuf,
    /// Where the keys of the file are.
    lines: HashMap<String, usize>,
    mistakes: Mistakes,
    effective: Effective,
}

impl Sources<'_> {
    /// What was said about a setting, the weightiest first.
    fn said(&self, about: &About) -> Vec<(Place, String)> {
        let flag = self
            .flags
            .get(about.name)
            .map(|text| (Place::Flag(about.name), text.clone()));
        let variable = self.variables.get(about.name);
        let variable = variable.map(|said| (Place::Environment(said.name.clone()), said.value.clone()));
        let file = self.file.get(&about.key());
        let file = file.map(|(text, line)| (Place::file(&self.path, *line, about.key()), text.clone()));
        flag.into_iter().chain(variable).chain(file).collect()
    }

    fn optional<T>(&mut self, setting: &Setting<T>) -> Option<T> {
        let about = &setting.about;
        let mut meant = None;
        for (place, text) in self.said(about) {
            match (setting.parse)(&text) {
                Ok(value) if meant.is_none() => meant = Some((value, place, text)),
                Ok(_) => {}
                Err(message) => self.mistakes.add(place, message),
            }
        }
        if let Some((value, place, text)) = meant {
            self.effective.add(about.key(), &text, place);
            return Some(value);
        }
        self.effective.add(about.key(), about.default, Place::Default);
        (setting.parse)(about.default)
            .ok()
            .filter(|_| !about.default.is_empty())
    }

    /// For a setting with a default; that each of them can be read is a test's matter.
    fn required<T>(&mut self, setting: &Setting<T>, fallback: T) -> T {
        self.optional(setting).unwrap_or(fallback)
    }

    /// Reads the file that was named, if one was, and takes the single values apart.
    fn read_file(&mut self) -> Option<Node> {
        let (place, path) = self.said(&table::CONFIG).into_iter().next()?;
        self.path = PathBuf::from(path);
        let node = match read(&self.path) {
            Ok(text) => yaml::parse(&text),
            Err(message) => {
                self.mistakes.add(place, message);
                return None;
            }
        };
        match node {
            Ok(node) => Some(node),
            Err(error) => {
                self.mistakes
                    .add(Place::file(&self.path, error.line, ""), error.message);
                None
            }
        }
    }

    fn structured(&mut self, root: Option<&Node>) -> Structured {
        let mut structured = Structured::default();
        let Some(root) = root else { return structured };
        let mut reader = Reader {
            path: &self.path,
            mistakes: &mut self.mistakes,
        };
        for entry in reader.map(root, "") {
            let node = &entry.value;
            self.lines.insert(entry.key.clone(), entry.line);
            match entry.key.as_str() {
                "buckets" => structured.buckets = reader.buckets(node).unwrap_or(structured.buckets),
                "labels" => structured.labels = reader.labels(node, structured.labels),
                "services" => structured.services = reader.services(node),
                "database_ports" => {
                    structured.database_ports = reader.database_ports(node, structured.database_ports);
                }
                key if file_keys().any(|known| known == key) => {
                    if let Some(text) = reader.value(node, key, |text| Ok(text.to_owned())) {
                        self.file.insert(key.to_owned(), (text, entry.line));
                    }
                }
                key => {
                    let known: Vec<String> = file_keys().chain(structured_keys()).collect();
                    let message = unknown_key(key, known.iter().map(String::as_str));
                    reader.wrong(entry.line, key, message);
                }
            }
        }
        structured
    }

    fn config(&mut self, structured: Structured) -> Config {
        let default = Config::default();
        Config {
            listen: self.required(&table::LISTEN, default.listen),
            web_config: self.optional(&table::WEB_CONFIG),
            metrics: self.required(&table::METRICS, default.metrics),
            log_format: self.required(&table::LOG_FORMAT, default.log_format),
            log_level: self.required(&table::LOG_LEVEL, default.log_level),
            client_metrics: self.required(&table::CLIENT_METRICS, default.client_metrics),
            max_methods: self.required(&table::MAX_METHODS, default.max_methods),
            max_series: self.required(&table::MAX_SERIES, default.max_series),
            series_idle: self.required(&table::SERIES_IDLE, default.series_idle),
            call_idle: self.required(&table::CALL_IDLE, default.call_idle),
            ring_bytes: self.required(&table::RING_BYTES, default.ring_bytes),
            max_connections: self.required(&table::MAX_CONNECTIONS, default.max_connections),
            gauge_interval: self.required(&table::GAUGE_INTERVAL, default.gauge_interval),
            tls: self.required(&table::TLS, default.tls),
            cgroup: self.optional(&table::CGROUP),
            kubernetes: self.required(&table::KUBERNETES, default.kubernetes),
            kubelet: self.optional(&table::KUBELET),
            kubelet_verify: self.required(&table::KUBELET_VERIFY, default.kubelet_verify),
            node_name: self.optional(&table::NODE_NAME),
            structured,
        }
    }
}

/// Single values that may be in the file.
fn file_keys() -> impl Iterator<Item = String> {
    table::ALL
        .iter()
        .filter(|about| about.name != table::CONFIG.name)
        .map(|about| about.key())
}

fn structured_keys() -> impl Iterator<Item = String> {
    structured::ABOUT.iter().map(|(key, _)| (*key).to_owned())
}

/// A file of bounded size; what is wrong says what to do.
pub fn read(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let shown = path.display();
    let file = std::fs::File::open(path).map_err(|error| format!("cannot open {shown}: {error}"))?;
    let mut text = String::new();
    let taken = file.take(yaml::MAX_FILE + 1).read_to_string(&mut text);
    match taken {
        Ok(length) if length as u64 > yaml::MAX_FILE => Err(format!(
            "{shown} is larger than {} bytes; this cannot be the settings file",
            yaml::MAX_FILE
        )),
        Ok(_) => Ok(text),
        Err(error) => Err(format!("cannot read {shown}: {error}")),
    }
}
