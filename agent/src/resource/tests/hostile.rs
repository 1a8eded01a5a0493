//! Row 28: corrupt, vanishing and absurd files.

use std::path::PathBuf;

use proptest::{prelude::*, test_runner::TestRunner};

use super::*;

fn numbers_are_sane(rendered: &str) -> Result<(), String> {
    for line in rendered.lines() {
        let (series, number) = line.rsplit_once(' ').ok_or("a line without a number")?;
        let number: f64 = number.parse().map_err(|_| format!("no number: {line}"))?;
        let may_be_below_zero = series.starts_with("hw.temperature{");
        if !number.is_finite() || number < 0.0 && !may_be_below_zero {
            return Err(line.to_owned());
        }
        let is_share = series.starts_with("use.utilization") || series.contains("_share\"");
        // A limit may be lowered below what is in use.
        let has_limit = [
            "tcp",
            "processes",
            "conntrack",
            "file_descriptors",
            "cgroup",
            "thermal",
            "power",
            "udp",
            "network",
        ]
        .iter()
        .any(|name| series.contains(&format!("resource={name:?}")));
        if is_share && !has_limit && number > 1.0 {
            return Err(line.to_owned());
        }
    }
    Ok(())
}

fn no_series_twice(rendered: &str) -> bool {
    let series: Vec<_> = rendered
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .collect();
    let unique: BTreeSet<_> = series.iter().map(|(series, _)| series).collect();
    unique.len() == series.len()
}

