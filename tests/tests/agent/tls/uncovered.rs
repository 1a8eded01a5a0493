//! What can't be looked into is counted and named.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use anyhow::Result;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName},
};
use sonde_tests::lab::Lab;

use super::{Certificate, SERVER, assert_served, nginx_with_tls};
use crate::support::{CLIENT, PORT, SERVICE, assert_counts, counts, own_service};

/// Asks twice on one connection, by rustls.
fn ask(address: SocketAddr, certificate: &Certificate) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate.der.clone()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
    let mut stream = StreamOwned::new(session, TcpStream::connect(address)?);
    stream.write_all(b"GET /items HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    stream.write_all(b"GET /items HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answers = Vec::new();
    // nginx closes with or without saying so.
    let _ = stream.read_to_end(&mut answers);
    assert!(answers.starts_with(b"HTTP/1.1 200"));
    Ok(())
}

#[test]
fn rustls_is_counted_and_named() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let certificate = Certificate::new(&lab)?;
    let (nginx, address) = nginx_with_tls(&lab, &certificate)?;
    for _ in 0..3 {
        ask(address, &certificate)?;
    }
    // The other end has OpenSSL.
    assert_served(&agent, &nginx.service, &[(["GET", "200", "/items"], 6)])?;
    let own = own_service()?;
    let uncovered = "sonde_uncovered_connections_total";
    let by = ["reason", "tls_library"];
    let expected = counts(&[(["tls", "rustls"], 3)]);
    assert_counts(&agent, uncovered, &[(SERVICE, &own)], &by, &expected)?;
    let port = address.port().to_string();
    let metrics = agent.metrics()?;
    assert_eq!(
        metrics.sum(CLIENT, &[(PORT, &port)]),
        None,
        "nothing is made up"
    );
    let served = metrics.sum(uncovered, &[(SERVICE, &nginx.service)]);
    assert_eq!(served, None, "{:?}", metrics.sum(SERVER, &[]));
    Ok(())
}
