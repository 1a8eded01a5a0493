//! Calls of `bpf_rdonly_cast` (kernel 6.2), by which programs read through pointers of which the
//! verifier doesn't know the type, without a helper each time; see `ebpf/src/kernel/cast.rs`.

use std::io;

use aya_obj::generated::bpf_insn;
use object::{LittleEndian, Object as _, ObjectSection as _, SectionKind, read::elf::ElfFile64};
use sonde_common::{
    cast::PLACEHOLDER,
    field::{self, Field},
};

use crate::kernel::{
    feature::Kernel,
    sys::program::{self, Target},
};

const MOV: u8 = 0xb7;
/// A load of 8 bytes.
const LOAD: u8 = 0x79;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
/// `BPF_PSEUDO_KFUNC_CALL`: the call is of a function of the kernel.
const OF_KERNEL: u8 = 2;

/// What casts of this kernel are made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cast {
    /// Number of `bpf_rdonly_cast` among the kernel's types.
    function: u32,
    /// That of `struct files_struct`.
    pub(super) files: u32,
}

impl Cast {
    /// Where the kernel has the function, and lets programs call it: that takes a JIT compiler that is
    /// switched on.
    pub(super) fn of(kernel: &Kernel, offsets: &[u32; field::COUNT]) -> Option<Self> {
        let btf = kernel.btf.as_ref().ok()?;
        if !kernel.is_at_least(6, 2) {
            return None;
        }
        let cast = Self {
            function: btf.function("bpf_rdonly_cast")?,
            files: btf.structure("files_struct")?,
        };
        match cast.try_out(offsets) {
            Ok(()) => Some(cast),
            Err(error) => {
                tracing::debug!(%error, "no bpf_rdonly_cast: memory is read by helpers");
                None
            }
        }
    }

    /// Loads a program that does what all do with it: it takes something for files, and loads the
    /// operations of the first of them.
    fn try_out(self, offsets: &[u32; field::COUNT]) -> io::Result<()> {
        let number = |value: u32| value.cast_signed();
        let offset = |field: Field| {
            let offset = offsets[field as usize];
            i16::try_from(offset).map_err(|_| io::Error::other(format!("{field:?} at {offset}")))
        };
        let program = [
            instruction(MOV, 1, 0, 0, 0),
            instruction(MOV, 2, 0, 0, number(self.files)),
            instruction(CALL, 0, OF_KERNEL, 0, number(self.function)),
            instruction(LOAD, 0, 0, offset(Field::FilesFdArray)?, 0),
            instruction(LOAD, 0, 0, offset(Field::FileOp)?, 0),
            instruction(MOV, 0, 0, 0, 0),
            instruction(EXIT, 0, 0, 0, 0),
        ];
        program::load(Target::RawTracepoint, "cast", c"GPL", &program).map(drop)
    }

    /// Puts the calls into an object's code.
    pub(super) fn write(self, object: &mut [u8]) {
        let [a, b, c, d] = self.function.to_le_bytes();
        for place in placeholders(object).unwrap_or_default() {
            if let Some(bytes) = object.get_mut(place..place + 8) {
                bytes.copy_from_slice(&[CALL, OF_KERNEL << 4, 0, 0, a, b, c, d]);
            }
        }
    }
}

/// Where in an object the calls stand that are to be replaced.
fn placeholders(object: &[u8]) -> Option<Vec<usize>> {
    let [a, b, c, d] = PLACEHOLDER.to_le_bytes();
    let wanted = [CALL, 0, 0, 0, a, b, c, d];
    let file = ElfFile64::<LittleEndian>::parse(object).ok()?;
    let code = file
        .sections()
        .filter(|section| section.kind() == SectionKind::Text);
    let mut places = Vec::new();
    for section in code {
        let start = usize::try_from(section.file_range()?.0).ok()?;
        let instructions = section.data().ok()?.chunks_exact(8).enumerate();
        let found = instructions.filter(|(_, instruction)| *instruction == wanted);
        places.extend(found.map(|(index, _)| start + 8 * index));
    }
    Some(places)
}

fn instruction(code: u8, to: u8, from: u8, offset: i16, value: i32) -> bpf_insn {
    bpf_insn {
        code,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(to, from),
        off: offset,
        imm: value,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::object::OBJECT, *};

    #[test]
    fn calls_are_put_in_the_place_of_all_placeholders_and_of_nothing_else() {
        let places = placeholders(OBJECT).expect("the object is an ELF file");
        assert!(!places.is_empty());
        let cast = Cast {
            function: 0x0001_ffce,
            files: 1,
        };
        let mut written = OBJECT.to_vec();
        cast.write(&mut written);
        assert_eq!(placeholders(&written), Some(Vec::new()));
        let changed = OBJECT.chunks(8).zip(written.chunks(8));
        let changed = changed.filter(|(before, after)| before != after);
        let calls: Vec<_> = changed.map(|(_, after)| after.to_vec()).collect();
        assert_eq!(
            calls,
            vec![[0x85, 0x20, 0, 0, 0xce, 0xff, 1, 0]; places.len()]
        );
    }
}
