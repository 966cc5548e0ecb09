//! Whose traffic it is: the answer of attribution, shared by all connections of a service.

/// Everything here can end as a label. Empty means absent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub service: Box<str>,
    pub namespace: Box<str>,
    pub pod: Box<str>,
    pub container: Box<str>,
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `Job` or `CronJob`; the unit elsewhere.
    pub workload: Box<str>,
    pub version: Box<str>,
    pub node: Box<str>,
    pub source: Source,
}

/// Which rule gave the service its name, in the order of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    Configuration,
    KubernetesService,
    NameLabel,
    AppLabel,
    Workload,
    Pod,
    /// The pod's UID from its cgroup: no list of pods has it.
    PodUid,
    Unit,
    Container,
    Process,
    /// The process had ended; its name is what the kernel noted when the socket was made.
    Command,
    Unknown,
}

impl Source {
    pub const ALL: [Self; 12] = [
        Self::Configuration,
        Self::KubernetesService,
        Self::NameLabel,
        Self::AppLabel,
        Self::Workload,
        Self::Pod,
        Self::PodUid,
        Self::Unit,
        Self::Container,
        Self::Process,
        Self::Command,
        Self::Unknown,
    ];

    /// The word for labels and documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::KubernetesService => "kubernetes_service",
            Self::NameLabel => "label_name",
            Self::AppLabel => "label_app",
            Self::Workload => "workload",
            Self::Pod => "pod",
            Self::PodUid => "pod_uid",
            Self::Unit => "unit",
            Self::Container => "container",
            Self::Process => "process",
            Self::Command => "command",
            Self::Unknown => "unknown",
        }
    }
}

/// `service` where nothing is known. Never empty: an empty label is an absent one.
pub const UNKNOWN_SERVICE: &str = "_unknown";

impl Identity {
    pub fn unknown(node: &str) -> Self {
        Self {
            service: UNKNOWN_SERVICE.into(),
            namespace: "".into(),
            pod: "".into(),
            container: "".into(),
            workload: "".into(),
            version: "".into(),
            node: node.into(),
            source: Source::Unknown,
        }
    }
}
