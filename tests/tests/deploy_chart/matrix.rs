//! Values that the chart is rendered with; each is valid, and asks for something else.

pub const OPERATOR: [&str; 3] = [
    "podMonitor.enabled=true",
    "rules.enabled=true",
    "dashboards.enabled=true",
];

/// Nobody without a certificate and a password gets in, and Prometheus has both.
pub const CLOSED: [&str; 11] = [
    "web.existingSecret=observer-web",
    "web.scheme=HTTPS",
    "web.probes=tcp",
    "podMonitor.enabled=true",
    "podMonitor.tlsConfig.ca.secret.name=observer-scrape",
    "podMonitor.tlsConfig.ca.secret.key=ca.crt",
    "podMonitor.tlsConfig.serverName=marty-observer",
    "podMonitor.basicAuth.username.name=observer-scrape",
    "podMonitor.basicAuth.username.key=username",
    "podMonitor.basicAuth.password.name=observer-scrape",
    "podMonitor.basicAuth.password.key=password",
];

pub const MATRIX: [&[&str]; 10] = [
    &[],
    &OPERATOR,
    &[
        "networkPolicy.enabled=true",
        "kubernetes.names=off",
        "hostPID=false",
    ],
    &["networkPolicy.enabled=true", "kubernetes.names=kubelet"],
    &[
        "web.existingSecret=observer-web",
        "web.scheme=HTTPS",
        "ptrace=true",
    ],
    &["tls=true"],
    &CLOSED,
    &[
        "hostNetwork=true",
        "cgroup.path=/sys/fs/cgroup/unified",
        "port=9999",
    ],
    &[
        "image.repository=registry.example/observer",
        "image.tag=v2",
        "imagePullSecrets[0].name=pull",
        "fullnameOverride=eyes",
    ],
    &[
        "scrapeAnnotations=false",
        "podLabels.a=b",
        "podAnnotations.c=d",
        "extraEnv[0].name=MARTY_OBSERVER_LOG_LEVEL",
        "extraEnv[0].value=debug",
        "config.max_series=1000",
    ],
];
