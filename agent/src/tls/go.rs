//! Go executables: version, functions, and where their code returns.

use std::collections::HashMap;

use super::{
    elf::{Error, Image},
    symbol::{self, Function},
};
use crate::probe::tls::GO;

mod buildinfo;
mod pclntab;
mod relocation;

pub(super) use buildinfo::Version;

/// What is known of a Go executable.
#[derive(Debug)]
pub(super) struct Executable {
    /// With which Go it was built.
    pub(super) version: Version,
    /// The functions of [`GO`] that it has.
    pub(super) functions: HashMap<&'static str, Function>,
}

/// Looks whether the file is a Go executable, and for the functions that are watched: in its symbols,
/// else in the table that the runtime itself walks stacks with, which no stripping takes away.
pub(super) fn inspect(image: &Image<'_>) -> Result<Option<Executable>, Error> {
    let Some(version) = buildinfo::version(image)? else {
        return Ok(None);
    };
    let names: Vec<_> = GO.iter().map(|target| target.symbol).collect();
    let mut functions = symbol::find(image, &names)?;
    if functions.is_empty() {
        functions = pclntab::find(image, &names)?;
    }
    Ok(Some(Executable { version, functions }))
}
