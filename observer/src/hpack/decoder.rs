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
mod tests {
    use super::*;

    /// Wants everything, keeps everything.
    #[derive(Default)]
    struct Everything {
        names: Vec<Vec<u8>>,
        values: Vec<Vec<u8>>,
        told: Vec<String>,
    }

    impl Vocabulary for Everything {
        fn name(&mut self, name: Text<'_>) -> Option<Name> {
            let name = name.read(|text, _| text.unwrap_or_default().to_vec()).ok()?;
            let at = self
                .names
                .iter()
                .position(|known| *known == name)
                .unwrap_or_else(|| {
                    self.names.push(name);
                    self.names.len() - 1
                });
            Name::new(u8::try_from(at).ok()?)
        }

        fn name_length(&self, name: Name) -> u32 {
            u32::try_from(self.names[usize::from(name.number())].len()).unwrap()
        }

        fn value(&mut self, _: Name, value: Option<&[u8]>) -> u32 {
            self.values.push(value.unwrap_or(b"(long)").to_vec());
            u32::try_from(self.values.len() - 1).unwrap()
        }

        fn field(&mut self, name: Name, token: u32) {
            let name = String::from_utf8_lossy(&self.names[usize::from(name.number())]).into_owned();
            let value = String::from_utf8_lossy(&self.values[usize::try_from(token).unwrap()]).into_owned();
            self.told.push(format!("{name}: {value}"));
        }

        fn unknown(&mut self) {
            self.told.push("?".to_owned());
        }
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        let pairs = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    /// Feeds blocks (hexadecimal) and compares what is told of each.
    fn check(mut decoder: Decoder, blocks: &[(&str, Result<&[&str], Malformed>)]) {
        let mut everything = Everything::default();
        for (block, expected) in blocks {
            everything.told.clear();
            let outcome = decoder.decode(&unhex(block), &mut everything);
            let expected = expected.map(|fields| fields.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(
                outcome.map(|()| everything.told.clone()),
                expected,
                "block {block}"
            );
        }
    }

    const FIRST: &str = "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff";
    const SECOND: &str = "8286 84be 5886 a8eb 1064 9cbf";
    const THIRD: &str = "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf";

    #[test]
    fn requests_of_the_rfc() {
        let first = [
            ":method: GET",
            ":scheme: http",
            ":path: /",
            ":authority: www.example.com",
        ];
        let second = [&first[..], &["cache-control: no-cache"]].concat();
        let third = [
            ":method: GET",
            ":scheme: https",
            ":path: /index.html",
            ":authority: www.example.com",
            "custom-key: custom-value",
        ];
        check(
            Decoder::new(),
            &[(FIRST, Ok(&first)), (SECOND, Ok(&second)), (THIRD, Ok(&third))],
        );
    }

    #[test]
    fn requests_of_the_rfc_joined_late() {
        let second = [
            ":method: GET",
            ":scheme: http",
            ":path: /",
            "?",
            "cache-control: no-cache",
        ];
        let third = [
            ":method: GET",
            ":scheme: https",
            ":path: /index.html",
            "?",
            "custom-key: custom-value",
        ];
        check(Decoder::joined(), &[(SECOND, Ok(&second)), (THIRD, Ok(&third))]);
    }

    #[test]
    fn literal_value_under_an_older_name() {
        // The value is there, the name is not; the entry it makes is as unknown.
        check(
            Decoder::joined(),
            &[
                ("7e01 35", Ok(&["?"])),
                ("be", Ok(&["?"])),
                ("4001 6e01 76bf", Ok(&["n: v", "?"])),
            ],
        );
    }

    #[test]
    fn malformed_blocks() {
        let check_one = |block, expected| check(Decoder::new(), &[(block, Err(expected))]);
        check_one("80", Malformed::IndexBeyondTable);
        check_one("be", Malformed::IndexBeyondTable);
        check_one("7e01 35", Malformed::IndexBeyondTable);
        check_one("ffff ffff ff0f", Malformed::IntegerOverflow);
        check_one("4003 6e", Malformed::Truncated);
        check_one("8220", Malformed::SizeUpdatePlace);
        check_one("3fe2 1f", Malformed::SizeUpdateLimit);
        check_one("4481 00", Malformed::Huffman);
    }

    #[test]
    fn after_a_malformed_block_the_past_is_unknown() {
        let n = "4001 6e01 76";
        check(
            Decoder::new(),
            &[
                (n, Ok(&["n: v"])),
                ("be", Ok(&["n: v"])),
                ("80", Err(Malformed::IndexBeyondTable)),
                ("be", Ok(&["?"])),
            ],
        );
    }

    #[test]
    fn table_sizes_within_what_was_allowed() {
        let mut decoder = Decoder::new();
        decoder.allow(8192);
        decoder.allow(100);
        check(
            decoder,
            &[
                ("3fe1 3f82", Ok(&[":method: GET"])),
                ("3fe2 3f", Err(Malformed::SizeUpdateLimit)),
            ],
        );
        check(Decoder::joined(), &[("3fe1 ffff ff07 82", Ok(&[":method: GET"]))]);
    }

    #[test]
    fn size_update_storm() {
        let storm = "20 3fe1 1f ".repeat(10_000);
        check(Decoder::new(), &[(&storm, Ok(&[]))]);
    }

    #[test]
    fn hpack_bomb_keeps_nothing() {
        // One entry of 4000 bytes, named again 16,000 times: 64 MB decoded.
        let mut decoder = Decoder::new();
        let mut block = unhex("4001 6e7f a11e");
        block.extend(std::iter::repeat_n(b'x', 4000));
        block.extend(std::iter::repeat_n(0xbe, 16_000));
        let mut everything = Everything::default();
        decoder.decode(&block, &mut everything).unwrap();
        assert_eq!(everything.values.len(), 1);
        assert!(decoder.memory() < 1024);
    }
}
