//! A string as it stands in a block (RFC 7541, section 5.2): plain or Huffman coded, not yet decoded.

use super::{Malformed, huffman, integer};

/// Decoded bytes of a wanted value at most; none of them has a use for more (the longest is `:path`, and a
/// method name of 1 KiB is nobody's). Longer values are told as such.
pub const MAX_VALUE: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    bytes: &'a [u8],
    huffman: bool,
}

impl<'a> Text<'a> {
    #[must_use]
    pub const fn plain(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            huffman: false,
        }
    }

    /// The bytes in the form in which they were sent.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.bytes
    }

    #[must_use]
    pub const fn is_huffman(self) -> bool {
        self.huffman
    }

    pub(super) fn decode(input: &mut &'a [u8]) -> Result<Self, Malformed> {
        let huffman = input.first().is_some_and(|byte| byte & 0x80 != 0);
        let length = integer::decode(input, 7)?;
        let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
        let (bytes, rest) = input.split_at_checked(length).ok_or(Malformed::Truncated)?;
        *input = rest;
        Ok(Self { bytes, huffman })
    }

    /// Length in decoded form. Costs a walk over Huffman coded bytes.
    pub fn length(self) -> Result<u32, Malformed> {
        if self.huffman {
            huffman::decoded_length(self.bytes)
        } else {
            u32::try_from(self.bytes.len()).map_err(|_| Malformed::Truncated)
        }
    }

    /// Gives the decoded text (`None` where it is longer than [`MAX_VALUE`]) and its decoded length to `then`.
    pub fn read<T>(self, then: impl FnOnce(Option<&[u8]>, u32) -> T) -> Result<T, Malformed> {
        if !self.huffman {
            let text = (self.bytes.len() <= MAX_VALUE).then_some(self.bytes);
            return Ok(then(text, self.length()?));
        }
        // The shortest code word has 5 bits. Most values are short; clearing the large buffer costs more than
        // decoding them.
        if self.bytes.len() <= 64 {
            self.read_within(&mut [0; 64 * 8 / 5 + 1], then)
        } else {
            self.read_within(&mut [0; MAX_VALUE], then)
        }
    }

    fn read_within<T>(
        self,
        buffer: &mut [u8],
        then: impl FnOnce(Option<&[u8]>, u32) -> T,
    ) -> Result<T, Malformed> {
        let mut length = 0_usize;
        huffman::decode(self.bytes, |byte| {
            if let Some(place) = buffer.get_mut(length) {
                *place = byte;
            }
            length = length.saturating_add(1);
        })?;
        let told = u32::try_from(length).map_err(|_| Malformed::Truncated)?;
        Ok(then(buffer.get(..length), told))
    }
}
