//! Libraries wherever they are: mapped later, replaced, in another mount namespace.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use sonde_tests::{
    exposition::Metrics,
    lab::{Lab, finish},
    process::Process,
};

use super::{Certificate, Rows, assert_asked, assert_served, nginx_with_tls};
use crate::support::named;

/// A directory with copies of OpenSSL's libraries, which nobody has mapped yet.
fn libraries(lab: &Lab, name: &str) -> Result<PathBuf> {
    let directory = lab.path().join(name);
    fs::create_dir(&directory)?;
    let told = lab.run("ldconfig", ["-p"])?;
    for library in ["libssl.so.", "libcrypto.so."] {
        let line = told
            .lines()
            .find(|line| line.trim_start().starts_with(library));
        let path = line.and_then(|line| line.split("=> ").nth(1));
        let path = Path::new(path.with_context(|| format!("no {library} on this host"))?);
        let name = path.file_name().context("a file")?;
        fs::copy(path, directory.join(name))?;
    }
    Ok(directory)
}

/// Puts a copy in the place of each library: other files with the same names.
fn replace(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let new = path.with_extension("new");
        fs::copy(&path, &new)?;
        fs::rename(&new, &path)?;
    }
    Ok(())
}

/// A client with its own libraries that asks `count` times, `before` seconds after it has loaded
/// them, which it does `after` seconds after its start.
fn python(lab: &Lab, service: &str, arguments: [&str; 4]) -> Result<Command> {
    let script = lab.write("tls.py", include_str!("../programs/tls.py"))?;
    let mut command = lab.command("python3");
    command.arg(script).arg("fetch").args(arguments);
    command.env(
        "OTEL_SERVICE_NAME",
        format!("{service}-{}", lab.namespace()),
    );
    Ok(command)
}

const ITEMS: &str = "/items";

#[test]
fn a_library_that_a_later_process_maps_is_watched() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (_nginx, address) = nginx_with_tls(&lab, &Certificate::new(&lab)?)?;
    let directory = libraries(&lab, "later")?;
    let url = format!("https://{address}{ITEMS}");
    // At once, and by dlopen within the second in which a program is looked at.
    for (service, after) in [("at-once", "0"), ("by-and-by", "0.5")] {
        let mut client = python(&lab, service, [&url, "5", "3", after])?;
        finish(client.env("LD_LIBRARY_PATH", &directory))?;
        let rows: Rows<'_> = &[(["GET", "200", ITEMS], 5)];
        let service = format!("{service}-{}", lab.namespace());
        assert_asked(&agent, &service, address, rows)?;
    }
    // With its last user a file on a file system of its own would be let go of; here it is kept.
    let watched = agent
        .metrics()?
        .sum("sonde_tls_files", &[("tls_library", "openssl")]);
    assert!(watched.is_some_and(|files| files >= 2.0), "{watched:?}");
    Ok(())
}

