//! Who may ask what, and over what: the web configuration in effect, read again when it changes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hyper::header::{HeaderName, HeaderValue};
use ring::digest;
use tokio_rustls::TlsAcceptor;

use super::auth::Users;
use super::rate_limit::Bucket;
use super::tls;
use super::web_config::{self, Source, WebConfig};
use crate::config::resolve;
use crate::metrics::Registry;
use crate::metrics::own::Reload;

/// What holds for a request.
pub struct Policy {
    pub tls: Option<TlsAcceptor>,
    pub users: Users,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub bucket: Option<Bucket>,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            tls,
            users,
            headers,
            bucket,
        } = self;
        let mut shown = f.debug_struct("Policy");
        shown
            .field("tls", &tls.is_some())
            .field("users", users)
            .field("headers", headers);
        shown.field("bucket", bucket).finish()
    }
}

#[derive(Debug)]
pub struct Access {
    path: Option<PathBuf>,
    /// How long a look at the files holds.
    interval: Duration,
    registry: Arc<Registry>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    policy: Arc<Policy>,
    seen: Seen,
    looked: Instant,
}

impl Access {
    /// Reads the file, if there is one. A mistake in it is an error here; later it is not (see [`Access::current`]).
    pub fn open(path: Option<PathBuf>, interval: Duration, registry: Arc<Registry>) -> anyhow::Result<Self> {
        let (policy, seen) = match &path {
            Some(path) => load(path)?,
            None => (policy(&WebConfig::default())?, Seen::default()),
        };
        let state = State {
            policy: Arc::new(policy),
            seen,
            looked: Instant::now(),
        };
        Ok(Self {
            path,
            interval,
            registry,
            state: Mutex::new(state),
        })
    }

    /// What is in effect now. Looks at the files at most once an interval; when they changed for the worse, the old
    /// configuration stays, and the log and a counter say so.
    pub fn current(&self) -> Arc<Policy> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = self
            .path
            .as_ref()
            .filter(|_| state.looked.elapsed() >= self.interval)
        else {
            return Arc::clone(&state.policy);
        };
        state.looked = Instant::now();
        if state.seen.is_current() {
            return Arc::clone(&state.policy);
        }
        let seen = Seen::look(&state.seen.paths(path));
        if seen.same_content(&state.seen) {
            state.seen = seen;
            return Arc::clone(&state.policy);
        }
        let reloads = &self.registry.own().reloads;
        match load(path) {
            Ok((policy, seen)) => {
                tracing::info!(file = %path.display(), "the web configuration has changed and is in effect");
                reloads.of(Reload::Ok).add(1);
                (state.policy, state.seen) = (Arc::new(policy), seen);
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(file = %path.display(), error, "the web configuration has changed for the worse; the old one stays");
                reloads.of(Reload::Failed).add(1);
                state.seen = seen;
            }
        }
        Arc::clone(&state.policy)
    }
}

fn load(path: &Path) -> anyhow::Result<(Policy, Seen)> {
    // Looked at before it is read: a change in between is found the next time.
    let main = Seen::look(&[path.to_owned()]);
    let text = resolve::read(path).map_err(anyhow::Error::msg)?;
    let config = web_config::parse(path, &text)?;
    let mut files = Vec::new();
    if let Some(tls) = &config.tls {
        let sources = [Some(&tls.certificate), Some(&tls.key), tls.client_ca.as_ref()];
        files.extend(sources.into_iter().flatten().filter_map(|source| match source {
            Source::File(path) => Some(path.clone()),
            Source::Inline(_) => None,
        }));
    }
    let mut seen = Seen::look(&files);
    seen.0.splice(0..0, main.0);
    let line = config.tls.as_ref().map_or(1, |tls| tls.line);
    let policy = policy(&config).with_context(|| format!("{}:{line}: tls_server_config", path.display()))?;
    Ok((policy, seen))
}

fn policy(config: &WebConfig) -> anyhow::Result<Policy> {
    let WebConfig {
        tls,
        headers,
        users,
        rate_limit,
    } = config;
    Ok(Policy {
        tls: tls.as_ref().map(tls::build).transpose()?.map(TlsAcceptor::from),
        users: Users::new(users)?,
        headers: headers.clone(),
        bucket: rate_limit.map(Bucket::new),
    })
}

/// What the files looked like. Kubernetes replaces a mounted secret by moving a link: so what is looked at is what the
/// path leads to, with its inode.
#[derive(Debug, Default)]
struct Seen(Vec<File>);

#[derive(Debug)]
struct File {
    path: PathBuf,
    stamp: Option<Stamp>,
    /// SHA-256; empty where it cannot be read.
    content: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Changed so shortly before it was looked at that a second change could have the same times.
    recent: bool,
}

/// File systems count time in ticks of up to 10 ms, network file systems in seconds.
const RECENT_SECONDS: i64 = 2;

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let age = i64::try_from(now.as_secs())
            .unwrap_or(i64::MAX)
            .saturating_sub(data.ctime());
        Some(Self {
            inode: (data.dev(), data.ino()),
            size: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
            recent: age <= RECENT_SECONDS,
        })
    }
}

impl Seen {
    fn look(paths: &[PathBuf]) -> Self {
        let file = |path: &PathBuf| {
            let stamp = Stamp::of(path);
            let content = tls::read(&Source::File(path.clone())).ok();
            let content = content.map(|bytes| digest::digest(&digest::SHA256, &bytes).as_ref().to_vec());
            File {
                path: path.clone(),
                stamp,
                content: content.unwrap_or_default(),
            }
        };
        Self(paths.iter().map(file).collect())
    }

    fn is_current(&self) -> bool {
        self.0
            .iter()
            .all(|file| file.stamp.is_some_and(|stamp| !stamp.recent) && Stamp::of(&file.path) == file.stamp)
    }

    fn same_content(&self, other: &Self) -> bool {
        self.0
            .iter()
            .map(|file| &file.content)
            .eq(other.0.iter().map(|file| &file.content))
    }

    fn paths(&self, main: &Path) -> Vec<PathBuf> {
        if self.0.is_empty() {
            return vec![main.to_owned()];
        }
        self.0.iter().map(|file| file.path.clone()).collect()
    }
}
