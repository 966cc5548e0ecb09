//! From the web configuration's words to a rustls server.
//!
//! rustls with ring: no C library that has to be kept up to date, no TLS below 1.2, no cipher without forward secrecy.

use std::io::Read as _;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring as provider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion, version,
};
use webpki::EndEntityCert;

use super::web_config::{ClientAuth, Source, Tls, Versions};

/// Of one PEM file; a chain or a bundle of authorities is a few KiB.
const MAX_PEM: u64 = 1024 * 1024;

/// Go's names of the ciphers of TLS 1.2 that rustls has.
const CIPHERS: [(&str, rustls::SupportedCipherSuite); 8] = {
    use provider::cipher_suite as suite;
    [
        (
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ),
        (
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ),
        (
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
        (
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
            suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
        (
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
            suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
    ]
};

/// Whether a cipher's name can be configured. Those of TLS 1.3 are always on, as in Go.
pub fn cipher_suite(name: &str) -> Result<(), String> {
    let known = CIPHERS.iter().any(|(cipher, _)| *cipher == name);
    if known
        || [
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
        ]
        .contains(&name)
    {
        return Ok(());
    }
    let offered: Vec<_> = CIPHERS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !name.ends_with("POLY1305"))
        .collect();
    Err(format!(
        "`{name}` is not offered; offered are {}",
        offered.join(", ")
    ))
}

/// Whether a curve's name can be configured.
pub fn curve(name: &str) -> Result<(), String> {
    match name {
        "X25519" | "CurveP256" | "CurveP384" => Ok(()),
        _ => Err(format!(
            "`{name}` is not offered; offered are X25519, CurveP256, CurveP384"
        )),
    }
}

/// What one file or inline text holds; read once, so that what is checked is what is used.
pub fn read(source: &Source) -> anyhow::Result<Vec<u8>> {
    let path = match source {
        Source::Inline(text) => return Ok(text.clone().into_bytes()),
        Source::File(path) => path,
    };
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(MAX_PEM + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > MAX_PEM {
        bail!("{} is larger than {MAX_PEM} bytes", path.display());
    }
    Ok(bytes)
}

pub fn build(tls: &Tls) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(crypto(tls));
    let chain = certificates(&tls.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&tls.key)?)
        .map_err(|error| anyhow!("{}: no private key in it: {error}", name(&tls.key)))?;
    let versions: &[&SupportedProtocolVersion] = match tls.versions {
        Versions::Tls12 => &[&version::TLS12],
        Versions::Tls13 => &[&version::TLS13],
        Versions::Both => &[&version::TLS13, &version::TLS12],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .context("no cipher is left for the TLS versions that are allowed")?;
    let builder = match tls.client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        _ => builder.with_client_cert_verifier(Arc::new(ClientVerifier::new(tls, &provider)?)),
    };
    let mut config = builder.with_single_cert(chain, key).with_context(|| {
        format!(
            "{} and {} do not go together",
            name(&tls.certificate),
            name(&tls.key)
        )
    })?;
    config.ignore_client_order = tls.prefer_server_cipher_suites;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn name(source: &Source) -> String {
    match source {
        Source::File(path) => path.display().to_string(),
        Source::Inline(_) => "the inline PEM".to_owned(),
    }
}

fn certificates(source: &Source) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let bytes = read(source)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| anyhow!("{}: not PEM: {error}", name(source)))?;
    if chain.is_empty() {
        bail!("{}: no certificate in it", name(source));
    }
    Ok(chain)
}

/// ring's algorithms, less what the configuration leaves out.
fn crypto(tls: &Tls) -> CryptoProvider {
    use provider::kx_group;
    let mut crypto = provider::default_provider();
    if !tls.cipher_suites.is_empty() {
        let chosen = tls.cipher_suites.iter();
        let chosen = chosen.filter_map(|name| CIPHERS.iter().find(|(cipher, _)| cipher == name));
        crypto.cipher_suites.retain(|suite| suite.tls13().is_some());
        crypto.cipher_suites.extend(chosen.map(|(_, suite)| *suite));
    }
    if !tls.curves.is_empty() {
        let curves = tls.curves.iter().map(|name| match name.as_str() {
            "X25519" => kx_group::X25519,
            "CurveP256" => kx_group::SECP256R1,
            _ => kx_group::SECP384R1,
        });
        crypto.kx_groups = curves.collect();
    }
    crypto
}

/// Go's policies: a certificate may be asked for without being verified; names may be required on top.
#[derive(Debug)]
struct ClientVerifier {
    /// `None`: any certificate will do.
    authority: Option<Arc<dyn ClientCertVerifier>>,
    mandatory: bool,
    allowed: Vec<String>,
    provider: Arc<CryptoProvider>,
}

impl ClientVerifier {
    fn new(tls: &Tls, provider: &Arc<CryptoProvider>) -> anyhow::Result<Self> {
        let authority = match (&tls.client_ca, tls.client_auth.verifies()) {
            (Some(source), true) => Some(authority(source, provider)?),
            _ => None,
        };
        Ok(Self {
            authority,
            mandatory: tls.client_auth.is_mandatory(),
            allowed: tls.client_allowed_sans.clone(),
            provider: Arc::clone(provider),
        })
    }
}

fn authority(source: &Source, provider: &Arc<CryptoProvider>) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(source)? {
        roots
            .add(certificate)
            .with_context(|| format!("{}: not a usable authority", name(source)))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
        .with_context(|| format!("{}: not a usable authority", name(source)))
}

/// Whether one of the names that the certificate is for is one of those allowed. Names are compared as written (a
/// wildcard stands for itself); for an address webpki knows the binary form.
fn has_allowed_name(certificate: &EndEntityCert<'_>, allowed: &[String]) -> bool {
    let text = certificate
        .valid_dns_names()
        .chain(certificate.valid_uri_names())
        .any(|name| allowed.iter().any(|allowed| allowed == name));
    text || allowed
        .iter()
        .filter_map(|allowed| allowed.parse::<IpAddr>().ok())
        .any(|address| {
            certificate
                .verify_is_valid_for_subject_name(&ServerName::from(address))
                .is_ok()
        })
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authority
            .as_ref()
            .map_or(&[], |authority| authority.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if let Some(authority) = &self.authority {
            authority.verify_client_cert(certificate, intermediates, now)?;
        }
        if !self.allowed.is_empty() {
            let parsed = EndEntityCert::try_from(certificate).map_err(|_| CertificateError::BadEncoding)?;
            if !has_allowed_name(&parsed, &self.allowed) {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
