//! Debian's kernels, from the mirror that this machine installs from, kept between runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::mirror;
use crate::{sh, workspace};

/// Stands for the newest kernel of all suites.
pub(super) const NEWEST: &str = "newest";

/// Kernels for virtual machines: small, with what is needed there built in or as modules.
const PACKAGES: &str = r"^linux-image-[0-9]+\.[0-9]+\.[0-9].*-cloud-amd64$";

/// The lists of packages are fetched again when they are older than this.
const MAX_AGE: Duration = Duration::from_hours(24);

/// A kernel, unpacked.
#[derive(Debug)]
pub(super) struct Kernel {
    /// As `uname -r` prints it.
    pub(super) release: String,
    /// The bootable image.
    pub(super) image: PathBuf,
    /// The directory of its modules.
    pub(super) modules: PathBuf,
}

/// The newest kernel of each series, downloaded where that hasn't been done yet.
pub(super) fn kernels(wanted: &[String], mirror: Option<&str>) -> Result<Vec<Kernel>> {
    let apt = Apt::open(mirror)?;
    let releases = apt.releases()?;
    let mut chosen: Vec<&str> = Vec::new();
    for series in wanted {
        let of_series =
            |release: &&String| series == NEWEST || numbers(release).starts_with(&numbers(series));
        let newest = releases
            .iter()
            .filter(of_series)
            .max_by_key(|release| numbers(release));
        let release = newest.with_context(|| format!("Debian has no kernel {series}"))?;
        if !chosen.contains(&release.as_str()) {
            chosen.push(release);
        }
    }
    chosen
        .into_iter()
        .map(|release| apt.kernel(release))
        .collect()
}

