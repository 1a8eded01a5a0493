//! Finds functions by name in an ELF file's symbol tables.
//!
//! The tables are read as streams: first the strings, for the places at which the wanted names
//! stand, then the symbols that refer to those places. So it takes no memory to speak of, however
//! large the program is.

use std::{collections::HashMap, ops::Range};

use object::{
    LittleEndian as LE,
    elf::{SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB, STT_FUNC, Sym64},
    pod,
};

use super::elf::{Error, Image, Section};

/// Bytes that are read at one time.
const CHUNK: usize = 64 << 10;
/// Longest name that is looked for, with its final NUL.
const NAME: usize = 64;
/// Longest table that is read: that of a browser with all its symbols has a few hundred megabytes.
const TABLE: u64 = 512 << 20;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// Where it is, as the file counts addresses.
    pub(super) address: u64,
    /// Its length in bytes; 0 where the table doesn't tell.
    pub(super) size: u64,
}

/// The functions of these names that the file itself defines.
pub(super) fn find(
    image: &Image<'_>,
    names: &[&'static str],
) -> Result<HashMap<&'static str, Function>, Error> {
    debug_assert!(names.iter().all(|name| name.len() < NAME));
    let mut found = HashMap::new();
    let tables = image
        .sections()
        .iter()
        .filter(|section| [SHT_SYMTAB, SHT_DYNSYM].contains(&section.kind));
    for table in tables {
        let strings = image
            .sections()
            .get(table.link as usize)
            .ok_or(Error::Malformed("a symbol table without strings"))?;
        if table.size > TABLE || strings.size > TABLE {
            return Err(Error::Malformed("a symbol table beyond every measure"));
        }
        let end = strings.offset.saturating_add(strings.size);
        let places = places(image, strings.offset..end, names)?;
        if !places.is_empty() {
            functions(image, table, &places, &mut found)?;
        }
    }
    Ok(found)
}

/// Where the names stand in a table of strings, counted from its beginning. A name may be the end of
/// a longer one, which the linker lets them share.
pub(super) fn places(
    image: &Image<'_>,
    strings: Range<u64>,
    names: &[&'static str],
) -> Result<HashMap<u32, &'static str>, Error> {
    let mut places = HashMap::new();
    let mut window = vec![0; NAME + CHUNK];
    // Where in the file the window begins, and how much of the last chunk is kept there.
    let (mut begins, mut kept) = (strings.start, 0);
    while begins + (kept as u64) < strings.end {
        let offset = begins + kept as u64;
        let length = CHUNK.min(usize::try_from(strings.end - offset).unwrap_or(CHUNK));
        let count = image.read_offset(offset, &mut window[kept..kept + length])?;
        if count == 0 {
            break;
        }
        let end = kept + count;
        for nul in (kept..end).filter(|place| window[*place] == 0) {
            let before = &window[..nul];
            for name in names
                .iter()
                .filter(|name| before.ends_with(name.as_bytes()))
            {
                let place = begins + (nul - name.len()) as u64 - strings.start;
                if let Ok(place) = u32::try_from(place) {
                    places.insert(place, *name);
                }
            }
        }
        kept = end.min(NAME);
        window.copy_within(end - kept..end, 0);
        begins += (end - kept) as u64;
    }
    Ok(places)
}

/// Adds the functions whose names stand at `places`.
fn functions(
    image: &Image<'_>,
    table: &Section,
    places: &HashMap<u32, &'static str>,
    found: &mut HashMap<&'static str, Function>,
) -> Result<(), Error> {
    const SYMBOL: usize = size_of::<Sym64<LE>>();
    let mut chunk = vec![0; CHUNK / SYMBOL * SYMBOL];
    let mut done = 0;
    while done < table.size {
        let length = chunk
            .len()
            .min(usize::try_from(table.size - done).unwrap_or(CHUNK));
        let offset = table.offset.saturating_add(done);
        let count = image.read_offset(offset, &mut chunk[..length])?;
        if count < SYMBOL {
            break;
        }
        for bytes in chunk[..count].chunks_exact(SYMBOL) {
            let Ok((symbol, _)) = pod::from_bytes::<Sym64<LE>>(bytes) else {
                continue;
            };
            if let Some(name) = places.get(&symbol.st_name.get(LE))
                && symbol.st_info & 0xf == STT_FUNC
                && symbol.st_shndx.get(LE) != SHN_UNDEF
            {
                let function = Function {
                    address: symbol.st_value.get(LE),
                    size: symbol.st_size.get(LE),
                };
                // Of two that say the same, the one that knows its length.
                let known = found.entry(*name).or_insert(function);
                if known.size == 0 {
                    *known = function;
                }
            }
        }
        done += (count / SYMBOL * SYMBOL) as u64;
    }
    Ok(())
}
