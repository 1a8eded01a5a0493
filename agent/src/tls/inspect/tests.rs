//! Tests on the libraries and programs of this host.

use std::{path::Path, process::Command};

use super::*;

fn found(path: impl AsRef<Path>) -> Inspection {
    inspect(&File::open(path).unwrap()).unwrap()
}

fn plan(path: impl AsRef<Path>) -> Plan {
    let mut inspection = found(path);
    assert!(inspection.refused.is_empty(), "{:?}", inspection.refused);
    assert_eq!(inspection.plans.len(), 1);
    inspection.plans.remove(0)
}

/// The programs at entries.
fn programs(plan: &Plan) -> Vec<&str> {
    let entries = plan.breakpoints.iter();
    let entries = entries.filter(|it| it.moment == Moment::Entry);
    let mut programs: Vec<_> = entries.map(|it| it.program).collect();
    programs.sort_unstable();
    programs
}

/// A library, wherever this architecture keeps it.
fn library(name: &str) -> Option<std::path::PathBuf> {
    let machine = std::env::consts::ARCH;
    let path = Path::new("/usr/lib")
        .join(format!("{machine}-linux-gnu"))
        .join(name);
    let there = path.exists();
    if !there {
        eprintln!("SKIPPED: no {}", path.display());
    }
    there.then_some(path)
}

#[test]
fn openssls_inner_functions_stand_for_the_public_ones() {
    let Some(path) = library("libssl.so.3") else {
        return;
    };
    let plan = plan(path);
    assert_eq!(plan.library, Library::OpenSsl);
    let programs = programs(&plan);
    for program in ["tls_free", "tls_handshake", "tls_sendfile"] {
        assert!(programs.contains(&program), "{programs:?}");
    }
    let reads = programs.iter().filter(|it| it.starts_with("tls_read"));
    let writes = programs.iter().filter(|it| it.starts_with("tls_write"));
    // One place each where there is an inner function, else the public ones.
    assert!(matches!(reads.count(), 1 | 2), "{programs:?}");
    assert!(matches!(writes.count(), 1..=3), "{programs:?}");
    let returns = plan.breakpoints.iter().filter(|it| it.program == RETURN);
    assert_eq!(returns.count(), programs.len() - 1, "all but tls_free");
    if cfg!(target_arch = "x86_64") {
        let stepped = plan.breakpoints.iter().filter(|it| !it.emulated);
        assert_eq!(stepped.collect::<Vec<_>>(), Vec::<&Breakpoint>::new());
    }
}

#[test]
fn gnutls_is_found() {
    let Some(path) = library("libgnutls.so.30") else {
        return;
    };
    let plan = plan(path);
    assert_eq!(plan.library, Library::GnuTls);
    assert_eq!(
        programs(&plan),
        ["tls_free", "tls_handshake", "tls_read", "tls_write"]
    );
}

#[test]
fn node_has_openssl_within() {
    let path = Path::new("/usr/bin/node");
    if !path.exists() {
        eprintln!("SKIPPED: no {}", path.display());
        return;
    }
    let inspection = found(path);
    // Debian's own links libssl; others have it within.
    for plan in inspection.plans {
        assert_eq!(plan.library, Library::OpenSsl);
        assert!(programs(&plan).contains(&"tls_read"));
        assert!(programs(&plan).contains(&"tls_write"));
    }
}

#[test]
fn what_has_no_tls_has_no_plan() {
    for path in ["/bin/sh", "/etc/passwd", "/dev/null"] {
        let inspection = found(path);
        assert!(inspection.plans.is_empty() && inspection.refused.is_empty());
    }
}

/// The Go tool, where it usually is.
fn go() -> Option<Command> {
    let tools = ["go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go"];
    let tool = tools.into_iter().find(|tool| {
        let version = Command::new(tool).arg("version").output();
        version.is_ok_and(|output| output.status.success())
    });
    if tool.is_none() {
        eprintln!("SKIPPED: no Go");
    }
    tool.map(Command::new)
}

