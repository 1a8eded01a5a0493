//! HTTP/2 as Apache and nghttp2 speak it: after an upgrade of HTTP/1.1, at once, and inside TLS.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _};

use anyhow::{Result, ensure};
use sonde_tests::{
    exposition::Counts,
    lab::{Lab, free_address},
    process::Process,
};

use crate::{
    support::{
        CLIENT, METHOD, PORT, ROUTE, SERVER, SERVICE, STATUS, assert_counts, counts, curl, named,
        number_before,
    },
    tls::Certificate,
};

const VERSION: &str = "network_protocol_version";

/// Apache, at an address for clear text and at one for TLS.
fn apache(lab: &Lab, service: &str) -> Result<(Process, SocketAddr, SocketAddr)> {
    let (clear, encrypted) = (free_address()?, free_address()?);
    // It gives root up.
    fs::set_permissions(lab.path(), fs::Permissions::from_mode(0o755))?;
    fs::create_dir(lab.path().join("www"))?;
    fs::write(lab.path().join("www/items"), "hello")?;
    fs::write(lab.path().join("www/static.bin"), vec![b'x'; 300_000])?;
    let directory = lab.path().display();
    let [certificate, key] = Certificate::new(lab)?.paths();
    let modules: String = ["mpm_event", "authz_core", "http2", "ssl"]
        .map(|it| format!("LoadModule {it}_module /usr/lib/apache2/modules/mod_{it}.so\n"))
        .concat();
    let config = lab.write(
        "apache.conf",
        &format!(
            "{modules}
             ServerRoot {directory}
             ServerName localhost
             PidFile {directory}/apache.pid
             Mutex file:{directory}
             ErrorLog /dev/stderr
             User nobody
             Group nogroup
             Listen {clear}
             Listen {encrypted}
             Protocols h2 h2c http/1.1
             MaxKeepAliveRequests 0
             DocumentRoot {directory}/www
             <VirtualHost {encrypted}>
                 SSLEngine on
                 SSLCertificateFile {certificate}
                 SSLCertificateKeyFile {key}
             </VirtualHost>"
        ),
    )?;
    let mut command = lab.command("apache2");
    command.arg("-DFOREGROUND").arg("-f").arg(config);
    command.env("OTEL_SERVICE_NAME", service);
    Ok((lab.serve(&mut command, clear)?, clear, encrypted))
}

#[test]
fn upgrades_and_prior_knowledge_with_apache() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let service = named(&lab, "apache");
    let (_apache, clear, encrypted) = apache(&lab, &service)?;
    let url = |path: &str| format!("http://{clear}{path}");
    // Each on a connection of its own, and short: this Apache closes some upgraded ones with their
    // first request (GOAWAY, "timeout"), or within an answer of 300 kB; see also the README's limits.
    for _ in 0..5 {
        assert_eq!(curl(&lab, &["--http2", &url("/items")])?, "200\n");
        assert_eq!(curl(&lab, &["--http2", &url("/missing")])?, "404\n");
        // A request with a body is not upgraded.
        let posted = ["--http2", "-d", "name=value", &*url("/posted")];
        assert_eq!(curl(&lab, &posted)?, "404\n");
        lab.run("nghttp", ["-nu", &url("/nghttp")])?;
        let upfront = ["--http2-prior-knowledge", &*url("/static.bin")];
        assert_eq!(curl(&lab, &upfront)?, "200\n");
    }
    let loads = [
        ("/upfront", "h2c", format!("http://{clear}")),
        ("/plain", "http/1.1", format!("http://{clear}")),
        ("/encrypted", "h2c", format!("https://{encrypted}")),
    ];
    for (path, protocol, server) in loads {
        let arguments = [
            "-n",
            "1000",
            "-c",
            "5",
            "-p",
            protocol,
            &format!("{server}{path}"),
        ];
        let told = lab.run("h2load", arguments)?;
        ensure!(number_before(&told, " 4xx")? == 1_000, "{told}");
    }
    let row = |version, method, route, status| [version, method, route, status];
    let small = [
        (row("2", "GET", "/items", "200"), 5),
        (row("2", "GET", "/missing", "404"), 5),
        (row("2", "GET", "/static.bin", "200"), 5),
        (row("1.1", "POST", "/posted", "404"), 5),
        (row("2", "GET", "/nghttp", "404"), 5),
        (row("2", "GET", "/upfront", "404"), 1_000),
        (row("1.1", "GET", "/plain", "404"), 1_000),
    ];
    let by = [VERSION, METHOD, ROUTE, STATUS];
    let inside = [(row("2", "GET", "/encrypted", "404"), 1_000)];
    let served = counts(&[&small[..], &inside].concat());
    assert_counts(&agent, SERVER, &[(SERVICE, &service)], &by, &served)?;
    for (address, asked) in [(clear, &small[..]), (encrypted, &inside)] {
        let port = address.port().to_string();
        assert_counts(&agent, CLIENT, &[(PORT, &port)], &by, &counts(asked))?;
    }
    assert_eq!(agent.dropped()?, Counts::new());
    Ok(())
}
