//! The commands beside `run`, as people and scripts use them.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use sonde_tests::{
    agent::PATIENCE,
    lab::{Lab, finish, output},
};

use crate::support::{curl, nginx, sonde};

#[test]
fn check_finds_this_host_fit() -> Result<()> {
    let lab = Lab::open()?;
    let text = finish(sonde(&lab)?.arg("check"))?;
    assert!(text.contains("HOOK") && text.contains("http"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");
    let json = finish(sonde(&lab)?.args(["check", "--format=json"]))?;
    let report: Value = serde_json::from_str(&json)?;
    assert_eq!(report["main_job"], Value::Bool(true), "{json}");
    let hooks = report["hooks"].as_array().context("hooks")?;
    assert!(hooks.len() > 10, "{json}");
    Ok(())
}

/// Before anything is loaded: with another procfs nothing would be told, and no word why.
#[test]
fn fault_30_a_procfs_that_is_none_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    for command in ["run", "check", "trace"] {
        let flags = [
            command,
            "--path.procfs=/etc",
            "--web.listen-address=[::1]:0",
        ];
        let found = output(sonde(&lab)?.args(flags))?;
        let told = String::from_utf8_lossy(&found.stderr);
        assert_eq!(found.status.code(), Some(1), "{command}: {told}");
        for word in ["path.procfs is /etc", "can't read /etc/stat: No such file"] {
            assert!(told.contains(word), "{command}: {told}");
        }
    }
    Ok(())
}

#[test]
fn trace_prints_json_lines_that_pass_the_filter() -> Result<()> {
    let lab = Lab::open()?;
    let nginx = nginx(&lab, "")?;
    let mut command = sonde(&lab)?;
    command.args(["trace", "--status=404", "--service", &nginx.service]);
    // What is kept for export is no matter here.
    command.arg("--trace.sampler=always_off");
    let mut trace = lab.start(&mut command, true)?;
    let mut lines = BufReader::new(trace.take_output().context("piped")?);
    // It has no word for "attached": ask until it answers.
    let url = nginx.url("/missing");
    let asker = thread::spawn(move || {
        for _ in 0..100 {
            let asked = std::process::Command::new("curl")
                .args(["-s", "-o", "/dev/null", &url])
                .status();
            if asked.is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    curl(&lab, &[&nginx.url("/")])?;
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let span: Value = serde_json::from_str(&line)?;
    println!("{span}");
    assert_eq!(span["service"], Value::from(nginx.service.clone()));
    assert_eq!(span["role"], "server");
    assert_eq!(span["method"], "GET");
    assert_eq!(span["path"], "/missing");
    assert_eq!(span["status"], 404);
    assert_eq!(span["trace_id"].as_str().map(str::len), Some(32));
    assert!(span["duration"].as_f64().context("seconds")? < 5.0);
    // A reader that goes away ends it, without an error.
    drop(lines);
    let status = trace.end_within(Duration::from_secs(10))?;
    assert!(status.success(), "{status}: {}", trace.log());
    asker.join().map_err(|_| anyhow::anyhow!("the asker"))?;
    Ok(())
}

#[test]
fn trace_ends_on_sigterm() -> Result<()> {
    let lab = Lab::open()?;
    let mut trace = lab.start(sonde(&lab)?.arg("trace"), true)?;
    // From then on it has a handler; before, the signal's own effect is right.
    wait_for_thread(trace.id(), "signals")?;
    thread::sleep(Duration::from_millis(200));
    let status = trace.stop(Duration::from_secs(5))?;
    assert!(status.success(), "{status}: {}", trace.log());
    Ok(())
}

fn wait_for_thread(pid: u32, name: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let comm = fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
            if comm.trim() == name {
                return Ok(());
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    bail!("no thread {name} in {pid}")
}

#[test]
fn what_print_config_prints_is_valid() -> Result<()> {
    let lab = Lab::open()?;
    let flags = [
        "print-config",
        "--web.listen-address=[::1]:1234",
        "--no-collector.block",
    ];
    let config = finish(sonde(&lab)?.args(flags))?;
    let file = lab.write("printed.yaml", &config)?;
    let said = finish(sonde(&lab)?.arg("validate").arg(&file))?;
    assert_eq!(said, format!("{}: ok\n", file.display()));
    let again = ["print-config", "--config.file"];
    assert_eq!(finish(sonde(&lab)?.args(again).arg(&file))?, config);
    Ok(())
}

#[test]
fn completions_and_manual_are_written() -> Result<()> {
    let lab = Lab::open()?;
    for shell in ["bash", "zsh", "fish"] {
        let script = finish(sonde(&lab)?.args(["completions", shell]))?;
        assert!(script.contains("print-config"), "{shell}: {script}");
    }
    let manual = finish(sonde(&lab)?.arg("man"))?;
    assert!(manual.contains(".TH sonde"), "{manual}");
    assert!(manual.contains("listen"), "{manual}");
    // A reader that goes away is no error.
    let mut shell = lab.command("sh");
    let program = sonde_tests::agent::program()?;
    let line = format!("{} man | head -c 1", program.display());
    let found = output(shell.args(["-c", &line]).stderr(Stdio::piped()))?;
    assert_eq!(String::from_utf8_lossy(&found.stderr), "");
    Ok(())
}

#[test]
fn wrong_usage_exits_2() -> Result<()> {
    let lab = Lab::open()?;
    for wrong in [
        &["--web.listen-addres=:1"][..],
        &["fly"],
        &["trace", "--status=abc"],
    ] {
        let found = output(sonde(&lab)?.args(wrong))?;
        assert_eq!(found.status.code(), Some(2), "{wrong:?}");
    }
    Ok(())
}
