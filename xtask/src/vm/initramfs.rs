//! The file system that a guest starts from: busybox, the programs, their libraries, modules.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{Kernel, guest::Guest, modules};
use crate::{sh, toolchain};

/// Writes it into the directory and gives its path.
pub(super) fn build(kernel: &Kernel, guest: &Guest, directory: &Path) -> Result<PathBuf> {
    let tree = tempfile::tempdir_in(directory).context("making a directory")?;
    let root = Root(tree.path());
    let busybox =
        toolchain::on_path("busybox").context("no busybox: run `cargo xtask setup --all`")?;
    root.copy(&busybox, "/bin/busybox")?;
    symlink("busybox", tree.path().join("bin/sh")).context("linking sh")?;
    for program in &guest.files {
        root.copy(&program.host, &program.guest)?;
        for library in libraries(&program.host)? {
            root.copy(Path::new(&library), &library)?;
        }
    }
    let mut order = String::new();
    for module in modules::load(&kernel.modules)? {
        let path = format!("/modules/{}.ko", module.name);
        root.write(&path, &module.content)?;
        order.push_str(&path);
        order.push('\n');
    }
    root.write("/modules/order", order.as_bytes())?;
    root.write("/init", guest.init().as_bytes())?;
    root.pack(&directory.join("initramfs"))
}

struct Root<'a>(&'a Path);

impl Root<'_> {
    fn place(&self, path: &str) -> Result<PathBuf> {
        let place = self.0.join(path.trim_start_matches('/'));
        let parent = place.parent().context("a path without a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        Ok(place)
    }

    fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let copied = fs::copy(from, self.place(to)?);
        copied.with_context(|| format!("copying {}", from.display()))?;
        Ok(())
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        let place = self.place(path)?;
        let executable = fs::Permissions::from_mode(0o755);
        fs::write(&place, content)
            .and_then(|()| fs::set_permissions(&place, executable))
            .with_context(|| format!("writing {}", place.display()))
    }

    /// As the kernel unpacks it: a cpio archive of the format "newc" (the kernel's
    /// Documentation/driver-api/early-userspace/buffer-format.rst).
    fn pack(&self, archive: &Path) -> Result<PathBuf> {
        let mut find = Command::new("find");
        let mut find = find
            .arg(".")
            .current_dir(self.0)
            .stdout(Stdio::piped())
            .spawn()?;
        let names = find.stdout.take().context("find has no output")?;
        let mut cpio = Command::new("cpio");
        cpio.args(["--create", "--format=newc", "--quiet", "--owner=0:0"])
            .current_dir(self.0)
            .stdin(names)
            .stdout(File::create(archive).context("making the archive")?);
        sh::run(&mut cpio)?;
        if !find.wait().context("waiting for find")?.success() {
            bail!("find failed");
        }
        Ok(archive.to_owned())
    }
}

/// The shared libraries of a program, and its loader, as ldd(1) lists them.
fn libraries(program: &Path) -> Result<Vec<String>> {
    let listed = Command::new("ldd")
        .arg(program)
        .output()
        .context("starting ldd")?;
    if !listed.status.success() {
        return Ok(Vec::new()); // Not a dynamic executable.
    }
    let listed = String::from_utf8(listed.stdout).context("what ldd lists")?;
    // "NAME => /PATH (ADDRESS)" or, for the loader, "/PATH (ADDRESS)".
    let path = |line: &str| {
        let path = line.split(" => ").last()?.trim().split(' ').next()?;
        path.starts_with('/').then(|| path.to_owned())
    };
    Ok(listed.lines().filter_map(path).collect())
}
