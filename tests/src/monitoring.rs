//! The monitoring servers around the observer, the real ones: from Debian, unpacked beside the tests, configured with
//! what `deploy` ships.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::prerequisite::{Error, apt};
use crate::process::{Place, Process};
use crate::scrape;
use crate::wait;
use crate::workload::cache;

pub mod application;
pub mod chart;
pub mod cluster;
pub mod dashboard;
pub mod operator;
pub mod prometheus;
pub mod stack;
pub mod webhook;

/// Where current versions are.
const SUITE: &str = "sid";
const PACKAGES: [&str; 4] = [
    "prometheus",
    "promtool",
    "prometheus-alertmanager",
    "prometheus-node-exporter",
];

/// A loaded machine starts them slowly.
const STARTING: Duration = Duration::from_mins(1);

/// The folder `deploy` of this project.
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// The unpacked programs.
#[derive(Debug, Clone)]
pub struct Servers {
    root: PathBuf,
}

impl Servers {
    pub fn prepare() -> Result<Self, Error> {
        let key = format!("{SUITE} {}", PACKAGES.join(" "));
        let root = cache::folder("monitoring", &key, |folder| apt::unpack(SUITE, &PACKAGES, folder))?;
        Ok(Self { root })
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.root.join("usr/bin").join(name)
    }

    /// Alertmanager; `configuration` beside what it names. Debian's looks for its templates in /usr/share, so it gets the
    /// unpacked one there, in a mount namespace of its own.
    pub fn alertmanager(&self, configuration: &Path, storage: &Path) -> Result<Server> {
        let address = free_address()?;
        let mount = r#"mount --bind "$0" /usr/share && exec "$@""#;
        let command: Vec<OsString> = vec![
            "unshare".into(),
            "--mount".into(),
            "sh".into(),
            "-c".into(),
            mount.into(),
            self.root.join("usr/share").into(),
            self.program("prometheus-alertmanager").into(),
            option("--config.file=", configuration),
            option("--storage.path=", storage),
            format!("--web.listen-address={address}").into(),
            "--cluster.listen-address=".into(),
        ];
        Server::start(&command, address, "/-/ready")
    }

    pub fn node_exporter(&self) -> Result<Server> {
        let address = free_address()?;
        let command: Vec<OsString> = vec![
            self.program("prometheus-node-exporter").into(),
            format!("--web.listen-address={address}").into(),
        ];
        Server::start(&command, address, "/metrics")
    }
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

/// One of them, as long as it is held.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: String,
}

impl Server {
    /// Started, and answering at `page`.
    fn start(command: &[OsString], address: String, page: &str) -> Result<Self> {
        let mut process = Process::start(command, &Place::default())?;
        let ready = wait::until(STARTING, || match scrape::get(&address, page) {
            Ok((200, _)) => Ok(true),
            _ if process.has_ended() => Ok(false),
            Ok((status, text)) => Err(format!("{status} {text}")),
            Err(error) => Err(error.to_string()),
        });
        let ready = ready.with_context(|| process.report())?;
        anyhow::ensure!(ready, "{} did not start{}", process.name(), process.report());
        Ok(Self { process, address })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn report(&self) -> String {
        self.process.report()
    }
}

/// An address that was free a moment ago; nothing else here asks for ports of this range.
pub fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
