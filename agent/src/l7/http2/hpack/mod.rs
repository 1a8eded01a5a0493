//! Header compression: RFC 7541.
//!
//! A decoder of our own, because no other can go on when it has not seen everything: on a
//! connection that was open before, or after missed bytes, entries of the dynamic table are not
//! known. What refers to them is told as hidden, and the rest is right (see [`table`]). The size
//! that the peer's `SETTINGS_HEADER_TABLE_SIZE` allows is not needed for that: an encoder that uses
//! another one says so in the block (section 4.2).
//!
//! What fields are made into is up to a [`Digest`], so that the table holds what was read out of
//! a value rather than the value, and a field that comes again costs one look.

mod fixed;
mod huffman;
mod integer;
mod table;
#[cfg(test)]
mod tests;

pub(in crate::l7) use self::table::Budget;
use self::{integer::Input, table::Table};

/// Why a header block can't be read. The state of the compression is lost with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// It ends within a field.
    #[error("the block ends within a field")]
    Truncated,
    /// An integer has more than 32 bits.
    #[error("an integer is too long")]
    Integer,
    /// A string has the code of the end of string, or wrong padding.
    #[error("a string is not Huffman-coded as it says")]
    Huffman,
    /// An index of 0, or beyond the table.
    #[error("an index leads nowhere")]
    Index,
}

/// Makes something of header fields.
pub(super) trait Digest {
    /// What a name is made into.
    type Name: Clone;
    /// What a field is made into.
    type Field: Clone;

    /// Looks at a name.
    fn name(&mut self, name: &[u8]) -> Self::Name;
    /// Whether the values of such fields are looked at. Otherwise their text isn't decoded.
    fn wants(&self, name: &Self::Name) -> bool;
    /// Looks at a field; `value` is empty when it isn't wanted.
    fn field(&mut self, name: &Self::Name, value: &[u8]) -> Self::Field;
    /// Takes a field of the block.
    fn take(&mut self, field: &Self::Field);
    /// There is a field whose name or value is not known.
    fn hidden(&mut self);
}

/// An entry of the dynamic table; without a part that isn't known itself.
type Entry<N, F> = (Option<N>, Option<F>);

/// Decodes the header blocks of one direction of a connection, whose names are made into `N` and
/// whose fields into `F`.
#[derive(Debug)]
pub(super) struct Decoder<N, F> {
    table: Table<Entry<N, F>>,
}

/// What decoders share.
#[derive(Debug)]
pub(in crate::l7) struct Memory {
    /// Tables of all connections.
    pub(in crate::l7) tables: Budget,
    /// A string while it is decoded.
    text: Vec<u8>,
}

impl Memory {
    /// Tables may take so many bytes, by the RFC's measure of size.
    pub(in crate::l7) const fn new(tables: usize) -> Self {
        Self {
            tables: Budget {
                all: tables,
                used: 0,
            },
            text: Vec::new(),
        }
    }
}

/// A name, and how many bytes it has: 0 when that isn't known.
type Named<N> = (Option<N>, u32);

impl<N: Clone, F: Clone> Decoder<N, F> {
    /// At the beginning of a connection.
    pub(super) const fn new() -> Self {
        Self {
            table: Table::new(),
        }
    }

    /// Somewhere on a connection.
    pub(super) const fn late() -> Self {
        Self {
            table: Table::late(),
        }
    }

    /// Blocks were missed, and what they inserted.
    pub(super) fn forget(&mut self, memory: &mut Memory) {
        self.table.forget(&mut memory.tables);
    }

