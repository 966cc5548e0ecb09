//! Every setting that is one value. Flags, environment variables, keys of the file, and `docs/configuration.md` come
//! from here; structured settings are in [`structured`](super::structured).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::setting::{self, About, Setting};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kubernetes {
    /// The API server where the observer runs in a pod, else nothing.
    Auto,
    /// A watch on the API server, limited to this node's pods.
    Api,
    /// The kubelet's own list of pods.
    Kubelet,
    Off,
}

/// What is inside of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    Hidden,
    /// By probes in the libraries that encrypt.
    Seen,
}

const HOUR: u64 = 3_600_000;

/// Flag and variable only: it says where the file is.
pub static CONFIG: About = About {
    name: "config",
    value: "FILE",
    default: "",
    help: "Settings file, in YAML",
    reason: "Everything has a default; a file is needed for rules and buckets only.",
};

pub static LISTEN: Setting<SocketAddr> = Setting {
    about: About {
        name: "listen",
        value: "ADDRESS:PORT",
        default: "0.0.0.0:9464",
        help: "Where /metrics and /health are served",
        reason: "Prometheus scrapes from another node; 9464 is what OpenTelemetry's Prometheus exporters use.",
    },
    parse: setting::address,
};

pub static WEB_CONFIG: Setting<PathBuf> = Setting {
    about: About {
        name: "web.config.file",
        value: "FILE",
        default: "",
        help: "TLS and basic authentication of the endpoint, in the format that Prometheus exporters share",
        reason: "Plain HTTP inside of a cluster is what scrapers expect; read again when it changes.",
    },
    parse: path,
};

pub static METRICS: Setting<bool> = Setting {
    about: About {
        name: "metrics-enabled",
        value: "true|false",
        default: "true",
        help: "Whether /metrics is served; MARTY_METRICS_ENABLED says the same",
        reason: "Metrics are what the observer is for.",
    },
    parse: setting::boolean,
};