#[test]
fn fault_28_corrupt_files_are_skipped_and_counted_and_leave_the_rest() -> io::Result<()> {
    let directory = copy_of("corrupt")?;
    let mut resources = Resources::new(root(directory.path()), |_| true);
    let now = Instant::now();
    snapshot(&mut resources, now);
    let rendered = render(&snapshot(&mut resources, now + LATER));
    numbers_are_sane(&rendered).unwrap();
    assert!(no_series_twice(&rendered), "{rendered}");

    let own = |metric: &str, name: &str| {
        value(
            &rendered,
            &format!("sonde.resource.{metric}{{resource={name:?}}}"),
        )
    };
    // What has a good line left keeps it.
    for name in [
        "cpu",
        "run_queue",
        "memory",
        "swap",
        "disk",
        "network",
        "filesystem",
    ] {
        assert_eq!(own("up", name), Some(1.0), "{name} in\n{rendered}");
        assert!(own("skipped", name) > Some(0.0), "{name} in\n{rendered}");
    }
    // What has nothing left says so, in both snapshots.
    for name in ["tcp", "udp", "file_descriptors", "processes", "conntrack"] {
        assert_eq!(own("up", name), Some(0.0), "{name} in\n{rendered}");
        assert_eq!(own("failures", name), Some(2.0), "{name} in\n{rendered}");
    }
    assert!(rendered.contains(r#"system.cpu.time{cpu.logical_number="0",cpu.mode="user"} 0.1"#));
    let odd_name =
        r#"network.interface.name="\u{fffd}\u{fffd}\"{}\\""#.replace(r"\u{fffd}", "\u{fffd}");
    assert!(rendered.contains(&odd_name), "{rendered}");
    // 3000 kB available of 1000 kB is no share.
    assert_eq!(
        value(&rendered, r#"use.utilization{resource="memory"}"#),
        None
    );
    Ok(())
}

#[test]
fn fault_28_files_that_vanish_take_only_their_values_along() -> io::Result<()> {
    let directory = copy_of("server")?;
    let mut resources = Resources::new(root(directory.path()), is_of_the_tree);
    let now = Instant::now();
    snapshot(&mut resources, now);
    for gone in ["pressure", "411", "vmstat", "schedstat", "net/netstat"] {
        let path = directory.path().join("proc").join(gone);
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    let rendered = render(&snapshot(&mut resources, now + LATER));
    assert!(!rendered.contains("pressure_some_share"));
    assert_eq!(
        value(&rendered, r#"sonde.resource.up{resource="memory"}"#),
        Some(1.0)
    );
    assert_eq!(
        value(&rendered, r#"use.utilization{resource="memory"}"#),
        Some(0.5)
    );
    Ok(())
}

#[test]
fn fault_28_a_resource_comes_back_after_a_failure() -> io::Result<()> {
    let directory = copy_of("server")?;
    let meminfo = directory.path().join("proc/meminfo");
    let good = fs::read(&meminfo)?;
    let mut resources = Resources::new(root(directory.path()), |name| name == "memory");
    let now = Instant::now();
    let up = |resources: &mut Resources, after: u64| {
        let rendered = render(&snapshot(resources, now + Duration::from_secs(after)));
        value(&rendered, r#"sonde.resource.up{resource="memory"}"#)
    };
    assert_eq!(up(&mut resources, 0), Some(1.0));
    fs::write(&meminfo, "")?;
    assert_eq!(up(&mut resources, 1), Some(0.0));
    fs::write(&meminfo, good)?;
    assert_eq!(up(&mut resources, 2), Some(1.0));
    Ok(())
}

#[test]
fn the_network_is_that_of_the_first_process_where_that_can_be_read() -> io::Result<()> {
    let directory = copy_of("server")?;
    let net = directory.path().join("proc/1/net");
    fs::create_dir_all(&net)?;
    fs::write(
        net.join("dev"),
        "a\nb\nhost0: 7 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n",
    )?;
    let mut resources = Resources::new(root(directory.path()), |name| name == "network");
    let rendered = render(&snapshot(&mut resources, Instant::now()));
    assert!(rendered.contains("host0"));
    assert!(!rendered.contains("eth0"));
    Ok(())
}

/// Hosts whose files are damaged.
const VICTIMS: [fn() -> io::Result<tempfile::TempDir>; 5] = [
    || copy_of("server"),
    || hosts::directory_of(hosts::kubernetes_v2),
    || hosts::directory_of(hosts::kubernetes_v1),
    || hosts::directory_of(hosts::container_host),
    || hosts::directory_of(hosts::hardware),
];

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("the host can be listed") {
        let path = entry.expect("the host can be listed").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What may happen to a file.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Overwritten(prop::sample::Index, Vec<u8>),
    HugeNumbers,
    Garbage(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        (any::<prop::sample::Index>(), any::<Vec<u8>>())
            .prop_map(|(index, bytes)| Damage::Overwritten(index, bytes)),
        Just(Damage::HugeNumbers),
        any::<Vec<u8>>().prop_map(Damage::Garbage),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Cut(index) => bytes.truncate(index.index(bytes.len() + 1)),
            Self::Overwritten(index, with) => {
                let start = index.index(bytes.len() + 1);
                let end = bytes.len().min(start + with.len());
                bytes.splice(start..end, with.iter().copied());
            }
            Self::HugeNumbers => {
                let text = String::from_utf8_lossy(bytes);
                let huge = text
                    .split_inclusive(char::is_whitespace)
                    .map(|word| match word.trim_end().parse::<u64>() {
                        Ok(number) if number > 9 => {
                            word.replace(word.trim_end(), &u64::MAX.to_string())
                        }
                        _ => word.to_owned(),
                    })
                    .collect::<String>();
                *bytes = huge.into_bytes();
            }
            Self::Garbage(with) => bytes.clone_from(with),
        }
    }
}

/// Reads the host twice, with `file` damaged the second time or both.
fn read_damaged(
    host: &Path,
    file: &Path,
    damage: &Damage,
    also_before: bool,
) -> io::Result<String> {
    let good = fs::read(file)?;
    let mut bytes = good.clone();
    damage.apply(&mut bytes);
    if also_before {
        fs::write(file, &bytes)?;
    }
    let mut resources = Resources::new(root(host), is_of_the_tree);
    let now = Instant::now();
    snapshot(&mut resources, now);
    fs::write(file, &bytes)?;
    let rendered = render(&snapshot(&mut resources, now + LATER));
    fs::write(file, good)?;
    Ok(rendered)
}

#[test]
fn fault_28_no_damage_to_any_file_panics_or_makes_numbers_up() {
    let hosts = VICTIMS.map(|write| write().expect("the host can be written"));
    let of = |index: usize| {
        let files = files(hosts[index].path()).into_iter();
        files.map(move |file| (index, file))
    };
    let files: Vec<_> = (0..hosts.len()).flat_map(of).collect();
    let config = ProptestConfig {
        source_file: Some(file!()),
        ..ProptestConfig::with_cases(512)
    };
    let strategy = (prop::sample::select(files), damage(), any::<bool>());
    let result = TestRunner::new(config).run(&strategy, |((host, file), damage, also_before)| {
        let rendered = read_damaged(hosts[host].path(), &file, &damage, also_before)?;
        prop_assert!(no_series_twice(&rendered), "{rendered}");
        numbers_are_sane(&rendered).map_err(TestCaseError::fail)
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
