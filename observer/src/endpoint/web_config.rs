//! The web configuration file that Prometheus exporters share: read and checked, all mistakes at once.
//!
//! Knows keys and values, not what TLS makes of them (that is [`tls`](super::tls)).

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use super::auth::Hash;
use crate::config::mistake::Mistakes;
use crate::config::reader::{Reader, joined};
use crate::config::setting;
use crate::config::yaml::{self, Node};

/// Basic authentication is for a few scrapers; more belong behind client certificates or a proxy.
const MAX_USERS: usize = 1000;
const MAX_LIST: usize = 64;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct WebConfig {
    pub tls: Option<Tls>,
    /// Sent with every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub users: Vec<(String, Hash)>,
    pub rate_limit: Option<RateLimit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub certificate: Source,
    pub key: Source,
    pub client_ca: Option<Source>,
    pub client_auth: ClientAuth,
    /// Empty: whoever the certificate authority vouches for.
    pub client_allowed_sans: Vec<String>,
    pub versions: Versions,
    /// Of TLS 1.2; empty: all that are offered.
    pub cipher_suites: Vec<String>,
    pub prefer_server_cipher_suites: bool,
    pub curves: Vec<String>,
    /// Of `tls_server_config`, for messages about what is in the files.
    pub line: usize,
}

/// PEM, by name or in place.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    Inline(String),
}

impl std::fmt::Debug for Source {
    /// It may be a private key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Inline(_) => f.write_str("inline"),
        }
    }
}

/// Go's policies, which the format takes its words from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    None,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

impl ClientAuth {
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }

    pub fn is_mandatory(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    Tls12,
    Tls13,
    Both,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub interval: Duration,
    pub burst: usize,
}

/// `path` is what the messages name, and its folder is what file names in it are relative to.
pub fn parse(path: &Path, text: &str) -> Result<WebConfig, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut reader = Reader {
        path,
        mistakes: &mut mistakes,
    };
    let mut config = WebConfig::default();
    match yaml::parse(text) {
        Ok(root) => reader.web_config(&root, &mut config),
        Err(error) => reader.wrong(error.line, "", error.message),
    }
    mistakes.none().map(|()| config)
}

