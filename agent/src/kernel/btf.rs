//! The running kernel's own description of its types: where a field stands, what a tracepoint
//! passes.
//!
//! aya looks types up by name only, so the members are read here. The format is that of
//! Documentation/bpf/btf.rst: a header, a section of variable-length types numbered from 1, and
//! a section of NUL-terminated strings.

mod enumeration;

use std::{collections::HashMap, fs, io, path::Path};

use sonde_common::field::{self, ABSENT};

/// Why the kernel's types can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("the kernel needs CONFIG_DEBUG_INFO_BTF=y: can't read {path}: {source}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is no BTF.
    #[error("malformed BTF: {0}")]
    Malformed(&'static str),
}

const MAGIC: u16 = 0xeb9f;

/// `BTF_KIND_*` of include/uapi/linux/btf.h.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// Types of a kernel.
#[derive(Debug)]
pub struct Btf {
    data: Vec<u8>,
    strings: usize,
    /// Position of each type by its id; entry 0 is `void`.
    types: Vec<usize>,
    /// Structures, and tracepoint prototypes (`btf_trace_*` typedefs), by name.
    names: HashMap<String, u32>,
}

struct Type {
    kind: u32,
    /// Members or parameters.
    count: u32,
    /// `kind_flag`: member offsets carry a bit-field size.
    flag: bool,
    /// Type that this one refers to, or size.
    target: u32,
    /// Where members or parameters start.
    body: usize,
}

impl Btf {
    /// Reads `/sys/kernel/btf/vmlinux` below `sysfs`.
    pub fn read(sysfs: &Path) -> Result<Self, Error> {
        let path = sysfs.join("kernel/btf/vmlinux");
        let data = fs::read(&path).map_err(|source| Error::Read {
            path: path.display().to_string(),
            source,
        })?;
        Self::parse(data)
    }

    /// Parses BTF of this machine's byte order.
    pub fn parse(data: Vec<u8>) -> Result<Self, Error> {
        if u16_at(&data, 0) != Some(MAGIC) {
            return Err(Error::Malformed("no BTF magic in this byte order"));
        }
        let header = |offset| {
            u32_at(&data, offset)
                .map(|value| value as usize)
                .ok_or(Error::Malformed("header is cut off"))
        };
        let length = header(4)?;
        let (type_offset, type_length) = (header(8)?, header(12)?);
        let start = length + type_offset;
        let strings = length + header(16)?;
        if start + type_length > data.len() || strings > data.len() {
            return Err(Error::Malformed("sections are cut off"));
        }
        let mut btf = Self {
            data,
            strings,
            types: vec![0],
            names: HashMap::new(),
        };
        btf.index(start, start + type_length)?;
        Ok(btf)
    }

    fn index(&mut self, start: usize, end: usize) -> Result<(), Error> {
        let mut position = start;
        while position < end {
            let id =
                u32::try_from(self.types.len()).map_err(|_| Error::Malformed("too many types"))?;
            self.types.push(position);
            let item = self
                .at(position)
                .ok_or(Error::Malformed("a type is cut off"))?;
            let name = u32_at(&self.data, position).and_then(|offset| self.string(offset));
            if let Some(name) = name {
                let trace = item.kind == kind::TYPEDEF && name.starts_with("btf_trace_");
                if !name.is_empty() && (item.kind == kind::STRUCT || trace) {
                    self.names.entry(name.to_owned()).or_insert(id);
                }
            }
            let size = match item.kind {
                kind::INT | kind::VAR | kind::DECL_TAG => 4,
                kind::ARRAY => 12,
                kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => {
                    12 * item.count as usize
                }
                kind::ENUM | kind::FUNC_PROTO => 8 * item.count as usize,
                _ => 0,
            };
            position = item.body
                + if item.kind == kind::VAR || item.kind == kind::INT {
                    4
                } else {
                    size
                };
        }
        Ok(())
    }

    fn at(&self, position: usize) -> Option<Type> {
        let info = u32_at(&self.data, position + 4)?;
        Some(Type {
            kind: (info >> 24) & 0x1f,
            count: info & 0xffff,
            flag: info >> 31 != 0,
            target: u32_at(&self.data, position + 8)?,
            body: position + 12,
        })
    }

