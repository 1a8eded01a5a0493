//! Tests of the report of `sonde check`.

use super::*;

fn report() -> Report {
    Report {
        kernel: "6.1.0-18-amd64".into(),
        btf: Btf::Found("/sys/kernel/btf/vmlinux".into()),
        lockdown: Some("none".into()),
        cgroup: CgroupMode::V2,
        refused: None,
        hooks: vec![
            HookLine {
                family: "tcp",
                hook: "inet_sock_set_state",
                required: true,
                outcome: Outcome::Works {
                    alternative: "tp_btf".into(),
                },
            },
            HookLine {
                family: "tcp",
                hook: "tcp_send_reset",
                required: false,
                outcome: Outcome::Missing {
                    refused: vec![
                        Refusal {
                            alternative: "tp_btf".into(),
                            reason: "not in BTF".into(),
                        },
                        Refusal {
                            alternative: "raw_tp".into(),
                            reason: "permission denied".into(),
                        },
                    ],
                    lost: "resets sent",
                },
            },
            HookLine {
                family: "block",
                hook: "block_rq_issue",
                required: true,
                outcome: Outcome::Off { collector: "block" },
            },
        ],
        tls_libraries: Vec::new(),
        capabilities: vec![LackLine {
            missing: vec!["CAP_SYS_PTRACE".into()],
            purpose: "read /proc/PID of other users' processes",
            lost: "their names",
        }],
        main_job: true,
    }
}

#[test]
fn the_report_has_aligned_columns_and_says_what_is_lost() {
    assert_eq!(
        report().to_text(Style::Plain),
        "\
kernel    6.1.0-18-amd64
BTF       /sys/kernel/btf/vmlinux
lockdown  none
cgroup    v2

FAMILY  HOOK                 STATE     HOW
tcp     inet_sock_set_state  works     tp_btf
        tcp_send_reset       optional  lost: resets sent
                                       tp_btf: not in BTF
                                       raw_tp: permission denied
block   block_rq_issue       off       collector.block is switched off

missing CAP_SYS_PTRACE, to read /proc/PID of other users' processes
        lost without: their names

sonde works on this host, in part: 1 of 2 hooks
"
    );
}

#[test]
fn colour_changes_no_text() {
    let coloured = report().to_text(Style::Colour);
    let mut stripped = String::new();
    let mut pieces = coloured.split("\x1b[");
    stripped.push_str(pieces.next().unwrap());
    for piece in pieces {
        stripped.push_str(piece.split_once('m').unwrap().1);
    }
    assert_ne!(coloured, stripped);
    assert_eq!(stripped, report().to_text(Style::Plain));
}

#[test]
fn the_exit_code_says_whether_the_main_job_can_be_done() {
    let mut report = report();
    assert_eq!(report.exit_code(), 0);
    report.main_job = false;
    assert_eq!(report.exit_code(), 3);
    let text = report.to_text(Style::Plain);
    assert!(
        text.ends_with("can't do its main job on this host: 1 of 2 hooks\n"),
        "{text}"
    );
}

#[test]
fn fault_27_missing_btf_and_lockdown_are_told() {
    let report = Report {
        btf: Btf::Missing("no /sys/kernel/btf/vmlinux".into()),
        lockdown: None,
        cgroup: CgroupMode::Hybrid,
        hooks: Vec::new(),
        ..report()
    };
    let text = report.to_text(Style::Plain);
    assert!(
        text.contains("BTF       none: no /sys/kernel/btf/vmlinux\n"),
        "{text}"
    );
    assert!(text.contains("lockdown  not in this kernel\ncgroup    hybrid (v1 and v2)\n"));
}

#[test]
fn fault_27_what_is_refused_as_a_whole_is_told_once() {
    let report = Report {
        refused: Some("can't load: Operation not permitted (os error 1)".into()),
        hooks: vec![HookLine {
            family: "tcp",
            hook: "inet_sock_set_state",
            required: true,
            outcome: Outcome::Missing {
                refused: Vec::new(),
                lost: "connections",
            },
        }],
        ..report()
    };
    let text = report.to_text(Style::Plain);
    let table = "\
FAMILY  HOOK                 STATE     HOW
tcp     inet_sock_set_state  missing   lost: connections

refused by the kernel: can't load: Operation not permitted (os error 1)

missing CAP_SYS_PTRACE";
    assert!(text.contains(table), "{text}");
}

#[test]
fn fault_27_what_several_hooks_miss_is_told_once() {
    let missing = |hook, also: Option<&str>| HookLine {
        family: "tcp",
        hook,
        required: true,
        outcome: Outcome::Missing {
            refused: [("tp_btf", "no BTF"), ("raw_tp", "no BTF")]
                .into_iter()
                .chain(also.map(|reason| ("iter", reason)))
                .map(|(alternative, reason)| Refusal {
                    alternative: alternative.into(),
                    reason: reason.into(),
                })
                .collect(),
            lost: "connections",
        },
    };
    let report = Report {
        hooks: vec![missing("one", None), missing("two", Some("too old"))],
        ..report()
    };
    let text = report.to_text(Style::Plain);
    let table = "\
FAMILY  HOOK  STATE     HOW
tcp     one   missing   lost: connections
        two   missing   lost: connections
                        iter: too old

refused one, two
        no BTF

missing CAP_SYS_PTRACE";
    assert!(text.contains(table), "{text}");
}

#[test]
fn json_keeps_its_keys() {
    let value: serde_json::Value = serde_json::from_str(&report().to_json().unwrap()).unwrap();
    assert_eq!(value["btf"]["found"], "/sys/kernel/btf/vmlinux");
    assert_eq!(value["cgroup"], "v2");
    assert_eq!(value["main_job"], true);
    let hooks = &value["hooks"];
    assert_eq!(
        (&hooks[0]["state"], &hooks[0]["alternative"]),
        (&"works".into(), &"tp_btf".into())
    );
    assert_eq!(hooks[1]["refused"][1]["reason"], "permission denied");
    assert_eq!(
        (&hooks[1]["state"], &hooks[2]["state"]),
        (&"missing".into(), &"off".into())
    );
    assert_eq!(hooks[2]["collector"], "block");
    assert_eq!(value["capabilities"][0]["missing"][0], "CAP_SYS_PTRACE");
}

#[test]
fn tls_libraries_are_listed_where_there_are_any() {
    let some = Report {
        tls_libraries: vec![TlsLine {
            library: "openssl",
            path: "/usr/lib/libssl.so.3".into(),
            breakpoints: 9,
            stepped: 0,
        }],
        ..report()
    };
    let text = some.to_text(Style::Plain);
    let table = "\n\nTLS      FILE\nopenssl  /usr/lib/libssl.so.3\n\n";
    assert!(text.contains(table), "{text}");
    assert!(!report().to_text(Style::Plain).contains("TLS"));
    assert!(!report().to_json().unwrap().contains("tls_libraries"));
}
