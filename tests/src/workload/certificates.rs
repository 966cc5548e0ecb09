//! Certificates for workloads over TLS: an authority, and a server that has its name on this machine and between
//! namespaces.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

use super::cache;
use crate::namespace;
use crate::prerequisite::Error;

const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

/// A folder with `ca.pem`, `server.pem` and `server.key`, made once.
pub fn folder() -> Result<PathBuf, Error> {
    let addresses: Vec<&str> = LOOPBACK.into_iter().chain(namespace::SERVER).collect();
    cache::folder("certificates", &addresses.join(" "), |folder| {
        make(folder, &addresses).map_err(|error| Error::Broken(error.to_string()))
    })
}

fn make(folder: &Path, addresses: &[&str]) -> anyhow::Result<()> {
    let mut authority = params("test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let mut server = params("test server");
    for address in addresses {
        server
            .subject_alt_names
            .push(SanType::IpAddress(address.parse::<IpAddr>()?));
    }
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;
    std::fs::write(folder.join("ca.pem"), authority.pem())?;
    std::fs::write(folder.join("server.pem"), certificate.pem())?;
    std::fs::write(folder.join("server.key"), key.serialize_pem())?;
    Ok(())
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
