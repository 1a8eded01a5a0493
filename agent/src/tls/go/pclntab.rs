//! The table of functions that Go's runtime walks stacks with (`runtime/symtab.go`, `pcHeader`,
//! `internal/abi/symtab.go`): it is there in stripped programs too.

use std::{collections::HashMap, ops::Range};

use super::{
    super::{
        elf::{Error, Image, Section},
        symbol::{self, Function},
    },
    relocation,
};

/// The first word of the table: which layout it has. 1.16 and 1.17.
const GO_1_16: u32 = 0xffff_fffa;
const GO_1_18: u32 = 0xffff_fff0;
const GO_1_20: u32 = 0xffff_fff1;

/// Largest table and most functions that are looked at.
const TABLE: u64 = 512 << 20;
const FUNCTIONS: u64 = 4 << 20;
/// Bytes that are read at one time.
const CHUNK: usize = 64 << 10;

/// Where the parts of the table are: offsets in the file.
struct Layout {
    /// Number of functions.
    functions: u64,
    /// Address that the functions' count from; they are absolute before 1.18.
    text: u64,
    /// Their names, each with a NUL behind it.
    names: Range<u64>,
    /// The list of their addresses, and the records behind it, which are counted from its beginning.
    list: u64,
    /// Bytes of each number in that list.
    width: usize,
}

/// The functions of these names; nothing where the table isn't of a kind that is known.
pub(super) fn find(
    image: &Image<'_>,
    names: &[&'static str],
) -> Result<HashMap<&'static str, Function>, Error> {
    let section = image
        .sections()
        .iter()
        .find(|section| section.name.ends_with(".gopclntab"));
    let Some(section) = section else {
        return Ok(HashMap::new());
    };
    let Some(layout) = layout(image, section)? else {
        return Ok(HashMap::new());
    };
    let places = symbol::places(image, layout.names.clone(), names)?;
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    functions(image, &layout, &places)
}

fn layout(image: &Image<'_>, section: &Section) -> Result<Option<Layout>, Error> {
    let mut header = [0; 8 + 8 * 8];
    if section.size > TABLE || image.read_offset(section.offset, &mut header)? < header.len() {
        return Err(Error::Malformed("Go's table of functions"));
    }
    let word = |index: usize| {
        let bytes = header.get(8 + 8 * index..16 + 8 * index);
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    let magic = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let pointer = header[7];
    let with_text = matches!(magic, GO_1_18 | GO_1_20);
    if pointer != 8 || !(with_text || magic == GO_1_16) {
        return Ok(None);
    }
    // Since 1.18 the beginning of the code comes third, and the rest one word later.
    let shift = usize::from(with_text);
    let text = if with_text {
        text_start(image, section, word(2))?
    } else {
        0
    };
    let (functions, names, next) = (word(0), word(2 + shift), word(3 + shift));
    let list = word(6 + shift);
    if functions > FUNCTIONS || names > next || next > section.size || list > section.size {
        return Err(Error::Malformed("Go's table of functions"));
    }
    Ok(Some(Layout {
        functions,
        text,
        names: section.offset + names..section.offset + next,
        list: section.offset + list,
        width: if with_text { 4 } else { 8 },
    }))
}

/// Where the code begins that functions are counted from. The header tells it until 1.25, by a
/// relocation where the program is position-independent; later the module's data do.
fn text_start(image: &Image<'_>, section: &Section, told: u64) -> Result<u64, Error> {
    /// Place of `text` in `runtime.moduledata` (1.26), in words.
    const TEXT: u64 = 22;
    if told != 0 {
        return Ok(told);
    }
    if let Some(module) = image.section(".go.module")
        && let Some(text) = relocation::word(image, module.address + 8 * TEXT)?
    {
        return Ok(text);
    }
    relocation::word(image, section.address + 8 + 16)?
        .ok_or(Error::Malformed("Go's code has no beginning"))
}

/// Goes through the list of functions, each an address and the place of its record; one more
/// address stands at the end.
fn functions(
    image: &Image<'_>,
    layout: &Layout,
    places: &HashMap<u32, &'static str>,
) -> Result<HashMap<&'static str, Function>, Error> {
    let width = layout.width as u64;
    let (mut list, mut records) = (Window::new(image), Window::new(image));
    let mut found = HashMap::new();
    for index in 0..layout.functions {
        let entry = layout.list + index * 2 * width;
        let (Some(address), Some(record), Some(next)) = (
            list.number(entry, layout.width)?,
            list.number(entry + width, layout.width)?,
            list.number(entry + 2 * width, layout.width)?,
        ) else {
            break;
        };
        // The record begins with the address once more; the name's place comes second.
        let name = layout.list.saturating_add(record).saturating_add(width);
        let Some(name) = records.number(name, 4)? else {
            continue;
        };
        if let Some(name) = u32::try_from(name).ok().and_then(|at| places.get(&at)) {
            let function = Function {
                address: layout.text.wrapping_add(address),
                size: next.saturating_sub(address),
            };
            found.insert(*name, function);
            if found.len() == places.len() {
                break;
            }
        }
    }
    Ok(found)
}

/// A part of the file in memory: places are asked for nearly in order.
struct Window<'a> {
    image: &'a Image<'a>,
    begins: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(image: &'a Image<'a>) -> Self {
        Self {
            image,
            begins: 0,
            bytes: Vec::new(),
        }
    }

    /// The number of `width` bytes, at most 8, at `offset`; `None` beyond the file's end.
    fn number(&mut self, offset: u64, width: usize) -> Result<Option<u64>, Error> {
        if !self.holds(offset, width) {
            self.bytes.resize(CHUNK, 0);
            let count = self.image.read_offset(offset, &mut self.bytes)?;
            self.bytes.truncate(count);
            self.begins = offset;
            if !self.holds(offset, width) {
                return Ok(None);
            }
        }
        let start = usize::try_from(offset - self.begins).unwrap_or(usize::MAX);
        let mut word = [0; 8];
        word[..width].copy_from_slice(&self.bytes[start..start + width]);
        Ok(Some(u64::from_le_bytes(word)))
    }

    fn holds(&self, offset: u64, width: usize) -> bool {
        let end = self.begins + self.bytes.len() as u64;
        offset >= self.begins && offset.saturating_add(width as u64) <= end
    }
}
