//! Servers and clients of other people's runtimes: each request once, with its method, status
//! and route, under the service's name.

use std::fs;

use anyhow::Result;
use sonde_tests::{
    agent::Agent,
    exposition::Counts,
    lab::{Lab, finish, free_address},
};

use crate::support::{
    CLIENT, METHOD, PORT, ROUTE, SERVER, SERVICE, STATUS, assert_counts, counts, curl, nginx,
};

const BY: [&str; 4] = [SERVICE, METHOD, STATUS, ROUTE];

fn named(service: &str, rows: &[([&str; 3], u64)]) -> Counts {
    let rows = rows.iter().map(|([method, status, route], count)| {
        (
            ([service, method, status, route])
                .map(str::to_owned)
                .to_vec(),
            *count,
        )
    });
    rows.collect()
}

fn assert_both(
    lab: &Lab,
    agent: &Agent,
    port: u16,
    server: &str,
    client: &str,
    rows: &[([&str; 3], u64)],
) -> Result<()> {
    let labels = [("service_namespace", lab.namespace())];
    assert_counts(agent, SERVER, &labels, &BY, &named(server, rows))?;
    let labels = [(PORT, &*port.to_string())];
    assert_counts(agent, CLIENT, &labels, &BY, &named(client, rows))?;
    assert_eq!(agent.dropped()?, Counts::new());
    let requests: u64 = rows.iter().map(|(_, count)| count).sum();
    println!("{server} and {client}: {requests} requests each");
    Ok(())
}

/// HTTP/1.0 answers that end with the connection.
#[test]
fn python_and_curl() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let address = free_address()?;
    fs::create_dir(lab.path().join("docs"))?;
    fs::write(lab.path().join("docs/index.html"), "x".repeat(100_000))?;
    let mut command = lab.command("python3");
    let port = address.port().to_string();
    command.args(["-m", "http.server", &port, "--bind", "127.0.0.1"]);
    let _python = lab.serve(&mut command, address)?;
    let url = |path: &str| format!("http://{address}{path}");
    for _ in 0..20 {
        assert_eq!(curl(&lab, &[&url("/docs/index.html")])?, "200\n");
    }
    for _ in 0..5 {
        assert_eq!(curl(&lab, &["-I", &url("/docs/index.html")])?, "200\n");
        assert_eq!(curl(&lab, &[&url("/missing")])?, "404\n");
        assert_eq!(
            curl(&lab, &["-X", "POST", "-d", "a=b", &url("/docs/")])?,
            "501\n"
        );
    }
    let rows = [
        (["GET", "200", "/docs/index.html"], 20),
        (["HEAD", "200", "/docs/index.html"], 5),
        (["GET", "404", "/missing"], 5),
        (["POST", "501", "/docs"], 5),
    ];
    assert_both(&lab, &agent, address.port(), "http.server", "curl", &rows)?;
    let labels = [
        ("service_namespace", lab.namespace()),
        ("network_protocol_version", "1.0"),
    ];
    let old = agent.metrics()?.sum(SERVER, &labels);
    println!("answered as HTTP/1.0: {old:?}");
    Ok(())
}

#[test]
fn node() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let address = free_address()?;
    let script = lab.write("shop.js", include_str!("programs/shop.js"))?;
    let port = address.port().to_string();
    let mut server = lab.command("node");
    server.arg(&script).args(["serve", &port]);
    let _server = lab.serve(&mut server, address)?;
    finish(lab.command("node").arg(&script).args(["ask", &port]))?;
    let rows = [
        (["GET", "200", "/items/{id}"], 300),
        (["POST", "201", "/items"], 40),
        (["HEAD", "200", "/items/{id}"], 20),
        (["GET", "404", "/missing"], 10),
        (["DELETE", "204", "/none"], 10),
        (["GET", "304", "/cached/{id}"], 10),
    ];
    assert_both(&lab, &agent, address.port(), "shop", "shop", &rows)
}

#[test]
fn go() -> Result<()> {
    let lab = Lab::open()?;
    lab.write("main.go", include_str!("programs/main.go"))?;
    let mut build = lab.command("go");
    build
        .args(["build", "-o", "depot", "main.go"])
        .env("GO111MODULE", "off");
    finish(&mut build)?;
    let agent = lab.agent(&[])?;
    let address = free_address()?;
    let program = lab.path().join("depot");
    let mut server = lab.command(&program);
    server.args(["serve", &address.to_string()]);
    let _server = lab.serve(&mut server, address)?;
    finish(lab.command(&program).args(["ask", &address.to_string()]))?;
    let rows = [
        (["GET", "200", "/items/{id}"], 400),
        (["POST", "201", "/items/{id}"], 40),
        (["HEAD", "200", "/items/{id}"], 40),
        (["GET", "204", "/none"], 40),
        (["GET", "404", "/missing"], 40),
    ];
    assert_both(&lab, &agent, address.port(), "depot", "depot", &rows)
}

#[test]
fn java() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let address = free_address()?;
    let source = lab.write("Stall.java", include_str!("programs/Stall.java"))?;
    let mut server = lab.command("java");
    server.arg(&source).arg(address.port().to_string());
    let _server = lab.serve(&mut server, address)?;
    let url = |path: &str| format!("http://{address}{path}");
    // One connection for all that one curl asks.
    let many = url("/items/[1-50]");
    curl(&lab, &[&many])?;
    curl(&lab, &["-I", &url("/items/[1-10]")])?;
    curl(&lab, &["-d", "name=value", &url("/items?n=[1-10]")])?;
    curl(&lab, &[&url("/missing")])?;
    let rows = [
        (["GET", "200", "/items/{id}"], 50),
        (["HEAD", "200", "/items/{id}"], 10),
        (["POST", "201", "/items"], 10),
        (["GET", "404", "/missing"], 1),
    ];
    assert_both(&lab, &agent, address.port(), "Stall", "curl", &rows)
}

/// curl waits for "100 Continue" before it sends the body.
#[test]
fn fault_07_interim_answers_make_one_request() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let nginx = nginx(
        &lab,
        "location /upload { client_max_body_size 10m; proxy_pass http://127.0.0.1:1; }",
    )?;
    // The body is read before the upstream is asked, which nobody is: 502.
    let body = lab.write("upload", &"x".repeat(50_000))?;
    let data = format!("@{}", body.display());
    for _ in 0..3 {
        let url = nginx.url("/upload");
        let fields = ["-H", "Expect: 100-continue", "--data-binary", &data, &url];
        assert_eq!(curl(&lab, &fields)?, "502\n");
    }
    let expected = counts(&[(["POST", "502", "/upload"], 3)]);
    let port = nginx.address.port().to_string();
    for (metric, labels) in [(SERVER, nginx.served()), (CLIENT, [(PORT, &*port)])] {
        let by = [METHOD, STATUS, ROUTE];
        assert_counts(&agent, metric, &labels, &by, &expected)?;
    }
    let sum = "http_server_request_body_size_bytes_sum";
    assert_eq!(agent.metrics()?.sum(sum, &nginx.served()), Some(150_000.0));
    Ok(())
}
