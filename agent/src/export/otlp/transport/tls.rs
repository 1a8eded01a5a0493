//! Certificates and keys, read when the exporter starts, so that a wrong file is told then.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::TransportError;
use crate::export::otlp::config::Target;

/// The files' contents, checked.
pub(super) struct Material {
    /// `None`: the system's.
    pub(super) authorities: Option<Vec<u8>>,
    pub(super) identity: Option<IdentityPem>,
}

/// A key with its certificate, in PEM.
pub(super) struct IdentityPem {
    pub(super) key: Vec<u8>,
    pub(super) certificate: Vec<u8>,
}

impl Material {
    pub(super) fn read(target: &Target) -> Result<Self, TransportError> {
        let authorities = target.authorities.as_deref().map(|path| {
            let pem = read(path, CERTIFICATE)?;
            certificates(&pem, path)?;
            Ok(pem)
        });
        let identity = target.identity.as_ref().map(|identity| {
            let key = read(&identity.key, KEY)?;
            private_key(&key, &identity.key)?;
            let certificate = read(&identity.certificate, CERTIFICATE)?;
            certificates(&certificate, &identity.certificate)?;
            Ok(IdentityPem { key, certificate })
        });
        Ok(Self {
            authorities: authorities.transpose()?,
            identity: identity.transpose()?,
        })
    }
}

const CERTIFICATE: &str = "a certificate";
const KEY: &str = "a private key (PKCS #8, PKCS #1 or SEC1, not encrypted)";

/// rustls settings of `target`. For a plain text endpoint they trust nobody.
pub(super) fn client_config(target: &Target) -> Result<ClientConfig, TransportError> {
    let tls_error = |error: rustls::Error| TransportError::Tls(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?;
    if target.endpoint.scheme_str() != Some("https") {
        let nobody = RootCertStore::empty();
        return Ok(builder.with_root_certificates(nobody).with_no_client_auth());
    }
    let roots = match &target.authorities {
        Some(path) => named_roots(path)?,
        None => native_roots()?,
    };
    let builder = builder.with_root_certificates(roots);
    let Some(identity) = &target.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(
        &read(&identity.certificate, CERTIFICATE)?,
        &identity.certificate,
    )?;
    let key = private_key(&read(&identity.key, KEY)?, &identity.key)?;
    builder.with_client_auth_cert(chain, key).map_err(tls_error)
}

fn named_roots(path: &Path) -> Result<RootCertStore, TransportError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&read(path, CERTIFICATE)?, path)? {
        let added = roots.add(certificate);
        added.map_err(|error| pem_error(path, CERTIFICATE, &error))?;
    }
    Ok(roots)
}

fn native_roots() -> Result<RootCertStore, TransportError> {
    let mut roots = RootCertStore::empty();
    // A few unreadable ones among the system's are common and harmless.
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(TransportError::NoAuthorities);
    }
    Ok(roots)
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| pem_error(path, CERTIFICATE, &error))?;
    if certificates.is_empty() {
        return Err(pem_error(path, CERTIFICATE, &"there is none"));
    }
    Ok(certificates)
}

fn private_key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, TransportError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| pem_error(path, KEY, &error))
}

fn read(path: &Path, expected: &'static str) -> Result<Vec<u8>, TransportError> {
    std::fs::read(path).map_err(|error| pem_error(path, expected, &error))
}

fn pem_error(
    path: &Path,
    expected: &'static str,
    reason: &dyn std::fmt::Display,
) -> TransportError {
    TransportError::Pem {
        path: path.to_owned(),
        expected,
        reason: reason.to_string(),
    }
}