    /// Reads a whole block; its fields go to `digest`, those before a mistake too.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        digest: &mut impl Digest<Name = N, Field = F>,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let mut input = Input::new(block);
        while let Some(first) = input.peek() {
            match first {
                // Section 6.1: indexed field.
                0x80.. => {
                    let index = input.integer(7)?;
                    self.indexed(index, digest)?;
                }
                // Section 6.2.1: literal with incremental indexing.
                0x40.. => {
                    let (name, name_length) =
                        self.name(input.integer(6)?, &mut input, digest, memory)?;
                    let (field, length) = value(name.as_ref(), true, &mut input, digest, memory)?;
                    let length = name_length.saturating_add(length);
                    self.table.insert((name, field), length, &mut memory.tables);
                }
                // Section 6.3: dynamic table size update.
                0x20.. => {
                    let max = input.integer(5)?;
                    self.table.resize(max, &mut memory.tables);
                }
                // Sections 6.2.2 and 6.2.3: literal without indexing, literal never indexed.
                _ => {
                    let (name, _) = self.name(input.integer(4)?, &mut input, digest, memory)?;
                    value(name.as_ref(), false, &mut input, digest, memory)?;
                }
            }
        }
        Ok(())
    }

    fn indexed(
        &self,
        index: u32,
        digest: &mut impl Digest<Name = N, Field = F>,
    ) -> Result<(), Error> {
        if let Some((name, value)) = fixed::field(index) {
            let name = digest.name(name.as_bytes());
            let field = digest.field(&name, value.as_bytes());
            digest.take(&field);
            return Ok(());
        }
        match self.dynamic(index)? {
            Some((_, Some(field))) => digest.take(field),
            Some((_, None)) | None => digest.hidden(),
        }
        Ok(())
    }

    /// An entry of the dynamic table; `None` when it isn't known.
    fn dynamic(&self, index: u32) -> Result<Option<&Entry<N, F>>, Error> {
        let back = index.checked_sub(fixed::LENGTH + 1).ok_or(Error::Index)?;
        match self.table.get(back) {
            Some(entry) => Ok(Some(entry)),
            None if self.table.is_complete() => Err(Error::Index),
            None => Ok(None),
        }
    }

    /// The name of a literal field, by its index, or from the block when that is 0.
    fn name(
        &self,
        index: u32,
        input: &mut Input<'_>,
        digest: &mut impl Digest<Name = N, Field = F>,
        memory: &mut Memory,
    ) -> Result<Named<N>, Error> {
        if index == 0 {
            let text = string(input, Want::Text, memory)?;
            let name = digest.name(text.bytes);
            return Ok((Some(name), text.length));
        }
        if let Some((name, _)) = fixed::field(index) {
            let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
            return Ok((Some(digest.name(name.as_bytes())), length));
        }
        let name = self.dynamic(index)?.and_then(|(name, _)| name.clone());
        Ok((name, 0))
    }
}

/// The value of a literal field, and its length when that matters: it is inserted, or looked at.
fn value<D: Digest>(
    name: Option<&D::Name>,
    inserted: bool,
    input: &mut Input<'_>,
    digest: &mut D,
    memory: &mut Memory,
) -> Result<(Option<D::Field>, u32), Error> {
    let want = match name {
        Some(name) if digest.wants(name) => Want::Text,
        _ if inserted => Want::Length,
        _ => Want::Nothing,
    };
    let text = string(input, want, memory)?;
    let field = name.map(|name| digest.field(name, text.bytes));
    match &field {
        Some(field) => digest.take(field),
        None => digest.hidden(),
    }
    Ok((field, text.length))
}

/// What is asked of a string literal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    /// Its bytes.
    Text,
    /// How many they are; the bytes are kept nowhere.
    Length,
    Nothing,
}

/// A string literal, as far as it was wanted.
struct Text<'a> {
    bytes: &'a [u8],
    length: u32,
}

fn string<'a: 't, 't>(
    input: &mut Input<'a>,
    want: Want,
    memory: &'t mut Memory,
) -> Result<Text<'t>, Error> {
    let (raw, coded) = input.string()?;
    let mut count = raw.len();
    let bytes = match want {
        Want::Text if coded => {
            memory.text.clear();
            let text = &mut memory.text;
            huffman::decode(raw, |byte| text.push(byte))?;
            count = text.len();
            text
        }
        Want::Text => raw,
        Want::Length if coded => {
            count = 0;
            huffman::decode(raw, |_| count += 1)?;
            &[]
        }
        Want::Length | Want::Nothing => &[],
    };
    Ok(Text {
        bytes,
        length: u32::try_from(count).unwrap_or(u32::MAX),
    })
}
