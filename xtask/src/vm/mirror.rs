//! Where Debian's kernels come from: the mirror that this machine installs from.

use std::process::Command;

use anyhow::{Result, bail};

use crate::sh;

/// Suites of the archive, and of its security archive, that have kernels for the matrix.
const SUITES: [&str; 4] = ["bullseye", "bookworm", "trixie", "sid"];
const SECURITY_SUITES: [&str; 3] = ["bullseye-security", "bookworm-security", "trixie-security"];

/// The keys that sign them, of every release that is still of use.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The list of sources for apt, of all suites that have kernels for the matrix.
pub(super) fn sources_list(mirror: Option<&str>) -> Result<String> {
    let (main, security) = match mirror {
        Some(mirror) => {
            let mirror = mirror.trim_end_matches('/');
            (mirror.to_owned(), format!("{mirror}-security"))
        }
        None => mirrors()?,
    };
    let line =
        |mirror: &str, suite: &&str| format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
    let main = SUITES.iter().map(|suite| line(&main, suite));
    let security = SECURITY_SUITES.iter().map(|suite| line(&security, suite));
    Ok(main.chain(security).collect())
}

/// The mirrors of Debian's archive and of its security archive that this machine installs from.
fn mirrors() -> Result<(String, String)> {
    let uris = sh::output(Command::new("apt-get").args(["--print-uris", "update"]))?;
    // 'URI' NAME SIZE; URI is MIRROR/dists/SUITE/InRelease.
    let suites = uris.lines().filter_map(|line| {
        let uri = line.strip_prefix('\'')?.split_once('\'')?.0;
        let (mirror, rest) = uri.split_once("/dists/")?;
        Some((mirror, rest.strip_suffix("/InRelease")?))
    });
    let (mut main, mut security) = (None, None);
    for (mirror, suite) in suites {
        if SECURITY_SUITES.contains(&suite) {
            security = Some(mirror.to_owned());
        } else if SUITES.contains(&suite) {
            main = Some(mirror.to_owned());
        }
    }
    match (main, security) {
        (Some(main), Some(security)) => Ok((main, security)),
        (Some(main), None) => Ok((main.clone(), format!("{main}-security"))),
        (None, _) => bail!(
            "this machine's apt sources name no Debian mirror to take kernels from: name one \
             with --mirror or SONDE_DEBIAN_MIRROR"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_given_by_hand_has_its_security_archive_beside() {
        let list = sources_list(Some("http://mirror.example/debian/")).unwrap();
        assert!(list.contains(" http://mirror.example/debian sid main\n"));
        assert!(list.contains(" http://mirror.example/debian-security trixie-security main\n"));
    }
}
