//! Settings: what was said on the command line, in the environment and in the file, and what is meant by it.
//!
//! Boundary: reads and checks; starts nothing. Whoever needs a setting takes it from [`Config`].

pub mod args;
pub mod document;
pub mod effective;
pub mod environment;
pub mod mistake;
pub mod reader;
pub mod resolve;
pub mod setting;
pub mod structured;
pub mod table;
pub mod yaml;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use mistake::Mistakes;
pub use resolve::{Said, resolve};
pub use structured::{DatabasePorts, Structured};
pub use table::{Kubernetes, LogFormat, Tls};

use crate::{attribution, endpoint, metrics, pipeline};

/// A kubelet's own port, for a process in the node's network namespace.
#[cfg(feature = "kubernetes")]
const LOCAL_KUBELET: &str = "https://127.0.0.1:10250";

/// Everything that is in effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub listen: SocketAddr,
    pub web_config: Option<PathBuf>,
    pub metrics: bool,
    pub log_format: LogFormat,
    pub log_level: tracing::Level,
    pub client_metrics: bool,
    pub max_methods: usize,
    pub max_series: usize,
    pub series_idle: Duration,
    pub call_idle: Duration,
    pub ring_bytes: u32,
    pub max_connections: usize,
    pub gauge_interval: Duration,
    pub tls: Tls,
    /// `None`: find it.
    pub cgroup: Option<PathBuf>,
    pub kubernetes: Kubernetes,
    pub kubelet: Option<String>,
    pub kubelet_verify: bool,
    /// `None`: the host's name.
    pub node_name: Option<String>,
    pub structured: Structured,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 9464).into(),
            web_config: None,
            metrics: true,
            log_format: LogFormat::Text,
            log_level: tracing::Level::INFO,
            client_metrics: true,
            max_methods: metrics::settings::DEFAULT_MAX_METHODS,
            max_series: metrics::settings::DEFAULT_MAX_SERIES,
            series_idle: metrics::settings::DEFAULT_SERIES_IDLE,
            call_idle: pipeline::DEFAULT_CALL_IDLE,
            ring_bytes: 2 << 20,
            max_connections: pipeline::DEFAULT_MAX_CONNECTIONS,
            gauge_interval: Duration::from_secs(5),
            tls: Tls::Hidden,
            cgroup: None,
            kubernetes: Kubernetes::Auto,
            kubelet: None,
            kubelet_verify: true,
            node_name: None,
            structured: Structured::default(),
        }
    }
}

impl Config {
    pub fn endpoint_settings(&self) -> endpoint::Settings {
        let Self {
            listen,
            metrics,
            web_config,
            ..
        } = self;
        let mut settings = endpoint::Settings::new(*listen);
        settings.metrics = *metrics;
        settings.web_config.clone_from(web_config);
        settings
    }

    /// This node's name, in Kubernetes where it is one of a cluster.
    pub fn node(&self) -> String {
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.node_name.clone().unwrap_or_else(host)
    }

    pub fn attribution_settings(&self) -> attribution::Settings {
        attribution::Settings {
            node: self.node(),
            rules: self.structured.services.clone(),
            ..attribution::Settings::default()
        }
    }

    /// Who is asked for pods; nothing where nobody is. `in_cluster` is what [`Kubernetes::Auto`] goes by.
    #[cfg(feature = "kubernetes")]
    pub fn informer_settings(&self, in_cluster: bool) -> Option<attribution::kubernetes::informer::Settings> {
        use attribution::kubernetes::connect::Verify;
        use attribution::kubernetes::informer::{Kubelet, Settings};

        let kubelet = |address: String| Kubelet {
            address,
            verify: if self.kubelet_verify {
                Verify::Cluster
            } else {
                Verify::Nothing
            },
        };
        let named = self.kubelet.clone().map(kubelet);
        let (api, kubelet) = match self.kubernetes {
            Kubernetes::Off => return None,
            Kubernetes::Auto => (in_cluster, named),
            Kubernetes::Api => (true, named),
            Kubernetes::Kubelet => (false, named.or_else(|| Some(kubelet(LOCAL_KUBELET.to_owned())))),
        };
        (api || kubelet.is_some()).then(|| Settings {
            api,
            kubelet,
            node: self.node(),
        })
    }

    pub fn metrics_settings(&self) -> metrics::Settings {
        metrics::Settings {
            buckets: self.structured.buckets.clone(),
            namespace: self.structured.labels.namespace,
            pod: self.structured.labels.pod,
            client: self.client_metrics,
            max_methods: self.max_methods,
            max_series: self.max_series,
            series_idle: self.series_idle,
        }
    }
}

#[cfg(test)]
mod tests;
