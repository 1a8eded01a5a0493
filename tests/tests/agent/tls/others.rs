//! The same libraries in other versions, and elsewhere: OpenSSL 1.1, `BoringSSL`, Go from 1.17 on.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, ensure};
use sonde_tests::{
    exposition::Counts,
    lab::{Lab, finish, free_address},
    packages,
};

use super::{Certificate, Rows, assert_asked, assert_served, nginx_with_tls};
use crate::support::{CLIENT, SERVICE, go_build, named, python};

/// By libcurl: once with OpenSSL 1.1.1 in libraries of its own, once with `BoringSSL` linked into an
/// extension of Python's, by HTTP/1.1 and by HTTP/2.
#[test]
fn openssl_1_1_as_a_library_and_boringssl_within_one() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (nginx, address) = nginx_with_tls(&lab, &Certificate::new(&lab)?)?;
    let script = lab.write("ask.py", include_str!("../programs/ask.py"))?;
    for module in ["pycurl", "curl_cffi"] {
        let mut client = python(&lab, module)?;
        client.arg(&script).arg(module);
        finish(client.arg(format!("https://{address}")))?;
        let rows: Rows<'_> = &[
            (["GET", "200", "/items"], 20),
            (["GET", "404", "/missing"], 10),
            (["GET", "200", "/static.bin"], 4),
        ];
        let service = named(&lab, module);
        assert_asked(&agent, &service, address, rows)?;
        let second = [(SERVICE, &*service), ("network_protocol_version", "2")];
        assert_eq!(agent.metrics()?.sum(CLIENT, &second), Some(17.0));
    }
    let both: Rows<'_> = &[
        (["GET", "200", "/items"], 40),
        (["GET", "404", "/missing"], 20),
        (["GET", "200", "/static.bin"], 8),
    ];
    assert_served(&agent, &nginx.service, both)?;
    // Other programs of the host may move bytes in ways that aren't seen.
    let mut dropped = agent.dropped()?;
    dropped.retain(|reason, _| reason.iter().all(|part| part != "unseen_bytes"));
    assert_eq!(dropped, Counts::new());
    Ok(())
}

/// What is built how. The first one is that of the PATH.
const GO: &[(&str, &[&str])] = &[
    ("", &[]),
    ("", &["-ldflags", "-s -w"]),
    ("1.17.13", &["-ldflags", "-s -w"]),
    ("1.17.13", &["-buildmode=pie"]),
    ("1.18.10", &["-buildmode=pie", "-ldflags", "-s -w"]),
    ("1.24.9", &["-buildmode=pie", "-ldflags", "-s -w"]),
    ("1.24.9", &[]),
];

/// By the compiler of the PATH.
fn build(lab: &Lab, source: &Path, flags: &[&str], name: &str) -> Result<PathBuf> {
    let program = lab.path().join(name);
    let mut build = lab.command("go");
    build.arg("build").args(flags).arg("-o").arg(&program);
    finish(build.arg(source).env("GO111MODULE", "off"))?;
    Ok(program)
}

/// With symbols and without, at addresses that are fixed and not.
#[test]
fn go_of_several_versions() -> Result<()> {
    let lab = Lab::open()?;
    let source = lab.write("main.go", include_str!("../programs/tls.go"))?;
    let programs = GO.iter().enumerate().map(|(number, (version, flags))| {
        let name = format!("go-{number}");
        if !version.is_empty() {
            return go_build(&lab, version, &source, flags, &name);
        }
        build(&lab, &source, flags, &name)
    });
    let programs: Vec<PathBuf> = programs.collect::<Result<_>>()?;
    let agent = lab.agent(&[])?;
    let files = Certificate::new(&lab)?.paths();
    let mut running = Vec::new();
    for (number, program) in programs.iter().enumerate() {
        let address = free_address()?;
        let run = |role: &str| {
            let mut command = lab.command(program);
            let service = named(&lab, &format!("{role}-{number}"));
            command.arg(role).env("OTEL_SERVICE_NAME", service);
            command
        };
        let mut server = run("serve");
        let server = lab.serve(server.arg(address.to_string()).args(&files), address)?;
        let client = lab.start(run("ask").arg(format!("https://{address}")), false)?;
        running.push((server, client, address));
    }
    let rows: Rows<'_> = &[
        (["GET", "200", "/items/{id}"], 200),
        (["POST", "200", "/items/{id}"], 20),
        (["GET", "404", "/missing"], 20),
    ];
    for (number, (_server, client, address)) in running.iter_mut().enumerate() {
        let status = client.end_within(Duration::from_mins(1))?;
        ensure!(status.success(), "{status}\n{}", client.log());
        println!("go {:?}", GO[number]);
        assert_asked(
            &agent,
            &named(&lab, &format!("ask-{number}")),
            *address,
            rows,
        )?;
        assert_served(&agent, &named(&lab, &format!("serve-{number}")), rows)?;
    }
    let versions = GO.iter().map(|(version, _)| *version);
    assert!(
        packages::GO
            .iter()
            .all(|it| versions.clone().any(|version| version == *it))
    );
    Ok(())
}

/// Other goroutines close what one still writes to.
#[test]
fn go_that_closes_within_a_write() -> Result<()> {
    const REQUESTS: u64 = 20;
    let lab = Lab::open()?;
    let source = lab.write("late.go", include_str!("../programs/late.go"))?;
    let program = build(&lab, &source, &[], "late")?;
    let agent = lab.agent(&[])?;
    let address = free_address()?;
    let service = named(&lab, "late");
    let mut server = lab.command(&program);
    server
        .arg(address.to_string())
        .args(Certificate::new(&lab)?.paths())
        .env("OTEL_SERVICE_NAME", &service);
    let _server = lab.serve(&mut server, address)?;
    // Until its file has been found and is watched.
    std::thread::sleep(Duration::from_secs(2));
    for number in 0..REQUESTS {
        let mut curl = lab.command("curl");
        curl.args([
            "--http1.1",
            "--insecure",
            "--silent",
            "--output",
            "/dev/null",
        ]);
        finish(curl.arg(format!("https://{address}/late/{number}")))?;
    }
    let rows: Rows<'_> = &[(["GET", "200", "/late/{id}"], REQUESTS)];
    assert_served(&agent, &service, rows)
}