/// The numbers in a version, which sort as the versions do.
fn numbers(version: &str) -> Vec<u32> {
    let parts = version.split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

/// An apt of our own, beside the machine's: other suites, other lists, nothing installed.
struct Apt {
    config: PathBuf,
    kernels: PathBuf,
}

impl Apt {
    fn open(mirror: Option<&str>) -> Result<Self> {
        let directory = workspace::cache("apt")?;
        for made in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(made)).context("making apt's directories")?;
        }
        let apt = Self {
            config: directory.join("apt.conf"),
            kernels: workspace::cache("kernels")?,
        };
        fs::write(&apt.config, config(&directory)).context("writing apt's configuration")?;
        apt.refresh(&directory, mirror)?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Read after the machine's own, which may have other ideas (APT_CONFIG would be first).
        command.arg("--config-file").arg(&self.config);
        command
    }

    /// Fetches the lists of packages when those that are here are old or from elsewhere.
    fn refresh(&self, directory: &Path, mirror: Option<&str>) -> Result<()> {
        let sources = directory.join("sources.list");
        let stamp = directory.join("fetched");
        let content = mirror::sources_list(mirror)?;
        let same = fs::read_to_string(&sources).is_ok_and(|old| old == content);
        let age = fs::metadata(&stamp).and_then(|stamp| stamp.modified()).ok();
        let fresh = age
            .and_then(|age| age.elapsed().ok())
            .is_some_and(|age| age < MAX_AGE);
        if same && fresh {
            return Ok(());
        }
        fs::write(&sources, content).context("writing the list of sources")?;
        println!("get  Debian's lists of packages");
        let fetched = sh::output(self.command("apt-get").args(["--quiet", "update"]));
        match fetched {
            Ok(_) => fs::write(&stamp, "").context("noting when they were fetched"),
            // Kernels that were downloaded before do as well.
            Err(error) if same && stamp.exists() => {
                println!("     not reachable, going on with those of before: {error}");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The releases of all kernels that the lists have.
    fn releases(&self) -> Result<Vec<String>> {
        let mut search = self.command("apt-cache");
        let found = sh::output(search.args(["search", "--names-only", PACKAGES]))?;
        let names = found
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        Ok(names
            .filter_map(|name| name.strip_prefix("linux-image-"))
            .map(str::to_owned)
            .collect())
    }

    /// A kernel by its release, from the cache or downloaded.
    fn kernel(&self, release: &str) -> Result<Kernel> {
        let (version, packages) = self.packages(release)?;
        let unpacked = self.kernels.join(format!("{release}_{version}"));
        if unpacked.is_dir() {
            println!("ok   linux {release} ({version})");
        } else {
            println!("get  linux {release} ({version})");
            self.download(&packages, &unpacked)?;
        }
        self.drop_others(release, &unpacked);
        let one_of = |paths: [String; 2]| {
            let paths = paths.map(|path| unpacked.join(path));
            let found = paths.into_iter().find(|path| path.exists());
            found.with_context(|| format!("{} isn't laid out as expected", unpacked.display()))
        };
        Ok(Kernel {
            release: release.to_owned(),
            // Before and after Debian split image and modules, and merged /usr.
            image: one_of([
                format!("boot/vmlinuz-{release}"),
                format!("usr/lib/modules/{release}/vmlinuz"),
            ])?,
            modules: one_of([
                format!("lib/modules/{release}"),
                format!("usr/lib/modules/{release}"),
            ])?,
        })
    }

    /// The version of a kernel's package, and the packages that hold its parts.
    fn packages(&self, release: &str) -> Result<(String, Vec<String>)> {
        let image = format!("linux-image-{release}");
        let mut show = self.command("apt-cache");
        let shown = sh::output(show.args(["show", "--no-all-versions", &image]))?;
        let field = |name: &str| shown.lines().find_map(|line| line.strip_prefix(name));
        let version = field("Version: ").with_context(|| format!("{image} has no version"))?;
        let parts = ["base", "binary", "modules"].map(|part| format!("linux-{part}-{release}"));
        let depends = field("Depends: ").unwrap_or_default();
        let depends: Vec<_> = depends.split([',', '|', ' ']).collect();
        let mut packages = vec![image];
        packages.extend(
            parts
                .into_iter()
                .filter(|part| depends.contains(&part.as_str())),
        );
        Ok((version.to_owned(), packages))
    }

    fn download(&self, packages: &[String], into: &Path) -> Result<()> {
        // Under another name until it is whole.
        let directory = tempfile::tempdir_in(&self.kernels).context("making a directory")?;
        let mut get = self.command("apt-get");
        get.args(["--quiet", "download"])
            .args(packages)
            .current_dir(&directory);
        sh::output(&mut get)?;
        let unpacked = directory.path().join("unpacked");
        for entry in fs::read_dir(&directory).context("listing what was downloaded")? {
            let package = entry.context("listing what was downloaded")?.path();
            if package
                .extension()
                .is_some_and(|extension| extension == "deb")
            {
                let mut unpack = Command::new("dpkg-deb");
                sh::run(unpack.arg("--extract").arg(package).arg(&unpacked))?;
            }
        }
        fs::rename(&unpacked, into).context("putting the kernel in its place")
    }

    /// Older builds of the same series aren't used again; nothing is lost when this fails.
    fn drop_others(&self, release: &str, keep: &Path) {
        let series = |name: &str| numbers(name).into_iter().take(2).collect::<Vec<_>>();
        for entry in fs::read_dir(&self.kernels).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let same = series(&name.to_string_lossy()) == series(release);
            if same && entry.path() != keep && !name.to_string_lossy().starts_with('.') {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn config(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "Dir::Etc::sourcelist \"{directory}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\n\
         Dir::State::lists \"{directory}/lists\";\n\
         Dir::Cache \"{directory}/cache\";\n\
         Dir::Cache::pkgcache \"pkgcache.bin\";\n\
         Dir::Cache::srcpkgcache \"srcpkgcache.bin\";\n\
         APT::Architecture \"amd64\";\n\
         APT::Architectures {{ \"amd64\"; }};\n\
         APT::Sandbox::User \"\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
         // Suites that are no longer updated keep their last signature.\n\
         Acquire::Check-Valid-Until \"false\";\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_sort_as_versions_do() {
        let mut releases = [
            "6.12.117+deb13",
            "6.1.0-56",
            "6.12.94+deb13",
            "6.1.0-0.deb11.52",
            "5.10.0-46",
        ];
        releases.sort_by_key(|release| numbers(release));
        assert_eq!(
            releases,
            [
                "5.10.0-46",
                "6.1.0-0.deb11.52",
                "6.1.0-56",
                "6.12.94+deb13",
                "6.12.117+deb13"
            ]
        );
    }

    #[test]
    fn a_series_is_no_prefix_of_letters() {
        assert!(numbers("6.12.94+deb13-cloud-amd64").starts_with(&numbers("6.12")));
        assert!(!numbers("6.12.94+deb13-cloud-amd64").starts_with(&numbers("6.1")));
    }
}
