//! Words that the loader fills in: zero in the file of a position-independent executable.

use object::{
    LittleEndian as LE,
    elf::{R_AARCH64_RELATIVE, R_X86_64_RELATIVE, Rela64, SHT_RELA},
    pod,
};

use super::super::elf::{Error, Image};

/// Bytes that are read at one time: whole relocations.
const CHUNK: usize = (64 << 10) / size_of::<Rela64<LE>>() * size_of::<Rela64<LE>>();
/// Longest table of relocations that is read.
const TABLE: u64 = 256 << 20;

const RELATIVE: u32 = if cfg!(target_arch = "aarch64") {
    R_AARCH64_RELATIVE
} else {
    R_X86_64_RELATIVE
};

/// The word at `address`, as a program that is loaded at 0 would see it.
pub(super) fn word(image: &Image<'_>, address: u64) -> Result<Option<u64>, Error> {
    let mut bytes = [0; 8];
    if image.read_address(address, &mut bytes)? < bytes.len() {
        return Ok(None);
    }
    match u64::from_le_bytes(bytes) {
        0 => relative(image, address),
        word => Ok(Some(word)),
    }
}

/// What a relative relocation puts at `address`.
fn relative(image: &Image<'_>, address: u64) -> Result<Option<u64>, Error> {
    let tables = image.sections().iter();
    let tables = tables.filter(|section| section.kind == SHT_RELA && section.size <= TABLE);
    let mut chunk = vec![0; CHUNK];
    for table in tables {
        let mut done = 0;
        while done < table.size {
            let length = CHUNK.min(usize::try_from(table.size - done).unwrap_or(CHUNK));
            let offset = table.offset.saturating_add(done);
            let count = image.read_offset(offset, &mut chunk[..length])?;
            if count == 0 {
                break;
            }
            let records = chunk[..count].chunks_exact(size_of::<Rela64<LE>>());
            for record in records {
                if let Ok((record, _)) = pod::from_bytes::<Rela64<LE>>(record)
                    && record.r_offset.get(LE) == address
                    && record.r_type(LE, false) == RELATIVE
                {
                    return Ok(u64::try_from(record.r_addend.get(LE)).ok());
                }
            }
            done += count as u64;
        }
    }
    Ok(None)
}
