//! From a header block to fields (RFC 7541, section 3).

use thiserror::Error;

use super::dynamic_table::{Content, DynamicTable, Lookup};
use super::representation::{NameForm, Representation};
use super::{Name, Text, Vocabulary, static_table};

/// The size of a table before anybody said anything (RFC 9113, section 6.5.2).
const DEFAULT_TABLE_SIZE: u32 = 4096;

/// No correct encoder makes such a block; or it is not the block of this connection that it was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    #[error("the block ends inside a field")]
    Truncated,
    #[error("an integer above 32 bits")]
    IntegerOverflow,
    #[error("an index beyond the table")]
    IndexBeyondTable,
    #[error("a bad Huffman code")]
    Huffman,
    #[error("a table size update behind the first field")]
    SizeUpdatePlace,
    #[error("a table size above what the other side allows")]
    SizeUpdateLimit,
}

/// Decodes the blocks of one direction of a connection. Whoever feeds it must tell of every block not fed, by
/// [`Decoder::lose`].
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// The largest table that the receiver of these blocks ever allowed; `None` where it was not seen. Never
    /// lowered: the sender may not have read the newer value yet.
    limit: Option<u32>,
    /// How often the table has changed, in whatever way.
    generation: u64,
}

/// What a literal's name turned out to be.
enum Meaning {
    Wanted(Name),
    Unwanted { length: u32 },
    Unknown,
}

impl Decoder {
    /// For a connection seen from its beginning.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            table: DynamicTable::new(DEFAULT_TABLE_SIZE),
            limit: Some(DEFAULT_TABLE_SIZE),
            generation: 0,
        }
    }

    /// For a connection older than the observer.
    #[must_use]
    pub const fn joined() -> Self {
        Self {
            table: DynamicTable::joined(),
            limit: None,
            generation: 0,
        }
    }

    /// Another number after every change of the table. Between two blocks with the same number, and none of another
    /// outcome than `Ok`, the same bytes mean the same fields: the table is all that a block depends on, but for table
    /// sizes, which change it.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// A block was not seen: it may have inserted anything and resized the table.
    pub fn lose(&mut self) {
        self.generation += 1;
        self.table = DynamicTable::joined();
    }

    /// The receiver of these blocks announced a table size.
    pub fn allow(&mut self, table_size: u32) {
        self.limit = self.limit.map(|limit| limit.max(table_size));
    }

    /// The receiver of these blocks may have announced anything.
    pub fn lose_limit(&mut self) {
        self.limit = None;
    }

    /// Tokens of the fields of one name that later blocks may still refer to.
    pub fn tokens(&self, name: Name) -> impl Iterator<Item = u32> + '_ {
        self.table.tokens(name)
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.table.memory()
    }

    /// Decodes one whole block. Where it is malformed, the table is back at its horizon, and fields may have been
    /// told that should not be trusted.
    pub fn decode(&mut self, block: &[u8], vocabulary: &mut impl Vocabulary) -> Result<(), Malformed> {
        let outcome = self.decode_fields(block, vocabulary);
        if outcome.is_err() {
            self.lose();
        }
        outcome
    }

    fn decode_fields(&mut self, block: &[u8], vocabulary: &mut impl Vocabulary) -> Result<(), Malformed> {
        let mut rest = block;
        let mut at_start = true;
        while !rest.is_empty() {
            match Representation::decode(&mut rest)? {
                Representation::Indexed(index) => self.indexed(index, vocabulary)?,
                Representation::Literal {
                    name,
                    value,
                    indexing,
                } => {
                    self.literal(name, value, indexing, vocabulary)?;
                }
                Representation::SizeUpdate(size) => {
                    self.resize(size, at_start)?;
                    continue;
                }
            }
            at_start = false;
        }
        Ok(())
    }

    fn resize(&mut self, size: u32, at_start: bool) -> Result<(), Malformed> {
        if !at_start {
            return Err(Malformed::SizeUpdatePlace);
        }
        if self.limit.is_some_and(|limit| size > limit) {
            return Err(Malformed::SizeUpdateLimit);
        }
        self.generation += 1;
        self.table.resize(size);
        Ok(())
    }

    fn indexed(&self, index: u32, vocabulary: &mut impl Vocabulary) -> Result<(), Malformed> {
        let index = usize::try_from(index).map_err(|_| Malformed::IndexBeyondTable)?;
        if let Some((name, value)) = static_table::entry(index) {
            if let Some(name) = vocabulary.static_name(index, name) {
                let token = vocabulary.value(name, Some(value));
                vocabulary.field(name, token);
            }
            return Ok(());
        }
        match self.dynamic(index)? {
            Content::Wanted { name, token } => vocabulary.field(name, token),
            Content::Unwanted { .. } => {}
            Content::Unknown => vocabulary.unknown(),
        }
        Ok(())
    }

    /// An index behind the static table. What is older than the horizon has unknown content.
    fn dynamic(&self, index: usize) -> Result<Content, Malformed> {
        let place = index
            .checked_sub(static_table::LENGTH + 1)
            .ok_or(Malformed::IndexBeyondTable)?;
        match self.table.get(place) {
            Lookup::Found(content) => Ok(content),
            Lookup::Older => Ok(Content::Unknown),
            Lookup::Beyond => Err(Malformed::IndexBeyondTable),
        }
    }

    fn literal(
        &mut self,
        name: NameForm<'_>,
        value: Text<'_>,
        indexing: bool,
        vocabulary: &mut impl Vocabulary,
    ) -> Result<(), Malformed> {
        match self.meaning(name, indexing, vocabulary)? {
            Meaning::Wanted(name) => {
                let known = value
                    .is_huffman()
                    .then(|| vocabulary.known_value(name, value.raw()));
                let (token, length) = match known.flatten() {
                    Some(known) => known,
                    None => value.read(|text, length| (vocabulary.value(name, text), length))?,
                };
                vocabulary.field(name, token);
                if indexing {
                    let length = length.saturating_add(vocabulary.name_length(name));
                    self.insert(Content::Wanted { name, token }, length);
                }
            }
            Meaning::Unwanted { length: name_length } => {
                if indexing {
                    let length = name_length.saturating_add(value.length()?);
                    self.insert(Content::Unwanted { name_length }, length);
                }
            }
            Meaning::Unknown => {
                vocabulary.unknown();
                if indexing {
                    self.insert(Content::Unknown, value.length()?);
                }
            }
        }
        Ok(())
    }

    fn insert(&mut self, content: Content, length: u32) {
        self.generation += 1;
        self.table.insert(content, length);
    }

    fn meaning(
        &self,
        name: NameForm<'_>,
        indexing: bool,
        vocabulary: &mut impl Vocabulary,
    ) -> Result<Meaning, Malformed> {
        let (wanted, text) = match name {
            NameForm::Literal(text) => (vocabulary.name(text), text),
            NameForm::Indexed(index) => {
                let index = usize::try_from(index).map_err(|_| Malformed::IndexBeyondTable)?;
                let Some((name, _)) = static_table::entry(index) else {
                    return Ok(match self.dynamic(index)? {
                        Content::Wanted { name, .. } => Meaning::Wanted(name),
                        Content::Unwanted { name_length: length } => Meaning::Unwanted { length },
                        Content::Unknown => Meaning::Unknown,
                    });
                };
                (vocabulary.static_name(index, name), Text::plain(name))
            }
        };
        Ok(match wanted {
            Some(name) => Meaning::Wanted(name),
            // The length matters to the table only, and costs a walk where the name is Huffman coded.
            None => Meaning::Unwanted {
                length: if indexing { text.length()? } else { 0 },
            },
        })
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
