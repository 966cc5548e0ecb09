//! Clients for the API server and for the kubelet, from what the configuration says and a pod is given.

use std::path::Path;
use std::time::Duration;

use kube::config::AuthInfo;
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum ConnectError {
    #[error(
        "neither in a pod with a service account nor a kubeconfig found; set KUBECONFIG, or mount the service account \
         token (automountServiceAccountToken: true): {0}"
    )]
    NoConfiguration(#[from] kube::config::InferConfigError),
    #[error("`{url}` is no address of a kubelet; expected https://NODE:10250: {source}")]
    KubeletAddress {
        url: String,
        source: http::uri::InvalidUri,
    },
    #[error("cannot make a client: {0}")]
    Client(#[from] kube::Error),
}

/// What a pod's service account is given.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const AUTHORITY: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// An API server that does not accept within this is away; others may answer behind the same address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Silence after which a connection is dead. A watch is asked for 290 s at a time and hears a bookmark every minute; a
/// node cut off from the API server hears nothing, not even that.
const READ_TIMEOUT: Duration = Duration::from_mins(5);

/// By a kubeconfig where there is one, else by the pod's service account, whose token and authority are read anew
/// when they are renewed.
pub async fn api() -> Result<Client, ConnectError> {
    let mut config = Config::infer().await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    // The watches pause by themselves; two layers of pauses would multiply.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// How a kubelet proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// By a certificate of the cluster's authority (`serverTLSBootstrap: true`).
    Cluster,
    /// Not at all: most kubelets sign for themselves. Sent over loopback or the node's own address only.
    Nothing,
}

/// Whether this is a pod that may have been given a service account.
pub fn in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

pub fn kubelet(url: &str, verify: Verify) -> Result<Client, ConnectError> {
    let address = url.parse().map_err(|source| ConnectError::KubeletAddress {
        url: url.to_owned(),
        source,
    })?;
    let mut config = Config::new(address);
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.default_retry = false;
    config.read_timeout = Some(READ_TIMEOUT);
    config.accept_invalid_certs = verify == Verify::Nothing;
    // The file is looked at again when it is renewed, but a client has to begin with something.
    config.root_cert = authority();
    config.root_cert_file = config.root_cert.is_some().then(|| AUTHORITY.into());
    if Path::new(TOKEN).exists() {
        config.auth_info = AuthInfo {
            token_file: Some(TOKEN.to_owned()),
            ..AuthInfo::default()
        };
    }
    Ok(Client::try_from(config)?)
}

/// The certificates of the cluster's authority; nothing outside of a pod.
fn authority() -> Option<Vec<Vec<u8>>> {
    let certificates = CertificateDer::pem_file_iter(AUTHORITY).ok()?;
    let all: Vec<_> = certificates
        .flatten()
        .map(|certificate| certificate.to_vec())
        .collect();
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_of_kubelets() {
        assert!(kubelet("https://127.0.0.1:10250", Verify::Nothing).is_ok());
        assert!(kubelet("https://127.0.0.1:10250", Verify::Cluster).is_ok());
        let error = kubelet("https://no host", Verify::Cluster).err().unwrap();
        assert!(error.to_string().contains("https://NODE:10250"), "{error}");
    }
}