impl Reader<'_> {
    fn web_config(&mut self, root: &Node, config: &mut WebConfig) {
        let known = [
            "tls_server_config",
            "http_server_config",
            "basic_auth_users",
            "rate_limit",
        ];
        for entry in self.fields(root, "", &known) {
            let node = &entry.value;
            match entry.key.as_str() {
                "tls_server_config" => config.tls = self.tls(node, entry.line),
                "http_server_config" => config.headers = self.http(node),
                "basic_auth_users" => config.users = self.users(node),
                _ => config.rate_limit = self.rate_limit(node),
            }
        }
    }

    fn tls(&mut self, node: &Node, line: usize) -> Option<Tls> {
        const KEY: &str = "tls_server_config";
        let mut files = Files::default();
        let mut tls = Tls {
            certificate: Source::Inline(String::new()),
            key: Source::Inline(String::new()),
            client_ca: None,
            client_auth: ClientAuth::None,
            client_allowed_sans: Vec::new(),
            versions: Versions::Both,
            cipher_suites: Vec::new(),
            prefer_server_cipher_suites: true,
            curves: Vec::new(),
            line,
        };
        let (mut least, mut most) = (Versions::Tls12, Versions::Tls13);
        let known = [
            "cert",
            "key",
            "client_ca",
            "cert_file",
            "key_file",
            "client_ca_file",
            "client_auth_type",
            "client_allowed_sans",
            "min_version",
            "max_version",
            "cipher_suites",
            "prefer_server_cipher_suites",
            "curve_preferences",
        ];
        let before = self.mistakes.len();
        let fields = self.fields(node, KEY, &known);
        if fields.is_empty() && self.mistakes.len() == before {
            return None;
        }
        for entry in fields {
            let (key, value) = (joined(KEY, &entry.key), &entry.value);
            match entry.key.as_str() {
                "cert" | "cert_file" => self.source(&mut files.certificate, value, &key),
                "key" | "key_file" => self.source(&mut files.key, value, &key),
                "client_ca" | "client_ca_file" => self.source(&mut files.client_ca, value, &key),
                "client_auth_type" => {
                    tls.client_auth = self.value(value, &key, client_auth).unwrap_or(tls.client_auth);
                }
                "client_allowed_sans" => tls.client_allowed_sans = self.words(value, &key, san),
                "min_version" => least = self.value(value, &key, version).unwrap_or(least),
                "max_version" => most = self.value(value, &key, version).unwrap_or(most),
                "cipher_suites" => tls.cipher_suites = self.words(value, &key, super::tls::cipher_suite),
                "curve_preferences" => tls.curves = self.words(value, &key, super::tls::curve),
                _ => {
                    tls.prefer_server_cipher_suites =
                        self.value(value, &key, setting::boolean).unwrap_or(true);
                }
            }
        }
        if self.mistakes.len() > before {
            return None;
        }
        tls.versions = self.versions(line, least, most)?;
        self.complete(tls, files)
    }

    /// What must come together.
    fn complete(&mut self, mut tls: Tls, files: Files) -> Option<Tls> {
        let mut wrong = |message: &str| self.wrong(tls.line, "tls_server_config", message);
        if files.certificate.is_none() {
            wrong("has no certificate (cert_file)");
        }
        if files.key.is_none() {
            wrong("has no key (key_file)");
        }
        if tls.client_auth.verifies() && files.client_ca.is_none() {
            wrong("verifies client certificates and has nothing to verify them by (client_ca_file)");
        }
        if !tls.client_auth.verifies() && files.client_ca.is_some() {
            wrong("has client_ca_file, but client_auth_type does not verify; use RequireAndVerifyClientCert");
        }
        if !tls.client_auth.is_mandatory() && !tls.client_allowed_sans.is_empty() {
            wrong("has client_allowed_sans, but client_auth_type lets clients in without a certificate");
        }
        tls.client_ca = files.client_ca;
        tls.certificate = files.certificate?;
        tls.key = files.key?;
        Some(tls)
    }

    fn versions(&mut self, line: usize, least: Versions, most: Versions) -> Option<Versions> {
        match (least, most) {
            (Versions::Tls12, Versions::Tls13) => Some(Versions::Both),
            (Versions::Tls13, Versions::Tls12) => {
                self.wrong(line, "tls_server_config", "min_version is above max_version");
                None
            }
            (one, _) => Some(one),
        }
    }

    /// One of a pair of keys, `x` and `x_file`.
    fn source(&mut self, source: &mut Option<Source>, node: &Node, key: &str) {
        let folder = self.path.parent().unwrap_or(Path::new("")).to_owned();
        let is_file = key.ends_with("_file");
        let read = |text: &str| match (text, is_file) {
            ("", _) => Err("must not be empty".to_owned()),
            (text, true) => Ok(Source::File(folder.join(text))),
            (text, false) => Ok(Source::Inline(text.to_owned())),
        };
        let Some(value) = self.value(node, key, read) else {
            return;
        };
        if source.replace(value).is_some() {
            self.wrong(
                node.line,
                key,
                "is given both inline and as a file; one of them must go",
            );
        }
    }

    fn words(&mut self, node: &Node, key: &str, check: fn(&str) -> Result<(), String>) -> Vec<String> {
        let items = self.list(node, key, MAX_LIST);
        let word = |text: &str| check(text).map(|()| text.to_owned());
        items
            .iter()
            .filter_map(|item| self.value(item, key, word))
            .collect()
    }

    fn http(&mut self, node: &Node) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::new();
        for entry in self.fields(node, "http_server_config", &["http2", "headers"]) {
            let key = joined("http_server_config", &entry.key);
            if entry.key == "http2" {
                // Either way this is an HTTP/1.1 server; scrapers negotiate.
                self.value(&entry.value, &key, setting::boolean);
                continue;
            }
            let known = HEADERS.map(|(name, _)| name);
            for entry in self.fields(&entry.value, &key, &known) {
                let read = |text: &str| header(&entry.key, text);
                headers.extend(
                    self.value(&entry.value, &joined(&key, &entry.key), read)
                        .flatten(),
                );
            }
        }
        headers
    }

    fn users(&mut self, node: &Node) -> Vec<(String, Hash)> {
        let entries = self.map(node, "basic_auth_users");
        if entries.len() > MAX_USERS {
            let message = format!("{} users are too many; at most {MAX_USERS}", entries.len());
            self.wrong(node.line, "basic_auth_users", message);
            return Vec::new();
        }
        let mut users = Vec::new();
        for entry in entries {
            let key = joined("basic_auth_users", &entry.key);
            if entry.key.contains(':') {
                self.wrong(entry.line, &key, "a user name with a colon cannot be sent");
            }
            let hash = self.value(&entry.value, &key, Hash::parse);
            users.extend(hash.map(|hash| (entry.key.clone(), hash)));
        }
        users
    }

    fn rate_limit(&mut self, node: &Node) -> Option<RateLimit> {
        let mut limit = RateLimit {
            interval: Duration::ZERO,
            burst: 1,
        };
        for entry in self.fields(node, "rate_limit", &["interval", "burst"]) {
            let key = joined("rate_limit", &entry.key);
            if entry.key == "interval" {
                let read = |text: &str| match text {
                    "0" => Ok(Duration::ZERO),
                    text => setting::duration(text, 1, 3_600_000),
                };
                limit.interval = self.value(&entry.value, &key, read).unwrap_or_default();
            } else {
                let read = |text: &str| setting::count(text, 1, 1_000_000);
                limit.burst = self.value(&entry.value, &key, read).unwrap_or(1);
            }
        }
        Some(limit).filter(|limit| limit.interval > Duration::ZERO)
    }
}

