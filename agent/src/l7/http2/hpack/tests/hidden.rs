//! What is left when something was missed, or is more than is kept.

use super::*;

#[test]
fn what_was_inserted_before_is_hidden_and_what_comes_after_is_known() {
    let mut reader = Reader::late();
    // The second and third request of appendix C.4.
    assert_eq!(
        reader.read(&bytes(CODED_REQUESTS[1])).unwrap(),
        [
            ":method: GET",
            ":scheme: http",
            ":path: /",
            "?",
            "cache-control: no-cache"
        ]
    );
    assert_eq!(
        reader.read(&bytes(CODED_REQUESTS[2])).unwrap(),
        [
            ":method: GET",
            ":scheme: https",
            ":path: /index.html",
            "?",
            "custom-key: custom-value"
        ]
    );
    assert_eq!(
        reader.read(&[0xbe, 0xbf, 0xc0]).unwrap(),
        ["custom-key: custom-value", "cache-control: no-cache", "?"]
    );
}

#[test]
fn a_hidden_name_hides_its_value_and_keeps_its_place() {
    let mut reader = Reader::late();
    // A value of our own for a name at index 70, inserted; then another entry.
    assert_eq!(reader.read(&[0x7f, 7, 1, b'v']).unwrap(), ["?"]);
    assert_eq!(reader.read(&[0x40, 1, b'a', 1, b'b']).unwrap(), ["a: b"]);
    assert_eq!(reader.read(&[0xbe, 0xbf]).unwrap(), ["a: b", "?"]);
}

#[test]
fn an_index_beyond_a_table_that_is_known_is_a_mistake() {
    let mut reader = Reader::new();
    assert_eq!(reader.read(&[0xbe]), Err(Error::Index));
    assert_eq!(reader.read(&[0x80]), Err(Error::Index));
    let mut reader = Reader::late();
    assert_eq!(reader.read(&[0xbe]).unwrap(), ["?"]);
    // The encoder empties its table: from here on, all of it is known.
    assert_eq!(reader.read(&[0x20, 0xbe]), Err(Error::Index));
}

#[test]
fn tables_take_no_more_memory_than_all_may() {
    let mut reader = Reader::new();
    reader.memory.tables.all = 200;
    for number in 0..10_u8 {
        reader.read(&[0x40, 1, b'a', 1, number]).unwrap();
        assert!(size(&reader) <= 200);
    }
    let newest = reader.read(&[0xbe, 0xc3]).unwrap();
    assert_eq!(newest, ["a: \\t", "?"]);
    let Reader { decoder, memory } = &mut reader;
    decoder.forget(memory);
    assert_eq!(size(&reader), 0);
}

#[test]
fn a_larger_table_than_is_kept_hides_its_oldest_entries() {
    let mut reader = Reader::new();
    reader.read(&[0x3f, 0xe1, 0xff, 0x3f]).unwrap();
    for _ in 0..3 {
        let entry = [
            &[0x40, 1, b'a', 0x7f, 0xd1, 0xb6, 1][..],
            &vec![b'x'; 23_504],
        ]
        .concat();
        reader.read(&entry).unwrap();
    }
    assert!(reader.read(&[0xbf]).unwrap()[0].starts_with("a: xxx"));
    assert_eq!(reader.read(&[0xc0]).unwrap(), ["?"]);
}
