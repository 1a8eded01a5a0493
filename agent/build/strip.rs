//! Takes the debugger's information out of the object: three quarters of it, all of which the agent would
//! carry in its memory. The linker needs it, to make BTF of it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

/// Writes the object again without its DWARF.
pub(crate) fn strip(path: &Path) -> Result<()> {
    let name = path.display();
    let whole = fs::read(path).with_context(|| format!("cannot read {name}"))?;
    let stripped = without_dwarf(&whole)
        .with_context(|| format!("cannot take the debug information out of {name}"))?;
    fs::write(path, stripped).with_context(|| format!("cannot write {name}"))
}

fn without_dwarf(whole: &[u8]) -> object::build::Result<Vec<u8>> {
    let mut object = Builder::read(whole)?;
    for section in &mut object.sections {
        let name = section.name.as_slice();
        section.delete = name.starts_with(b".debug_") || name.starts_with(b".rel.debug_");
    }
    // LLVM has one table for the names of symbols and of sections, the builder one for each.
    let names = object.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = SHT_STRTAB;
    names.data = SectionData::SectionString;
    object.delete_orphans();
    let mut stripped = Vec::new();
    object.write(&mut stripped)?;
    Ok(stripped)
}
