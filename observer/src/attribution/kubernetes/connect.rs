//! Clients for the API server and for the kubelet, from what the configuration says and a pod is given.

use std::net::{IpAddr, UdpSocket};
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
    #[error(
        "`{0}` is another machine, or may be; the service account's token goes there only if the kubelet shows a \
         certificate of the cluster's authority (--kubelet-verify true), else to a literal address of this machine"
    )]
    Stranger(String),
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
    /// Not at all: most kubelets sign for themselves. Then it has to be this machine's.
    Nothing,
}

/// Whether this is a pod that may have been given a service account.
pub fn in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

pub fn kubelet(url: &str, verify: Verify) -> Result<Client, ConnectError> {
    Ok(Client::try_from(kubelet_config(url, verify, TOKEN)?)?)
}

/// The token opens the API server too: it goes nowhere unencrypted, and to nobody who may be another machine and does
/// not prove to be of the cluster.
fn kubelet_config(url: &str, verify: Verify, token: &str) -> Result<Config, ConnectError> {
    let address: http::Uri = url.parse().map_err(|source| ConnectError::KubeletAddress {
        url: url.to_owned(),
        source,
    })?;
    let encrypted = address.scheme() == Some(&http::uri::Scheme::HTTPS);
    if (verify == Verify::Nothing || !encrypted) && !address.host().is_some_and(is_here) {
        return Err(ConnectError::Stranger(url.to_owned()));
    }
    let mut config = Config::new(address);
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.default_retry = false;
    config.read_timeout = Some(READ_TIMEOUT);
    config.accept_invalid_certs = verify == Verify::Nothing;
    // The file is looked at again when it is renewed, but a client has to begin with something.
    config.root_cert = authority();
    config.root_cert_file = config.root_cert.is_some().then(|| AUTHORITY.into());
    if encrypted && Path::new(token).exists() {
        config.auth_info = AuthInfo {
            token_file: Some(token.to_owned()),
            ..AuthInfo::default()
        };
    }
    Ok(config)
}

/// Whether it is an address of this machine (in a pod with a network of its own: of the pod). The kernel reaches its own
/// addresses from themselves; connecting a datagram socket sends nothing. Names are not asked for: they may mean
/// something else the next time.
fn is_here(host: &str) -> bool {
    let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() else {
        return host == "localhost";
    };
    let any: IpAddr = match address {
        IpAddr::V4(_) => [0; 4].into(),
        IpAddr::V6(_) => [0; 16].into(),
    };
    let from = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((address, 9))?;
        Ok(socket.local_addr()?.ip())
    };
    address.is_loopback() || from().is_ok_and(|from| from == address)
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

    /// `None`: nobody is asked.
    #[test]
    fn who_is_sent_the_token() {
        let token = tempfile::NamedTempFile::new().unwrap();
        let check = |url: &str, verify, expected: Option<bool>| {
            let config = kubelet_config(url, verify, token.path().to_str().unwrap());
            let sent = config.ok().map(|config| config.auth_info.token_file.is_some());
            assert_eq!(sent, expected, "{url} {verify:?}");
        };
        for here in ["127.0.0.1", "[::1]", "localhost"] {
            check(&format!("https://{here}:10250"), Verify::Cluster, Some(true));
            check(&format!("https://{here}:10250"), Verify::Nothing, Some(true));
            check(&format!("http://{here}:10255"), Verify::Cluster, Some(false));
            check(&format!("http://{here}:10255"), Verify::Nothing, Some(false));
        }
        for stranger in ["192.0.2.7", "[2001:db8::7]", "node-7"] {
            check(&format!("https://{stranger}:10250"), Verify::Cluster, Some(true));
            check(&format!("https://{stranger}:10250"), Verify::Nothing, None);
            check(&format!("http://{stranger}:10255"), Verify::Cluster, None);
            check(&format!("http://{stranger}:10255"), Verify::Nothing, None);
        }
    }

    #[test]
    fn addresses_of_this_machine() {
        let check = |host, expected| assert_eq!(is_here(host), expected, "{host}");
        check("127.0.0.1", true);
        check("127.1.2.3", true);
        check("[::1]", true);
        check("192.0.2.7", false);
        check("localhost.example.com", false);
        // Whatever address this machine has, where it has one.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("192.0.2.7:9").is_ok() {
            check(&socket.local_addr().unwrap().ip().to_string(), true);
        }
    }
}
