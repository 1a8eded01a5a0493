//! The modules that the guest loads, with those that they need, in the order of loading.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// Disks for the block layer's tests, and devices and delays for the network's.
const WANTED: [&str; 5] = ["virtio_pci", "virtio_blk", "loop", "sch_netem", "veth"];

/// A module as `insmod` takes it.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// The wanted modules of a kernel; those that are built in are left out.
pub(super) fn load(directory: &Path) -> Result<Vec<Module>> {
    let mut tree = Tree {
        files: HashMap::new(),
        built_in: Vec::new(),
        loaded: Vec::new(),
    };
    tree.find(&directory.join("kernel"))?;
    let built_in =
        fs::read_to_string(directory.join("modules.builtin")).context("reading modules.builtin")?;
    tree.built_in = built_in
        .lines()
        .filter_map(|line| name(Path::new(line)))
        .collect();
    for wanted in WANTED {
        tree.add(wanted)?;
    }
    Ok(tree.loaded)
}

struct Tree {
    files: HashMap<String, PathBuf>,
    built_in: Vec<String>,
    loaded: Vec<Module>,
}

impl Tree {
    fn find(&mut self, directory: &Path) -> Result<()> {
        let shown = || format!("listing {}", directory.display());
        for entry in fs::read_dir(directory).with_context(shown)? {
            let path = entry.with_context(shown)?.path();
            if path.is_dir() {
                self.find(&path)?;
            } else if let Some(name) = name(&path) {
                self.files.insert(name, path);
            }
        }
        Ok(())
    }

    /// Adds a module after those that it needs.
    fn add(&mut self, wanted: &str) -> Result<()> {
        let here = |name: &String| name == wanted;
        if self.built_in.iter().any(here) || self.loaded.iter().any(|m| here(&m.name)) {
            return Ok(());
        }
        let file = self.files.get(wanted);
        let file = file.with_context(|| format!("this kernel has no module {wanted}"))?;
        let content = read(file)?;
        for needed in needs(&content) {
            self.add(&needed)?;
        }
        self.loaded.push(Module {
            name: wanted.to_owned(),
            content,
        });
        Ok(())
    }
}

/// A module's name by its file, as modprobe(8) spells it.
fn name(file: &Path) -> Option<String> {
    let file = file.file_name()?.to_str()?;
    let (name, extension) = file.split_once('.')?;
    extension.starts_with("ko").then(|| name.replace('-', "_"))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_none_or(|extension| extension != "xz") {
        return fs::read(file).with_context(|| format!("reading {}", file.display()));
    }
    let unpacked = Command::new("xz")
        .args(["--decompress", "--stdout"])
        .arg(file)
        .output();
    let unpacked = unpacked.context("starting xz")?;
    if !unpacked.status.success() {
        bail!("xz can't unpack {}", file.display());
    }
    Ok(unpacked.stdout)
}

/// The entry `depends=a,b` among the zero-terminated strings of the section .modinfo.
fn needs(module: &[u8]) -> Vec<String> {
    let mut strings = module.split(|&byte| byte == 0);
    let depends = strings.find_map(|string| string.strip_prefix(b"depends="));
    let depends = String::from_utf8_lossy(depends.unwrap_or_default()).into_owned();
    let names = depends.split(',').filter(|name| !name.is_empty());
    names.map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needed_modules_are_read_from_modinfo() {
        let module = b"\x7fELF...\0license=GPL\0depends=virtio,virtio-ring\0retpoline=Y\0";
        assert_eq!(needs(module), ["virtio", "virtio_ring"]);
        assert_eq!(needs(b"license=GPL\0depends=\0"), Vec::<String>::new());
    }

    #[test]
    fn a_module_has_one_name_however_its_file_is_called() {
        assert_eq!(
            name(Path::new("kernel/drivers/virtio-pci.ko.xz")).unwrap(),
            "virtio_pci"
        );
        assert_eq!(name(Path::new("virtio_pci.ko")).unwrap(), "virtio_pci");
        assert_eq!(name(Path::new("modules.order")), None);
    }
}
