//! ELF files of other people's programs: headers, and bytes by address.
//!
//! Only what is needed is read, at its place: a program may have 100 MB. What a file says of itself
//! is not trusted; every size has a bound.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use object::{
    LittleEndian as LE,
    elf::{
        ELFCLASS64, ELFDATA2LSB, EM_AARCH64, EM_X86_64, FileHeader64, PF_X, PT_LOAD,
        ProgramHeader64, SHT_NOBITS, SectionHeader64,
    },
    pod::{self, Pod},
};

/// Machine of the programs that run here natively.
const MACHINE: u16 = if cfg!(target_arch = "aarch64") {
    EM_AARCH64
} else {
    EM_X86_64
};

/// Most program headers and sections that are looked at, and longest table of section names.
const SEGMENTS: u16 = 256;
const SECTIONS: u16 = 16_384;
const SECTION_NAMES: u64 = 1 << 20;

/// Why a file isn't looked at.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It can't be read.
    #[error("can't be read: {0}")]
    Read(#[from] io::Error),
    /// It isn't an ELF file of this machine's 64-bit kind.
    #[error("no ELF file for this machine")]
    Foreign,
    /// Its headers contradict themselves or are beyond every bound.
    #[error("malformed: {0}")]
    Malformed(&'static str),
}

/// A part of the file that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    offset: u64,
    address: u64,
    size: u64,
    executable: bool,
}

/// A section: a range of the file with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) kind: u32,
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) link: u32,
}

/// An ELF file.
#[derive(Debug)]
pub(super) struct Image<'a> {
    file: &'a File,
    segments: Vec<Segment>,
    sections: Vec<Section>,
}

impl<'a> Image<'a> {
    /// Reads the headers.
    pub(super) fn parse(file: &'a File) -> Result<Self, Error> {
        let mut head = [0; size_of::<FileHeader64<LE>>()];
        match file.read_exact_at(&mut head, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Error::Foreign);
            }
            result => result?,
        }
        let (header, _) =
            pod::from_bytes::<FileHeader64<LE>>(&head).map_err(|()| Error::Foreign)?;
        let identity = header.e_ident;
        if identity.magic != [0x7f, b'E', b'L', b'F']
            || identity.class != ELFCLASS64
            || identity.data != ELFDATA2LSB
            || header.e_machine.get(LE) != MACHINE
        {
            return Err(Error::Foreign);
        }
        Ok(Self {
            file,
            segments: segments(file, header)?,
            sections: sections(file, header)?,
        })
    }

    /// The section called `name`.
    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// All sections, in the file's order.
    pub(super) fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Where in the file the code at `address` stands: what a uprobe wants. By the segments, which
    /// the kernel loads by, rather than by the sections.
    pub(super) fn code_offset(&self, address: u64) -> Option<u64> {
        let executable = self.segments.iter().filter(|segment| segment.executable);
        place(executable, address).map(|(offset, _)| offset)
    }

    /// Reads what is loaded at `address`; how many of the bytes there are in the file.
    pub(super) fn read_address(&self, address: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let Some((offset, left)) = place(&self.segments, address) else {
            return Ok(0);
        };
        let length = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.read_offset(offset, &mut bytes[..length])
    }

    /// Reads from `offset` of the file on; how many bytes there were.
    pub(super) fn read_offset(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        read_at(self.file, offset, bytes)
    }

    /// The code from `address` on, at most `length` bytes of it.
    pub(super) fn code(&self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut code = vec![0; length];
        let found = self.read_address(address, &mut code)?;
        code.truncate(found);
        Ok(code)
    }
}

/// The file offset of an address, and how many bytes of the segment there are from there on.
fn place<'s>(segments: impl IntoIterator<Item = &'s Segment>, address: u64) -> Option<(u64, u64)> {
    segments.into_iter().find_map(|segment| {
        let into = address.checked_sub(segment.address)?;
        let left = segment.size.checked_sub(into).filter(|left| *left > 0)?;
        Some((segment.offset.checked_add(into)?, left))
    })
}

/// Reads until the bytes are full or the file ends.
fn read_at(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// A table of `count` records at `offset`.
fn table<T: Pod>(file: &File, offset: u64, count: u16) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; usize::from(count) * size_of::<T>()];
    if read_at(file, offset, &mut bytes)? < bytes.len() {
        return Err(Error::Malformed("a table of headers ends with the file"));
    }
    Ok(bytes)
}

fn records<T: Pod + Copy>(bytes: &[u8]) -> impl Iterator<Item = &T> {
    bytes
        .chunks_exact(size_of::<T>())
        .filter_map(|chunk| pod::from_bytes::<T>(chunk).ok().map(|(record, _)| record))
}

fn segments(file: &File, header: &FileHeader64<LE>) -> Result<Vec<Segment>, Error> {
    let count = header.e_phnum.get(LE);
    if count > SEGMENTS || usize::from(header.e_phentsize.get(LE)) != size_of::<Program>() {
        return Err(Error::Malformed("program headers"));
    }
    let bytes = table::<Program>(file, header.e_phoff.get(LE), count)?;
    let loaded = records::<Program>(&bytes).filter(|record| record.p_type.get(LE) == PT_LOAD);
    Ok(loaded
        .map(|record| Segment {
            offset: record.p_offset.get(LE),
            address: record.p_vaddr.get(LE),
            size: record.p_filesz.get(LE),
            executable: record.p_flags.get(LE) & PF_X != 0,
        })
        .collect())
}

type Program = ProgramHeader64<LE>;
type SectionRecord = SectionHeader64<LE>;

/// Files may be without sections (sstrip): they have no symbols then.
fn sections(file: &File, header: &FileHeader64<LE>) -> Result<Vec<Section>, Error> {
    let count = header.e_shnum.get(LE);
    if count == 0 {
        return Ok(Vec::new());
    }
    if count > SECTIONS || usize::from(header.e_shentsize.get(LE)) != size_of::<SectionRecord>() {
        return Err(Error::Malformed("sections"));
    }
    let bytes = table::<SectionRecord>(file, header.e_shoff.get(LE), count)?;
    let names = records::<SectionRecord>(&bytes)
        .nth(usize::from(header.e_shstrndx.get(LE)))
        .map(|record| (record.sh_offset.get(LE), record.sh_size.get(LE)))
        .filter(|(_, size)| *size <= SECTION_NAMES)
        .ok_or(Error::Malformed("names of sections"))?;
    let mut text = vec![0; usize::try_from(names.1).unwrap_or(0)];
    let length = read_at(file, names.0, &mut text)?;
    text.truncate(length);
    let name = |start: u32| {
        let rest = text.get(start as usize..).unwrap_or_default();
        let end = rest
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(rest.len());
        String::from_utf8_lossy(&rest[..end]).into_owned()
    };
    Ok(records::<SectionRecord>(&bytes)
        .map(|record| Section {
            name: name(record.sh_name.get(LE)),
            kind: record.sh_type.get(LE),
            address: record.sh_addr.get(LE),
            offset: record.sh_offset.get(LE),
            size: if record.sh_type.get(LE) == SHT_NOBITS {
                0
            } else {
                record.sh_size.get(LE)
            },
            link: record.sh_link.get(LE),
        })
        .collect())
}
