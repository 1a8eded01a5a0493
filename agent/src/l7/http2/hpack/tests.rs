//! The examples of RFC 7541, Appendix C, and what is left when something was missed.

use proptest::prelude::*;

use super::*;

type Pair = (Vec<u8>, Vec<u8>);

/// Keeps everything; `None` is a hidden field.
#[derive(Debug, Default, PartialEq, Eq)]
struct Everything(Vec<Option<Pair>>);

impl Digest for Everything {
    type Name = Vec<u8>;
    type Field = Pair;

    fn name(&mut self, name: &[u8]) -> Vec<u8> {
        name.to_vec()
    }

    fn wants(&self, _: &Vec<u8>) -> bool {
        true
    }

    fn field(&mut self, name: &Vec<u8>, value: &[u8]) -> Pair {
        (name.clone(), value.to_vec())
    }

    fn take(&mut self, field: &Pair) {
        self.0.push(Some(field.clone()));
    }

    fn hidden(&mut self) {
        self.0.push(None);
    }
}

struct Reader {
    decoder: Decoder<Vec<u8>, Pair>,
    memory: Memory,
}

impl Reader {
    fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            memory: Memory::new(1 << 20),
        }
    }

    fn late() -> Self {
        Self {
            decoder: Decoder::late(),
            ..Self::new()
        }
    }

    fn read(&mut self, block: &[u8]) -> Result<Vec<String>, Error> {
        let mut fields = Everything::default();
        self.decoder.decode(block, &mut fields, &mut self.memory)?;
        let text = |field: &Option<Pair>| match field {
            Some((name, value)) => {
                let (name, value) = (name.escape_ascii(), value.escape_ascii());
                format!("{name}: {value}")
            }
            None => "?".to_owned(),
        };
        Ok(fields.0.iter().map(text).collect())
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn size(reader: &Reader) -> usize {
    reader.memory.tables.used
}

/// Plays the blocks of an example: hex, the fields, and the table's size after it.
#[track_caller]
fn play(reader: &mut Reader, blocks: &[(&str, &[&str], usize)]) {
    for (hex, fields, table) in blocks {
        assert_eq!(reader.read(&bytes(hex)).unwrap(), *fields);
        assert_eq!(size(reader), *table);
    }
}

#[test]
fn appendix_c_2_single_fields() {
    let literal = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    play(
        &mut Reader::new(),
        &[(literal, &["custom-key: custom-header"], 55)],
    );
    let path = "040c 2f73 616d 706c 652f 7061 7468";
    play(&mut Reader::new(), &[(path, &[":path: /sample/path"], 0)]);
    let secret = "1008 7061 7373 776f 7264 0673 6563 7265 74";
    play(&mut Reader::new(), &[(secret, &["password: secret"], 0)]);
    play(&mut Reader::new(), &[("82", &[":method: GET"], 0)]);
}

const REQUESTS: [&[&str]; 3] = [
    &[
        ":method: GET",
        ":scheme: http",
        ":path: /",
        ":authority: www.example.com",
    ],
    &[
        ":method: GET",
        ":scheme: http",
        ":path: /",
        ":authority: www.example.com",
        "cache-control: no-cache",
    ],
    &[
        ":method: GET",
        ":scheme: https",
        ":path: /index.html",
        ":authority: www.example.com",
        "custom-key: custom-value",
    ],
];

#[test]
fn appendix_c_3_requests_without_huffman_coding() {
    play(
        &mut Reader::new(),
        &[
            (
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                REQUESTS[0],
                57,
            ),
            ("8286 84be 5808 6e6f 2d63 6163 6865", REQUESTS[1], 110),
            (
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
                REQUESTS[2],
                164,
            ),
        ],
    );
}

const CODED_REQUESTS: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

#[test]
fn appendix_c_4_requests_with_huffman_coding() {
    play(
        &mut Reader::new(),
        &[
            (CODED_REQUESTS[0], REQUESTS[0], 57),
            (CODED_REQUESTS[1], REQUESTS[1], 110),
            (CODED_REQUESTS[2], REQUESTS[2], 164),
        ],
    );
}

const RESPONSES: [&[&str]; 3] = [
    &[
        ":status: 302",
        "cache-control: private",
        "date: Mon, 21 Oct 2013 20:13:21 GMT",
        "location: https://www.example.com",
    ],
    &[
        ":status: 307",
        "cache-control: private",
        "date: Mon, 21 Oct 2013 20:13:21 GMT",
        "location: https://www.example.com",
    ],
    &[
        ":status: 200",
        "cache-control: private",
        "date: Mon, 21 Oct 2013 20:13:22 GMT",
        "location: https://www.example.com",
        "content-encoding: gzip",
        "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ],
];

/// The examples' table of 256 bytes, which makes entries leave.
fn small() -> Reader {
    let mut reader = Reader::new();
    let Reader { decoder, memory } = &mut reader;
    decoder.table.resize(256, &mut memory.tables);
    reader
}

#[test]
fn appendix_c_5_responses_without_huffman_coding() {
    play(
        &mut small(),
        &[
            (
                "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
                 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
                 6c65 2e63 6f6d",
                RESPONSES[0],
                222,
            ),
            ("4803 3330 37c1 c0bf", RESPONSES[1], 222),
            (
                "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
                 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
                 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
                 3d31",
                RESPONSES[2],
                215,
            ),
        ],
    );
}

#[test]
fn appendix_c_6_responses_with_huffman_coding() {
    play(
        &mut small(),
        &[
            (
                "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
                 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                RESPONSES[0],
                222,
            ),
            ("4883 640e ffc1 c0bf", RESPONSES[1], 222),
            (
                "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
                 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
                 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
                RESPONSES[2],
                215,
            ),
        ],
    );
}

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

/// Blocks of other encoders: files as in the http2jp hpack-test-case corpus.
#[test]
#[ignore = "needs a directory of stories in SONDE_HPACK_STORIES"]
fn stories_of_other_encoders_are_read() {
    let directory = std::env::var("SONDE_HPACK_STORIES").expect("a directory");
    let mut blocks = 0;
    for file in std::fs::read_dir(directory).expect("readable") {
        let text = std::fs::read(file.expect("a file").path()).expect("readable");
        let story: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        let mut reader = Reader::new();
        for case in story["cases"].as_array().expect("cases") {
            let expected = case["headers"].as_array().expect("headers").iter();
            let expected = expected.flat_map(|header| header.as_object().expect("a header"));
            let expected: Vec<_> = expected
                .map(|(name, value)| {
                    let value = value.as_str().expect("a value");
                    format!(
                        "{}: {}",
                        name.as_bytes().escape_ascii(),
                        value.as_bytes().escape_ascii()
                    )
                })
                .collect();
            let wire = bytes(case["wire"].as_str().expect("a block"));
            assert_eq!(reader.read(&wire), Ok(expected));
            blocks += 1;
        }
    }
    assert!(blocks > 0);
    println!("{blocks} blocks");
}

proptest! {
    #[test]
    fn any_block_is_read_or_refused(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..10),
        late: bool,
    ) {
        let mut reader = if late { Reader::late() } else { Reader::new() };
        for block in blocks {
            if reader.read(&block).is_err() {
                reader.decoder.forget(&mut reader.memory);
            }
        }
        reader.decoder.forget(&mut reader.memory);
        prop_assert_eq!(size(&reader), 0);
    }
}