/// Builds a program that connects by TLS.
fn build(directory: &Path, arguments: &[&str]) -> Option<std::path::PathBuf> {
    let source = directory.join("main.go");
    let text = "package main\nimport (\"crypto/tls\"; \"io\"; \"os\")\n\
                func main() { c, _ := tls.Dial(\"tcp\", os.Args[1], nil); io.Copy(c, c); c.Close() }\n";
    std::fs::write(&source, text).unwrap();
    let program = directory.join(format!("echo{}", arguments.len()));
    let mut go = go()?;
    go.arg("build").args(arguments).arg("-o").arg(&program);
    go.arg(&source).env("CGO_ENABLED", "0").env("GOFLAGS", "");
    let cache = std::env::temp_dir().join("sonde-test-go-build");
    go.env("GOCACHE", cache).env("HOME", directory);
    let output = go.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(program)
}

#[test]
fn a_go_program_is_found_stripped_or_not_at_the_same_places() {
    let directory = tempfile::tempdir().unwrap();
    let Some(program) = build(directory.path(), &[]) else {
        return;
    };
    let whole = plan(&program);
    assert_eq!(whole.library, Library::Go);
    for program in ["go_tls_read", "go_tls_write", "go_tls_close"] {
        assert!(programs(&whole).contains(&program));
    }
    let is_return = |it: &&Breakpoint| it.program.ends_with("_return");
    let returns = whole.breakpoints.iter().filter(is_return).count();
    assert!(returns > 3, "three functions, most with several: {returns}");
    assert!(
        whole
            .breakpoints
            .iter()
            .all(|it| it.moment == Moment::Entry)
    );
    if cfg!(target_arch = "x86_64") {
        let entries = whole.breakpoints.iter();
        let mut entries = entries.filter(|it| !it.program.ends_with("_return"));
        assert!(entries.all(|it| it.emulated), "{whole:?}");
    }

    // The same code at the same place, without symbols: from the runtime's own table.
    let stripped = build(directory.path(), &["-ldflags", "-s -w"]).unwrap();
    let file = File::open(&stripped).unwrap();
    let image = Image::parse(&file).unwrap();
    assert!(image.section(".symtab").is_none());
    assert_eq!(plan(&stripped).breakpoints.len(), whole.breakpoints.len());
    let code = |path: &Path, offset| {
        use std::os::unix::fs::FileExt as _;
        let mut bytes = [0; 4];
        File::open(path)
            .unwrap()
            .read_exact_at(&mut bytes, offset)
            .unwrap();
        bytes
    };
    for (one, other) in whole.breakpoints.iter().zip(&plan(&stripped).breakpoints) {
        assert_eq!(one.program, other.program);
        let bytes = (code(&program, one.offset), code(&stripped, other.offset));
        assert_eq!(bytes.0, bytes.1, "{one:?} {other:?}");
        if one.program.ends_with("_return") && cfg!(target_arch = "x86_64") {
            assert_eq!(bytes.0[0], 0xc3);
        }
    }

    let independent = build(
        directory.path(),
        &["-buildmode=pie", "-ldflags", "-s -w", "-v"],
    );
    let independent = plan(independent.unwrap());
    assert_eq!(independent.breakpoints.len(), whole.breakpoints.len());
}

mod hostile {
    use std::io::Write as _;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn inspected(bytes: &[u8]) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let _ = inspect(&file);
    }

    #[test]
    fn a_file_that_ends_early_is_survived() {
        let Some(path) = library("libssl.so.3") else {
            return;
        };
        let bytes = std::fs::read(path).unwrap();
        for length in (0..128).chain((128..bytes.len()).step_by(bytes.len() / 64)) {
            inspected(&bytes[..length]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_change_of_the_headers_is_survived(
            changes in vec((0usize..4096, any::<u8>()), 1..32),
            at_end in vec((0usize..2048, any::<u8>()), 0..32),
        ) {
            let Some(path) = library("libssl.so.3") else {
                return Ok(());
            };
            let mut bytes = std::fs::read(path).unwrap();
            let length = bytes.len();
            for (place, byte) in changes {
                bytes[place] = byte;
            }
            // The section headers stand at the end.
            for (place, byte) in at_end {
                bytes[length - 1 - place] = byte;
            }
            inspected(&bytes);
        }
    }
}
