//! Header decompression (RFC 7541) for somebody who may have come late.
//!
//! The outcome of a field is one of three: *known*, *unknown because older* than what was seen of the connection,
//! or the whole block is *malformed*. Nothing is guessed. The module knows no header by name and keeps no value:
//! a [`Vocabulary`] says which names are wanted and turns each wanted value into a 32-bit token; the table keeps
//! tokens and sizes only. It does not know frames, streams or calls.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::as_conversions)]

mod decoder;
mod dynamic_table;
mod huffman;
mod integer;
mod representation;
mod static_table;
mod text;

pub use decoder::{Decoder, Malformed};
pub use dynamic_table::MAX_HELD_ENTRIES;
pub use huffman::{Encoded, encode as encode_huffman};
pub use text::{MAX_VALUE, Text};

/// A header name that a [`Vocabulary`] wants: any number of its choice below [`Name::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(u8);

impl Name {
    /// Two numbers are kept back, for names not wanted and for names not known.
    pub const MAX: u8 = u8::MAX - 2;

    /// `None` above [`Name::MAX`].
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= Self::MAX {
            Some(Self(number))
        } else {
            None
        }
    }

    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// What the user of a [`Decoder`] wants from a header block, and what becomes of it.
pub trait Vocabulary {
    /// Whether a name is wanted. Must always give the same answer for the same name.
    fn name(&mut self, name: Text<'_>) -> Option<Name>;

    /// The same for a name of the static table, where a faster way exists.
    fn static_name(&mut self, index: usize, name: &'static [u8]) -> Option<Name> {
        let _ = index;
        self.name(Text::plain(name))
    }

    /// The length of a wanted name in bytes: the table's arithmetic needs it.
    fn name_length(&self, name: Name) -> u32;

    /// What [`Vocabulary::value`] would make of a value with this Huffman form, and its length when decoded, where both
    /// are known without decoding it.
    fn known_value(&mut self, name: Name, huffman: &[u8]) -> Option<(u32, u32)> {
        let _ = (name, huffman);
        None
    }

    /// Turns the value of a wanted field into what is kept of it. `None`: longer than [`MAX_VALUE`].
    fn value(&mut self, name: Name, value: Option<&[u8]>) -> u32;

    /// A wanted field of the block, in order.
    fn field(&mut self, name: Name, token: u32);

    /// A field whose name, or name and value, stand in the table and are older than what was seen.
    fn unknown(&mut self);
}
