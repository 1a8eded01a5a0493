//! Blocks, read to lines of text.

mod any;
mod appendix_c;
mod hidden;

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

/// The blocks of appendix C.4.
const CODED_REQUESTS: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];
