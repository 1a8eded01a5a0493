//! TLS with an authority of our own and a client certificate.

use std::{path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::{
    fixture::{assert_conserved, span_signal},
    receiver::{self, Receiver},
    wire::{config, start, stop},
};
use crate::export::otlp::{Otlp, SignalKind, StartError, TransportError};

/// An authority, a server and a client that it vouches for, as PEM files.
struct Pki {
    directory: TempDir,
    server: (String, String),
}

impl Pki {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let ca_key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::new(vec![]).expect("no names");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).expect("signed").pem();
        let issuer = Issuer::new(ca, ca_key);
        let issue = |name: &str| {
            let key = KeyPair::generate().expect("a key");
            let certificate = CertificateParams::new(vec![name.to_owned()]).expect("a name");
            let signed = certificate.signed_by(&key, &issuer).expect("signed");
            (signed.pem(), key.serialize_pem())
        };
        let (client_pem, client_key) = issue("sonde");
        let server = issue("localhost");
        for (name, pem) in [("ca", ca_pem), ("client", client_pem), ("key", client_key)] {
            std::fs::write(directory.path().join(name), pem).expect("written");
        }
        Self { directory, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn receiver(&self) -> Receiver {
        let ca = std::fs::read(self.path("ca")).expect("written");
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.server.0, &self.server.1))
            .client_ca_root(Certificate::from_pem(ca));
        receiver::grpc(vec![], Some(tls))
    }
}

#[tokio::test]
async fn grpc_over_tls_with_a_client_certificate() {
    let pki = Pki::new();
    let receiver = pki.receiver();
    let endpoint = format!("https://localhost:{}", receiver.address.port());
    let (ca, client, key) = (pki.text("ca"), pki.text("client"), pki.text("key"));
    let with_identity = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &client),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
    ];
    let otlp = start(&config(&receiver, &with_identity));
    let stats = Arc::clone(otlp.stats());
    otlp.signal(span_signal("a"));
    stop(otlp).await;
    assert_eq!(stats.signal(SignalKind::Traces).exported(), 1);

    let otlp = start(&config(&receiver, &with_identity[..3]));
    let stats = Arc::clone(otlp.stats());
    otlp.signal(span_signal("a"));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(1);
    otlp.shutdown(deadline).await;
    assert_eq!(
        stats.signal(SignalKind::Traces).exported(),
        0,
        "no certificate, no entry"
    );
    assert_conserved(&stats);
}

#[tokio::test]
async fn http_over_tls_with_a_client_certificate() {
    // A gRPC server speaks TLS and answers HTTP/1.1 not at all; what is tested here is the
    // handshake, so a bare TLS server with one canned answer will do.
    let pki = Pki::new();
    let (address, served) = https_once(&pki);
    let endpoint = format!("https://localhost:{}", address.port());
    let (ca, client, key) = (pki.text("ca"), pki.text("client"), pki.text("key"));
    let get = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" => Some(endpoint.clone()),
        "OTEL_EXPORTER_OTLP_CERTIFICATE" => Some(ca.clone()),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" => Some(client.clone()),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY" => Some(key.clone()),
        _ => None,
    };
    let config = crate::export::otlp::OtlpConfig::from_env(&get).expect("settings");
    let otlp = start(&config);
    let stats = Arc::clone(otlp.stats());
    otlp.signal(span_signal("a"));
    stop(otlp).await;
    assert_eq!(stats.signal(SignalKind::Traces).exported(), 1);
    assert!(
        served.await.expect("served"),
        "the client showed its certificate"
    );
}

/// Serves one request over TLS, then says whether the client had a certificate.
fn https_once(pki: &Pki) -> (std::net::SocketAddr, tokio::task::JoinHandle<bool>) {
    use rustls::{
        RootCertStore, ServerConfig, ServerConnection, StreamOwned,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    };
    use std::io::{BufRead, BufReader, Read, Write};

    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(pki.path("ca")).expect("PEM");
    roots.add(ca).expect("an authority");
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .expect("a verifier");
    let certificate = CertificateDer::from_pem_slice(pki.server.0.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(pki.server.1.as_bytes()).expect("PEM");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .expect("a key that fits");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let served = tokio::task::spawn_blocking(move || {
        let (socket, _) = listener.accept().expect("a connection");
        let connection = ServerConnection::new(Arc::new(config)).expect("a session");
        let mut stream = BufReader::new(StreamOwned::new(connection, socket));
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).expect("a header");
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
            if line.trim().is_empty() {
                break;
            }
        }
        stream.read_exact(&mut vec![0; length]).expect("a body");
        let stream = stream.get_mut();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).expect("written");
        stream.flush().expect("flushed");
        stream.conn.peer_certificates().is_some()
    });
    (address, served)
}

#[tokio::test]
async fn a_wrong_file_is_told_at_the_start() {
    let pki = Pki::new();
    let receiver = receiver::http(|| None);
    let (ca, missing) = (pki.text("ca"), pki.text("missing"));
    let endpoint = "https://localhost:1";
    for protocol in ["grpc", "http/protobuf"] {
        for (variable, path) in [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &missing),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &pki.text("key")),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &ca),
        ] {
            let config = config(
                &receiver,
                &[
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                    (variable, path),
                    ("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca),
                    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &ca),
                    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &pki.text("key")),
                ],
            );
            match Otlp::start(&config, &Handle::current()) {
                Err(StartError::Transport(TransportError::Pem { path: named, .. })) => {
                    assert_eq!(named.display().to_string(), *path);
                }
                other => panic!("{protocol} {variable}: {other:?}"),
            }
        }
    }
}
