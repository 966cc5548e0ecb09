//! Where an observer is: `http://host:port/path`, as little of a URL as that needs.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

const DEFAULT_PORT: u16 = 9464;
const DEFAULT_PATH: &str = "/metrics";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    host: String,
    port: u16,
    path: String,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Error {
    #[error("https is not supported: give the http address of the observer, for example of a port-forward")]
    Https,
    #[error("{0} is not a scheme that is understood; a URL looks like http://127.0.0.1:9464")]
    Scheme(String),
    #[error("names and passwords in a URL are not supported")]
    Credentials,
    #[error("{0:?} is not a host, or a host and a port")]
    Authority(String),
    #[error("the path has characters that a URL cannot have")]
    Path,
}

impl Url {
    /// Port 9464 and `/metrics` may be left out.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => return Err(Error::Https),
            Some((scheme, _)) => return Err(Error::Scheme(scheme.to_owned())),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(Error::Credentials);
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Path);
        }
        let (host, port) = host_and_port(authority).ok_or_else(|| Error::Authority(authority.to_owned()))?;
        let path = if path.len() <= 1 { DEFAULT_PATH } else { path };
        Ok(Self {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }

    /// Of the daemon that listens there, from the same machine.
    pub fn local(listen: SocketAddr) -> Self {
        let address = match listen.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        Self {
            host: address.to_string(),
            port: listen.port(),
            path: DEFAULT_PATH.to_owned(),
        }
    }

    /// What to resolve.
    pub fn host(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Value of the `Host` field.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn host_and_port(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, rest)
    } else {
        let at = authority.find(':').unwrap_or(authority.len());
        let (host, rest) = authority.split_at(at);
        let named = host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
        if host.is_empty() || !named {
            return None;
        }
        (host, rest)
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok()?,
        None if port.is_empty() => DEFAULT_PORT,
        None => return None,
    };
    Some((host, port))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, expected) in [
            ("http://10.0.0.1:1/x", "http://10.0.0.1:1/x"),
            ("HTTP://node-1", "http://node-1:9464/metrics"),
            ("localhost:80/", "http://localhost:80/metrics"),
            ("http://[::1]:9000", "http://[::1]:9000/metrics"),
            ("[::1]", "http://[::1]:9464/metrics"),
        ] {
            assert_eq!(
                Url::parse(text).map(|url| url.to_string()).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn refusals() {
        let authority = |text: &str| Error::Authority(text.to_owned());
        for (text, expected) in [
            ("https://a", Error::Https),
            ("unix:///a", Error::Scheme("unix".to_owned())),
            ("http://u:p@a", Error::Credentials),
            ("http://", authority("")),
            ("http://a:b", authority("a:b")),
            ("http://a:99999", authority("a:99999")),
            ("http://[::1", authority("[::1")),
            ("http://a b", authority("a b")),
            ("http://a/x y", Error::Path),
            ("http://a/\r\nX:", Error::Path),
        ] {
            assert_eq!(Url::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn of_the_local_daemon() {
        for (listen, expected) in [
            ("0.0.0.0:9464", "http://127.0.0.1:9464/metrics"),
            ("[::]:1", "http://[::1]:1/metrics"),
            ("10.1.1.1:2", "http://10.1.1.1:2/metrics"),
        ] {
            assert_eq!(Url::local(listen.parse().expect("address")).to_string(), expected);
        }
    }
}