#[test]
fn a_library_that_was_replaced_while_it_is_mapped_is_watched() -> Result<()> {
    let lab = Lab::open()?;
    let (_nginx, address) = nginx_with_tls(&lab, &Certificate::new(&lab)?)?;
    let directory = libraries(&lab, "replaced")?;
    let url = format!("https://{address}{ITEMS}");
    let mut old = python(&lab, "old", [&url, "5", "12", "0"])?;
    let mut old = lab.start(old.env("LD_LIBRARY_PATH", &directory), false)?;
    // It has loaded them by then.
    std::thread::sleep(std::time::Duration::from_secs(2));
    replace(&directory)?;
    let agent = lab.agent(&[])?;
    let mut new = python(&lab, "new", [&url, "7", "3", "0"])?;
    finish(new.env("LD_LIBRARY_PATH", &directory))?;
    while old.ended()?.is_none() {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for (service, count) in [("old", 5), ("new", 7)] {
        let rows: Rows<'_> = &[(["GET", "200", ITEMS], count)];
        let service = format!("{service}-{}", lab.namespace());
        assert_asked(&agent, &service, address, rows)?;
    }
    Ok(())
}

/// The library has a path that is there in the process's own mount namespace only, as in a
/// container.
#[test]
fn a_library_in_another_mount_namespace_is_watched() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (_nginx, address) = nginx_with_tls(&lab, &Certificate::new(&lab)?)?;
    let directory = libraries(&lab, "image")?;
    let inside = lab.path().join("inside");
    fs::create_dir(&inside)?;
    let url = format!("https://{address}{ITEMS}");
    let client = python(&lab, "container", [&url, "5", "3", "0"])?;
    let mut command = lab.command("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command.arg("mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"");
    command.arg("sh").arg(&directory).arg(&inside);
    command.arg(client.get_program()).args(client.get_args());
    command.envs(
        client
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    finish(command.env("LD_LIBRARY_PATH", &inside))?;
    assert!(fs::read_dir(&inside)?.next().is_none(), "only in there");
    let service = format!("container-{}", lab.namespace());
    assert_asked(&agent, &service, address, &[(["GET", "200", ITEMS], 5)])
}

/// curl and all that it loads, in a directory that can be a root.
fn image(lab: &Lab) -> Result<PathBuf> {
    let root = lab.path().join("lower");
    let curl = lab.run("sh", ["-c", "command -v curl"])?;
    let told = lab.run("ldd", [curl.trim()])?;
    let paths = told.split_whitespace().filter(|word| word.starts_with('/'));
    for file in paths.chain([curl.trim()]) {
        let copy = root.join(file.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().context("a directory")?)?;
        fs::copy(file, copy)?;
    }
    Ok(root)
}

/// curl in a root of its own, an overlay over the image, in a mount namespace of its own. Its
/// libraries are there for a while when it asks.
fn container(lab: &Lab, image: &Path, name: &str, urls: &Path) -> Result<Process> {
    let directory = lab.path().join(name);
    for part in ["upper", "work", "root"] {
        fs::create_dir_all(directory.join(part))?;
    }
    let mut command = lab.command("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
    command.arg(
        "mount -t overlay overlay -o \"lowerdir=$1,upperdir=$2/upper,workdir=$2/work\" \"$2/root\"
         (sleep 1.5; cat \"$3\") | chroot \"$2/root\" \"$4\" -sk --http1.1 -K -",
    );
    let curl = lab.run("sh", ["-c", "command -v curl"])?;
    command.arg("sh").arg(image).arg(&directory).arg(urls);
    command.arg(curl.trim());
    lab.start(command.env("OTEL_SERVICE_NAME", named(lab, name)), false)
}

/// Containers of one image have a library's file from the layer beneath in common: it is watched
/// once, for all of them, and not when they are gone.
#[test]
fn a_library_beneath_two_containers_is_watched_once() -> Result<()> {
    let lab = Lab::open()?;
    let agent = lab.agent(&[])?;
    let (nginx, address) = nginx_with_tls(&lab, &Certificate::new(&lab)?)?;
    let image = image(&lab)?;
    let url = format!("url = \"https://{address}{ITEMS}\"\noutput = \"/answer\"\n");
    let urls = lab.write("urls", &url.repeat(20))?;
    let files = |metrics: &Metrics| {
        let counts = metrics.by("sonde_tls_files", &[("tls_library", "openssl")], &[]);
        counts.into_values().next()
    };
    let before = agent.eventually("files", files)?;
    let names = ["one", "two"];
    let mut containers = Vec::new();
    for name in names {
        containers.push(container(&lab, &image, name, &urls)?);
    }
    agent.eventually("one more file", |metrics| {
        files(metrics).filter(|count| *count == before + 1)
    })?;
    for container in &mut containers {
        let status = container.end_within(Duration::from_secs(30))?;
        ensure!(status.success(), "{status}\n{}", container.log());
    }
    for name in names {
        let rows: Rows<'_> = &[(["GET", "200", ITEMS], 20)];
        assert_asked(&agent, &named(&lab, name), address, rows)?;
    }
    assert_served(&agent, &nginx.service, &[(["GET", "200", ITEMS], 40)])?;
    agent.eventually("one file less", |metrics| {
        files(metrics).filter(|count| *count <= before)
    })?;
    Ok(())
}
