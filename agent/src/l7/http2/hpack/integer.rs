//! Integers (RFC 7541 section 5.1) and the bytes they are read from.

use super::Error;

/// What is left of a header block.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte, which is not taken.
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// An integer that begins in the last `bits` of the next byte.
    pub(super) fn integer(&mut self, bits: u8) -> Result<u32, Error> {
        let full = u8::MAX >> (8 - bits);
        let first = self.byte()? & full;
        if first < full {
            return Ok(first.into());
        }
        let mut value = u64::from(full);
        // More than 32 bits need five bytes; zeros that lead nowhere may follow (`0x80 0x80 ...`)
        // and are refused like everything that is longer.
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Error::Integer);
            }
        }
        Err(Error::Integer)
    }

    /// A string literal (section 5.2): its bytes, and whether they are Huffman-coded.
    pub(super) fn string(&mut self) -> Result<(&'a [u8], bool), Error> {
        let coded = self.peek().is_some_and(|byte| byte & 0x80 != 0);
        let length = usize::try_from(self.integer(7)?).map_err(|_| Error::Integer)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Error::Truncated)?;
        self.0 = rest;
        Ok((bytes, coded))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let (byte, rest) = self.0.split_first().ok_or(Error::Truncated)?;
        self.0 = rest;
        Ok(*byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_examples_are_read() {
        assert_eq!(Input::new(&[0b1110_1010]).integer(5), Ok(10));
        assert_eq!(Input::new(&[0b0001_1111, 154, 10]).integer(5), Ok(1337));
        assert_eq!(Input::new(&[42]).integer(8), Ok(42));
    }

    #[test]
    fn what_is_longer_than_32_bits_is_refused() {
        let most = [0xff, 0x80, 0xfe, 0xff, 0xff, 0x0f];
        assert_eq!(Input::new(&most).integer(8), Ok(u32::MAX));
        let more = [0xff, 0x81, 0xfe, 0xff, 0xff, 0x0f];
        assert_eq!(Input::new(&more).integer(8), Err(Error::Integer));
        let endless = [0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0];
        assert_eq!(Input::new(&endless).integer(8), Err(Error::Integer));
        assert_eq!(Input::new(&[0xff, 0x80]).integer(8), Err(Error::Truncated));
    }

    #[test]
    fn a_string_must_be_whole() {
        let mut input = Input::new(&[2, b'h', b'i', 0x81, 0xff]);
        assert_eq!(input.string(), Ok((&b"hi"[..], false)));
        assert_eq!(input.string(), Ok((&[0xff][..], true)));
        assert_eq!(Input::new(&[3, b'h', b'i']).string(), Err(Error::Truncated));
    }
}
