#![expect(clippy::cast_possible_truncation, reason = "the fixtures are small")]

use super::*;

/// Writes BTF as a compiler would: just enough for the tests.
struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
    next: u32,
}

impl Writer {
    fn new() -> Self {
        Self {
            types: Vec::new(),
            strings: vec![0],
            next: 1,
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        offset
    }

    fn item(&mut self, name: &str, kind: u32, count: u32, target: u32, body: &[u32]) -> u32 {
        let name = self.string(name);
        for word in [name, kind << 24 | count, target].iter().chain(body) {
            self.types.extend_from_slice(&word.to_ne_bytes());
        }
        self.next += 1;
        self.next - 1
    }

    fn structure(&mut self, name: &str, members: &[(&str, u32, u32)]) -> u32 {
        let body: Vec<u32> = members
            .iter()
            .flat_map(|(name, target, bits)| [self.string(name), *target, *bits])
            .collect();
        self.item(name, kind::STRUCT, members.len() as u32, 0, &body)
    }

    fn finish(self) -> Vec<u8> {
        let mut data = Vec::new();
        data.extend_from_slice(&MAGIC.to_ne_bytes());
        data.extend_from_slice(&[1, 0]);
        let lengths = [
            24,
            0,
            self.types.len() as u32,
            self.types.len() as u32,
            self.strings.len() as u32,
        ];
        for word in lengths {
            data.extend_from_slice(&word.to_ne_bytes());
        }
        data.extend_from_slice(&self.types);
        data.extend_from_slice(&self.strings);
        data
    }
}

fn sample() -> Vec<u8> {
    let mut writer = Writer::new();
    let int = writer.item("int", kind::INT, 0, 4, &[32]);
    let inner = writer.structure("", &[("first", int, 0), ("second", int, 32)]);
    let common = writer.structure("common", &[("port", int, 16), ("", inner, 64)]);
    writer.structure(
        "outer",
        &[("pad", int, 0), ("common", common, 128), ("odd", int, 3)],
    );
    let pointer = writer.item("", kind::PTR, 0, common, &[]);
    let arguments = [0, pointer, 0, pointer, 0, int];
    let (one, nine) = (writer.string("ONE"), writer.string("NINE"));
    // Declared somewhere without its members, defined elsewhere.
    writer.item("number", kind::ENUM, 0, 4, &[]);
    writer.item("number", kind::ENUM, 2, 4, &[one, 1, nine, 9]);
    let prototype = writer.item("", kind::FUNC_PROTO, 3, 0, &arguments);
    // As well named as the structure.
    writer.item("outer", kind::FUNC, 0, prototype, &[]);
    let pointer = writer.item("", kind::PTR, 0, prototype, &[]);
    writer.item("btf_trace_thing", kind::TYPEDEF, 0, pointer, &[]);
    writer.finish()
}

#[test]
fn members_are_found_through_nested_and_anonymous_structures() {
    let btf = Btf::parse(sample()).unwrap();
    assert_eq!(btf.offset("outer", "pad"), Some(0));
    assert_eq!(btf.offset("outer", "common.port"), Some(18));
    assert_eq!(btf.offset("outer", "common.second"), Some(16 + 8 + 4));
    assert_eq!(btf.offset("outer", "common.third"), None);
    assert_eq!(btf.offset("missing", "pad"), None);
    assert_eq!(
        btf.offset("outer", "odd"),
        None,
        "a bit field off a byte boundary"
    );
}

#[test]
fn tracepoint_prototypes_tell_count_and_kind_of_arguments() {
    let btf = Btf::parse(sample()).unwrap();
    assert_eq!(btf.tracepoint_arguments("thing"), Some(2));
    assert_eq!(btf.argument_is_pointer("thing", 0), Some(true));
    assert_eq!(btf.argument_is_pointer("thing", 1), Some(false));
    assert_eq!(btf.argument_is_pointer("thing", 2), None);
    assert_eq!(btf.tracepoint_arguments("other"), None);
}

#[test]
fn enumerations_name_numbers() {
    let btf = Btf::parse(sample()).unwrap();
    let expected = [(1, "ONE".to_owned()), (9, "NINE".to_owned())];
    assert_eq!(btf.enumeration("number"), expected);
    assert!(btf.enumeration("other").is_empty());
    assert!(btf.enumeration("outer").is_empty(), "a structure");
}

#[test]
fn structures_and_functions_have_numbers_of_their_own() {
    let btf = Btf::parse(sample()).unwrap();
    assert_eq!(btf.structure("common"), Some(3));
    assert_eq!(btf.structure("outer"), Some(4));
    assert_eq!(btf.structure("btf_trace_thing"), None, "a type definition");
    assert_eq!(btf.structure("missing"), None);
    assert_eq!(btf.function("outer"), Some(9));
    assert_eq!(btf.function("common"), None);
}

#[test]
fn every_cut_of_the_file_is_an_error_or_a_smaller_set_never_a_panic() {
    let whole = sample();
    for length in 0..whole.len() {
        if let Ok(btf) = Btf::parse(whole[..length].to_vec()) {
            let _ = btf.offset("outer", "common.second");
            let _ = btf.tracepoint_arguments("thing");
            let _ = btf.enumeration("number");
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let whole = sample();
    for index in 0..whole.len() {
        for value in [0x00, 0x01, 0x7f, 0xff] {
            let mut data = whole.clone();
            data[index] = value;
            if let Ok(btf) = Btf::parse(data) {
                let _ = btf.offset("outer", "common.second");
                let _ = btf.argument_is_pointer("thing", 1);
                let _ = btf.enumeration("number");
            }
        }
    }
}