#[derive(Default)]
struct Files {
    certificate: Option<Source>,
    key: Option<Source>,
    client_ca: Option<Source>,
}

fn client_auth(text: &str) -> Result<ClientAuth, String> {
    let words = [
        ("NoClientCert", ClientAuth::None),
        ("RequestClientCert", ClientAuth::Request),
        ("RequireAnyClientCert", ClientAuth::RequireAny),
        ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
        ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
    ];
    match text {
        // An older spelling.
        "RequireClientCert" => Ok(ClientAuth::RequireAny),
        text => setting::word(text, &words),
    }
}

fn version(text: &str) -> Result<Versions, String> {
    match text {
        "TLS10" | "TLS11" => Err(format!("{text} is broken and not offered; TLS12 or TLS13")),
        text => setting::word(text, &[("TLS12", Versions::Tls12), ("TLS13", Versions::Tls13)]),
    }
}

fn san(text: &str) -> Result<(), String> {
    match text {
        "" => Err("must not be empty".to_owned()),
        text if text.contains('@') && !text.contains("://") => Err(format!(
            "`{text}`: e-mail addresses are not compared here; use a DNS name, an address or a URI"
        )),
        _ => Ok(()),
    }
}

/// The headers the format knows, with the values it allows; none: any.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("Strict-Transport-Security", &[]),
];

/// `None` for a blank one.
fn header(name: &str, text: &str) -> Result<Option<(HeaderName, HeaderValue)>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let allowed = HEADERS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or(&[][..], |(_, values)| values);
    if !allowed.is_empty() && !allowed.iter().any(|value| value.eq_ignore_ascii_case(text)) {
        return Err(format!("`{text}` is none of {}", allowed.join(", ")));
    }
    let value = HeaderValue::from_str(text).map_err(|_| "cannot be sent in a header".to_owned())?;
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "cannot be sent".to_owned())?;
    Ok(Some((name, value)))
}

#[cfg(test)]
mod tests;