    fn string(&self, offset: u32) -> Option<&str> {
        let start = self.strings.checked_add(offset as usize)?;
        let rest = self.data.get(start..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }

    /// A type without its typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<Type> {
        // Longer chains than this are cycles of a broken file.
        for _ in 0..32 {
            let item = self.at(*self.types.get(id as usize).filter(|_| id != 0)?)?;
            match item.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = item.target;
                }
                _ => return Some(item),
            }
        }
        None
    }

    /// Byte offset of `path` (dotted members, `[N]` for an element of an array) in `structure`;
    /// `None` when this kernel has no such field, or it is a bit field that doesn't start on a byte.
    #[must_use]
    pub fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let bits = self.bit_offset(structure, path)?;
        (bits % 8 == 0).then_some(bits / 8)
    }

    /// The same in bits.
    #[must_use]
    pub fn bit_offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut item = self.resolve(*self.names.get(structure)?)?;
        let mut bits = 0;
        for part in path.split('.') {
            let (member, element) =
                match part.strip_suffix(']').and_then(|part| part.split_once('[')) {
                    Some((member, number)) => (member, Some(number.parse().ok()?)),
                    None => (part, None),
                };
            let (offset, target) = self.member(&item, member, 0)?;
            bits += offset;
            item = self.resolve(target)?;
            if let Some(number) = element {
                let (offset, of) = self.element(&item, number)?;
                bits += offset;
                item = of;
            }
        }
        Some(bits)
    }

    /// Bit offset and type of an array's element.
    fn element(&self, array: &Type, number: u32) -> Option<(u32, Type)> {
        if array.kind != kind::ARRAY || number >= u32_at(&self.data, array.body + 8)? {
            return None;
        }
        let item = self.resolve(u32_at(&self.data, array.body)?)?;
        let sized = matches!(
            item.kind,
            kind::INT | kind::STRUCT | kind::UNION | kind::ENUM
        );
        let bits = item.target.checked_mul(8)?.checked_mul(number)?;
        sized.then_some((bits, item))
    }

    /// Number of a structure among the types.
    #[must_use]
    pub fn structure(&self, name: &str) -> Option<u32> {
        let id = *self.names.get(name)?;
        (self.resolve(id)?.kind == kind::STRUCT).then_some(id)
    }

    /// Number of a function among the types. There are too many to keep the names of all.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<u32> {
        let found = self.types.iter().skip(1).position(|position| {
            self.at(*position)
                .is_some_and(|item| item.kind == kind::FUNC)
                && u32_at(&self.data, *position).and_then(|offset| self.string(offset))
                    == Some(name)
        });
        u32::try_from(found? + 1).ok()
    }

    /// Size of a structure in bytes.
    #[must_use]
    pub fn size(&self, structure: &str) -> Option<u32> {
        let item = self.resolve(*self.names.get(structure)?)?;
        (item.kind == kind::STRUCT).then_some(item.target)
    }

    /// Places of the lengths of all arrays that have this one, in the file.
    pub(super) fn array_lengths(&self, length: u32) -> impl Iterator<Item = usize> {
        let arrays = self.types.iter().skip(1).filter_map(|position| {
            let item = self.at(*position)?;
            (item.kind == kind::ARRAY).then_some(item.body + 8)
        });
        arrays.filter(move |place| u32_at(&self.data, *place) == Some(length))
    }

    /// Bit offset and type of a member, also inside anonymous members.
    fn member(&self, item: &Type, name: &str, depth: u32) -> Option<(u32, u32)> {
        if depth > 16 || !matches!(item.kind, kind::STRUCT | kind::UNION) {
            return None;
        }
        for index in 0..item.count as usize {
            let position = item.body + 12 * index;
            let label = self.string(u32_at(&self.data, position)?)?;
            let target = u32_at(&self.data, position + 4)?;
            let raw = u32_at(&self.data, position + 8)?;
            let offset = if item.flag { raw & 0xff_ffff } else { raw };
            if label == name {
                return Some((offset, target));
            }
            if label.is_empty()
                && let Some(inner) = self.resolve(target)
                && let Some((more, target)) = self.member(&inner, name, depth + 1)
            {
                return Some((offset + more, target));
            }
        }
        None
    }

    /// Number of arguments of a tracepoint, without the leading `void *`; `None` when this
    /// kernel has no such tracepoint.
    #[must_use]
    pub fn tracepoint_arguments(&self, name: &str) -> Option<u32> {
        Some(self.prototype(name)?.count.saturating_sub(1))
    }

    /// Whether argument `index` of a tracepoint is a pointer.
    #[must_use]
    pub fn argument_is_pointer(&self, name: &str, index: u32) -> Option<bool> {
        let prototype = self.prototype(name)?;
        if index + 1 >= prototype.count {
            return None;
        }
        let position = prototype.body + 8 * (index as usize + 1);
        let target = u32_at(&self.data, position + 4)?;
        Some(self.resolve(target)?.kind == kind::PTR)
    }

    fn prototype(&self, name: &str) -> Option<Type> {
        let pointer = self.resolve(*self.names.get(&format!("btf_trace_{name}"))?)?;
        let prototype = self.resolve(pointer.target)?;
        (pointer.kind == kind::PTR && prototype.kind == kind::FUNC_PROTO).then_some(prototype)
    }

    /// Offsets of all fields that the kernel programs read, by [`field::Field`]; [`ABSENT`]
    /// where this kernel has none.
    #[must_use]
    pub fn offsets(&self) -> [u32; field::COUNT] {
        let mut offsets = [ABSENT; field::COUNT];
        for (offset, path) in offsets.iter_mut().zip(field::PATHS) {
            let found = path
                .members
                .iter()
                .find_map(|members| self.offset(path.structure, members));
            *offset = found.unwrap_or(ABSENT);
        }
        offsets
    }
}

fn u16_at(data: &[u8], offset: usize) -> Option<u16> {
    let bytes = data.get(offset..offset + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

fn u32_at(data: &[u8], offset: usize) -> Option<u32> {
    let bytes = data.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests;
