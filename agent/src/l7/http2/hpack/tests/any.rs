//! Blocks of any encoder, and of none.

use proptest::prelude::*;

use super::*;

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
