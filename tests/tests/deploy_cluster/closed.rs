//! An endpoint that nobody enters without a certificate and a password: what is in the Secret of `web.existingSecret`, and
//! what Prometheus shows.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tests::monitoring::cluster::Cluster;

/// `secret`, at the cheapest cost.
const WEB: &str = "tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
basic_auth_users:
  prometheus: $2b$04$....................../dCAsp4PpJoDgv6BeaLP6BKrXlBV1oi
";

/// As deploy/prometheus/kubernetes.yml names it.
const NAME: &str = "marty-observer";

pub const VALUES: [&str; 3] = [
    "web.existingSecret=observer-web",
    "web.scheme=HTTPS",
    "web.probes=tcp",
];

#[derive(Debug)]
pub struct Keys {
    folder: PathBuf,
}

impl Keys {
    pub fn new(folder: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        std::fs::write(folder.join("ca.crt"), authority.pem())?;
        for name in ["server", "tls"] {
            let mut params = CertificateParams::new(Vec::new())?;
            params.subject_alt_names = vec![SanType::DnsName(NAME.try_into()?)];
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?;
            std::fs::write(folder.join(format!("{name}.crt")), certificate.pem())?;
            std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
        }
        std::fs::write(folder.join("web.yaml"), WEB)?;
        std::fs::write(folder.join("password"), "secret")?;
        Ok(Self { folder })
    }

    /// The server's part, for the pod.
    pub fn give(&self, cluster: &Cluster, namespace: &str) -> Result<()> {
        let files = ["web.yaml", "server.crt", "server.key", "ca.crt"]
            .map(|name| format!("--from-file={}", self.folder.join(name).display()));
        let mut arguments = vec!["-n", namespace, "create", "secret", "generic", "observer-web"];
        arguments.extend(files.iter().map(String::as_str));
        cluster.kubectl(&arguments).map(drop)
    }

    /// The client's part, for Prometheus.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
