//! The whole text, against files and Prometheus itself.

use super::*;

/// Compares with the golden file, or writes it when `SONDE_BLESS` is set.
fn golden(file: &str, format: Format) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/golden");
    let exposition = encode(&sample::golden(), format);
    assert_eq!(exposition.rejected, 0);
    parse(&exposition.body, format);
    if std::env::var_os("SONDE_BLESS").is_some() {
        std::fs::write(folder.join(file), &exposition.body).unwrap();
    }
    let expected = std::fs::read(folder.join(file)).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert_eq!(text(exposition.body), text(expected));
}

#[test]
fn golden_text() {
    golden("metrics.txt", Format::Text);
}

#[test]
fn golden_open_metrics() {
    golden("metrics.om", Format::OpenMetrics);
}

/// Runs promtool, with `input` on its standard input; `None` where the machine has none.
fn promtool(arguments: &[&str], input: &[u8]) -> Option<(bool, String)> {
    let spawned = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("LEFT OUT: promtool is missing (Debian package prometheus)");
            return None;
        }
        Err(error) => panic!("promtool: {error}"),
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

#[test]
fn promtool_finds_nothing_in_the_text_format() {
    let mut collector = sample::collector();
    WebStats::default().collect(&mut collector);
    for snapshot in [sample::golden(), collector.finish(sample::time())] {
        let body = encode(&snapshot, Format::Text).body;
        if let Some((passed, said)) = promtool(&["check", "metrics"], &body) {
            assert!(passed && said.is_empty(), "{said}");
        }
    }
}

/// `promtool tsdb create-blocks-from openmetrics` has Prometheus' own parser, which here needs a
/// timestamp in each sample.
#[test]
fn prometheus_reads_the_open_metrics_format() {
    let body = encode(&sample::golden(), Format::OpenMetrics).body;
    let families = parse(&body, Format::OpenMetrics);
    let mut dated = Vec::new();
    for (name, family) in &families {
        writeln!(dated, "# TYPE {name} {}", family.kind).unwrap();
        for sample in &family.samples {
            writeln!(dated, "{} 1700000000.5{}", sample.head, sample.tail).unwrap();
        }
    }
    dated.extend_from_slice(b"# EOF\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics.om");
    std::fs::write(&file, dated).unwrap();
    let blocks = folder.path().join("blocks");
    let arguments = ["tsdb", "create-blocks-from", "openmetrics"];
    let paths = [file.to_str().unwrap(), blocks.to_str().unwrap()];
    if let Some((passed, said)) = promtool(&[&arguments[..], &paths[..]].concat(), b"") {
        assert!(passed, "{said}");
    }
}