pub static LOG_FORMAT: Setting<LogFormat> = Setting {
    about: About {
        name: "log-format",
        value: "text|json",
        default: "text",
        help: "One line of text or one JSON object for each message",
        reason: "A person reads it first; the chart sets json.",
    },
    parse: |text| setting::word(text, &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
};

pub static LOG_LEVEL: Setting<tracing::Level> = Setting {
    about: About {
        name: "log-level",
        value: "error|warn|info|debug|trace",
        default: "info",
        help: "The least important messages that are logged",
        reason: "info tells start, stop and changes; nothing is logged per call.",
    },
    parse: |text| {
        use tracing::Level;
        let levels = [
            ("error", Level::ERROR),
            ("warn", Level::WARN),
            ("info", Level::INFO),
            ("debug", Level::DEBUG),
            ("trace", Level::TRACE),
        ];
        setting::word(text, &levels)
    },
};

pub static CLIENT_METRICS: Setting<bool> = Setting {
    about: About {
        name: "client-metrics",
        value: "true|false",
        default: "true",
        help: "Whether calls that this node's services send are counted too (marty_grpc_client_*)",
        reason: "The service map needs them; they can be half of all series.",
    },
    parse: setting::boolean,
};

pub static MAX_METHODS: Setting<usize> = Setting {
    about: About {
        name: "max-methods",
        value: "N",
        default: "200",
        help: "Methods of one service that get series of their own; the others count under _other",
        reason: "The largest public APIs have about 150; a scanner's random paths must end somewhere.",
    },
    parse: |text| setting::count(text, 1, 10_000),
};

pub static MAX_SERIES: Setting<usize> = Setting {
    about: About {
        name: "max-series",
        value: "N",
        default: "50000",
        help: "Series of calls above which no new service or method gets series of its own",
        reason: "About 2,400 methods, 3 MB of memory here and 7 MB per scrape: more than one node's services have.",
    },
    parse: |text| setting::count(text, 100, 1_000_000),
};

pub static SERIES_IDLE: Setting<Duration> = Setting {
    about: About {
        name: "series-idle",
        value: "DURATION",
        default: "1h",
        help: "Series that nothing was counted into for this long go",
        reason: "Longer than the ranges of usual alerts, short enough that the pods of a rollout go.",
    },
    parse: |text| setting::duration(text, 60_000, 30 * 24 * HOUR),
};

pub static CALL_IDLE: Setting<Duration> = Setting {
    about: About {
        name: "call-idle",
        value: "DURATION",
        default: "2h",
        help: "A call of which nothing was seen for this long is given up (status _unobserved)",
        reason: "Streams that wait for events are silent for long; a lost end must not stay in flight for ever.",
    },
    parse: |text| setting::duration(text, 10_000, 7 * 24 * HOUR),
};

pub static RING_BYTES: Setting<u32> = Setting {
    about: About {
        name: "ring-bytes",
        value: "SIZE",
        default: "2MiB",
        help: "Buffer between the kernel and the daemon; a power of two",
        reason: "About 18,500 records: an eighth of a second of 35,000 calls a second, while the daemon is not \
                 scheduled. It is mapped twice in a row, so resident memory shows it doubled.",
    },
    parse: |text| {
        let bytes = setting::size(text, 64 << 10, 1 << 30)?;
        if bytes.is_power_of_two() {
            Ok(u32::try_from(bytes).unwrap_or(u32::MAX))
        } else {
            Err(format!("`{text}` is not a power of two"))
        }
    },
};

pub static MAX_CONNECTIONS: Setting<usize> = Setting {
    about: About {
        name: "max-connections",
        value: "N",
        default: "65536",
        help: "Connections that decoding state is held for; above it the idle go first, and the loss is counted",
        reason: "At 0.5 to 2 KiB each the larger part of the memory ceiling; more than a node's busy services open.",
    },
    parse: |text| setting::count(text, 16, 1_000_000),
};

pub static GAUGE_INTERVAL: Setting<Duration> = Setting {
    about: About {
        name: "gauge-interval",
        value: "DURATION",
        default: "5s",
        help: "Time between two passes over the CPU, memory and connections of services",
        reason: "Shorter than the usual scrape intervals; a pass costs a few milliseconds.",
    },
    parse: |text| setting::duration(text, 1000, 300_000),
};

pub static TLS: Setting<Tls> = Setting {
    about: About {
        name: "tls",
        value: "true|false",
        default: "false",
        help: "Whether calls inside of TLS are seen too, by probes in the TLS libraries of all processes",
        reason: "Probes change the code of running processes, if only by an instruction, and cost some microseconds for \
                 each read and write; they need CAP_SYS_PTRACE to find the libraries. Off, they cost nothing.",
    },
    parse: |text| setting::word(text, &[("true", Tls::Seen), ("false", Tls::Hidden)]),
};

pub static CGROUP: Setting<PathBuf> = Setting {
    about: About {
        name: "cgroup-path",
        value: "DIR",
        default: "",
        help: "Root of the cgroup v2 hierarchy to observe",
        reason: "It is found in the mount table; a sub-hierarchy may be named to see only that.",
    },
    parse: path,
};

pub static KUBERNETES: Setting<Kubernetes> = Setting {
    about: About {
        name: "kubernetes",
        value: "auto|api|kubelet|off",
        default: "auto",
        help: "Where names of pods and services come from",
        reason: "auto: the API server when running in a pod, the kubelet where --kubelet names it, else nothing.",
    },
    parse: |text| {
        let words = [
            ("auto", Kubernetes::Auto),
            ("api", Kubernetes::Api),
            ("kubelet", Kubernetes::Kubelet),
            ("off", Kubernetes::Off),
        ];
        setting::word(text, &words)
    },
};

pub static KUBELET: Setting<String> = Setting {
    about: About {
        name: "kubelet",
        value: "URL",
        default: "",
        help: "This node's kubelet, asked for pods while the API server does not answer, or in its place",
        reason: "Needs nodes/proxy, more than the API server asks for; with --kubernetes kubelet it is \
                 https://127.0.0.1:10250.",
    },
    parse: |text| {
        let (rest, encrypted) = match text.split_once("://") {
            Some(("https", rest)) => (rest, true),
            Some(("http", rest)) => (rest, false),
            _ => ("", false),
        };
        if rest.is_empty() || rest.contains(char::is_whitespace) {
            return Err(format!(
                "`{text}` is no address of a kubelet; expected https://NODE:10250"
            ));
        }
        let loopback = ["127.0.0.1", "[::1]", "localhost"].into_iter().any(|host| {
            rest.strip_prefix(host)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        });
        if !encrypted && !loopback {
            return Err(format!(
                "`{text}`: only this machine is asked without encryption (http://127.0.0.1:10255); expected \
                 https://NODE:10250"
            ));
        }
        Ok(text.to_owned())
    },
};

pub static KUBELET_VERIFY: Setting<bool> = Setting {
    about: About {
        name: "kubelet-verify",
        value: "true|false",
        default: "true",
        help: "Whether the kubelet has to show a certificate of the cluster's authority",
        reason: "The service account's token is sent to it. Kubelets that sign for themselves need false, and have to \
                 be at an address of this machine then.",
    },
    parse: setting::boolean,
};

pub static NODE_NAME: Setting<String> = Setting {
    about: About {
        name: "node-name",
        value: "NAME",
        default: "",
        help: "Name of this node in Kubernetes",
        reason: "Without it the host name, which most clusters use; the chart passes spec.nodeName.",
    },
    parse: |text| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if text.len() <= 253 && text.chars().all(allowed) {
            Ok(text.to_owned())
        } else {
            Err(format!(
                "`{text}` is not a node name (letters, digits, `-`, `.`, 253 at most)"
            ))
        }
    },
};

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(PathBuf::from(text))
    }
}

/// In the order of help and documentation. All but `config` are in the file as well.
pub static ALL: &[&About] = &[
    &CONFIG,
    &LISTEN.about,
    &WEB_CONFIG.about,
    &METRICS.about,
    &LOG_FORMAT.about,
    &LOG_LEVEL.about,
    &CLIENT_METRICS.about,
    &MAX_METHODS.about,
    &MAX_SERIES.about,
    &SERIES_IDLE.about,
    &CALL_IDLE.about,
    &RING_BYTES.about,
    &MAX_CONNECTIONS.about,
    &GAUGE_INTERVAL.about,
    &TLS.about,
    &CGROUP.about,
    &KUBERNETES.about,
    &KUBELET.about,
    &KUBELET_VERIFY.about,
    &NODE_NAME.about,
];
