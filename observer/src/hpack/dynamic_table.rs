//! The dynamic table (RFC 7541, section 2.3.2) with a horizon.
//!
//! Why a late decoder can be exact. The encoder's table is always the newest part of the history of insertions,
//! and an index counts back from the newest. So whoever has seen the last *n* insertions knows what the first *n*
//! indices mean, whatever the table's size is, was, or has been changed to unseen: if the entry were evicted,
//! then everything older would be too, and a correct encoder would not name it. A field too large for the table
//! empties it and is not inserted; to keep it in the history all the same shifts nothing, as behind it nothing
//! exists. The size therefore decides only two things: how much has to be kept, and whether an index beyond what
//! is kept is *older than the horizon* or *malformed*. Both follow from lower bounds: once the entries known to
//! be newer exceed the size, an entry is gone for certain, and with it everything older; the horizon is passed.
//!
//! An entry is 8 bytes. No name and no value is kept.

use std::collections::VecDeque;

use super::Name;

/// Entries held at most; older ones fall behind the horizon, as if the decoder had come later. The default table
/// of 4096 bytes has room for 128 entries, one of 64 KiB, the largest in common use, for 1024 of 64 bytes.
pub const MAX_HELD_ENTRIES: usize = 1024;

/// Above this many entries an emptied table gives its memory back.
const KEPT_WHEN_EMPTY: usize = 64;

/// What an entry counts beyond its name and value (RFC 7541, section 4.1).
const OVERHEAD: u32 = 32;

/// Of an entry's two words, this many bits count its size.
const SIZE_BITS: u32 = 24;
const MAX_SIZE: u32 = (1 << SIZE_BITS) - 1;

const UNWANTED: u8 = u8::MAX;
const UNKNOWN: u8 = u8::MAX - 1;

/// What is known about a field in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Wanted {
        name: Name,
        token: u32,
    },
    Unwanted {
        name_length: u32,
    },
    /// Inserted within sight, by a literal whose name was older than the horizon.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    Found(Content),
    /// Older than the horizon.
    Older,
    /// Beyond the end of the table.
    Beyond,
}

/// Size and name in one word; in the other the token, or the length of the name where it is not wanted.
#[derive(Clone, Copy, Debug)]
struct Entry(u32, u32);

impl Entry {
    fn new(content: Content, size: u32) -> Self {
        let (number, word) = match content {
            Content::Wanted { name, token } => (name.number(), token),
            Content::Unwanted { name_length } => (UNWANTED, name_length),
            Content::Unknown => (UNKNOWN, 0),
        };
        Self(u32::from(number) << SIZE_BITS | size.min(MAX_SIZE), word)
    }

    fn size(self) -> u32 {
        self.0 & MAX_SIZE
    }

    fn content(self) -> Content {
        let [number, ..] = self.0.to_be_bytes();
        match Name::new(number) {
            Some(name) => Content::Wanted { name, token: self.1 },
            None if number == UNWANTED => Content::Unwanted { name_length: self.1 },
            None => Content::Unknown,
        }
    }
}

#[derive(Debug)]
pub(super) struct DynamicTable {
    /// Newest first.
    entries: VecDeque<Entry>,
    /// Sum of the sizes of `entries`; where a name's length was not known, less than the truth.
    size: u64,
    /// The encoder's limit; `None` while it is not known.
    capacity: Option<u32>,
    /// Whether entries older than those held may exist.
    horizon: bool,
}

impl DynamicTable {
    /// A table seen from its beginning.
    pub(super) const fn new(capacity: u32) -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            capacity: Some(capacity),
            horizon: false,
        }
    }

    /// A table of which nothing has been seen.
    pub(super) const fn joined() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            capacity: None,
            horizon: true,
        }
    }

    /// Counted from 0, the newest.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Lookup {
        match self.entries.get(index) {
            Some(entry) => Lookup::Found(entry.content()),
            None if self.horizon => Lookup::Older,
            None => Lookup::Beyond,
        }
    }

    /// `length`: of name and value; a lower bound where the name is not known.
    pub(super) fn insert(&mut self, content: Content, length: u32) {
        let size = length.saturating_add(OVERHEAD).min(MAX_SIZE);
        if self.capacity.is_some_and(|capacity| size > capacity) {
            // Too large for the table: everything goes, and nothing is inserted.
            self.clear();
            self.horizon = false;
            return;
        }
        if self.entries.len() >= MAX_HELD_ENTRIES {
            self.forget_oldest();
            self.horizon = true;
        }
        self.entries.push_front(Entry::new(content, size));
        self.size += u64::from(size);
        self.evict();
    }

    /// A size update of the encoder.
    pub(super) fn resize(&mut self, capacity: u32) {
        self.capacity = Some(capacity);
        if capacity < OVERHEAD {
            // No entry fits, known or not.
            self.clear();
            self.horizon = false;
        }
        self.evict();
    }

    /// Tokens of the wanted fields with this name that stand in the table.
    pub(super) fn tokens(&self, wanted: Name) -> impl Iterator<Item = u32> + '_ {
        self.entries
            .iter()
            .filter_map(move |entry| match entry.content() {
                Content::Wanted { name, token } if name == wanted => Some(token),
                _ => None,
            })
    }

    pub(super) fn memory(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    fn evict(&mut self) {
        let Some(capacity) = self.capacity else { return };
        while self.size > u64::from(capacity) && !self.entries.is_empty() {
            self.forget_oldest();
            self.horizon = false;
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_back() {
            self.size = self.size.saturating_sub(u64::from(entry.size()));
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.entries.shrink_to(KEPT_WHEN_EMPTY);
        self.size = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inserts fields of `length` with tokens counting up from 0.
    fn fill(table: &mut DynamicTable, count: u32, length: u32) {
        for token in 0..count {
            table.insert(wanted(token), length);
        }
    }

    fn wanted(token: u32) -> Content {
        Content::Wanted {
            name: Name::new(7).unwrap(),
            token,
        }
    }

    #[test]
    fn evictions_are_exact_at_the_edge() {
        let mut table = DynamicTable::new(100);
        fill(&mut table, 2, 18);
        assert_eq!(table.get(1), Lookup::Found(wanted(0)));
        table.insert(wanted(2), 19);
        assert_eq!(table.get(0), Lookup::Found(wanted(2)));
        assert_eq!(table.get(1), Lookup::Beyond);
    }

    #[test]
    fn too_large_a_field_empties_the_table() {
        let mut table = DynamicTable::new(100);
        fill(&mut table, 1, 10);
        table.insert(wanted(9), 69);
        assert_eq!(table.get(0), Lookup::Beyond);
    }

    #[test]
    fn joined_late() {
        let mut table = DynamicTable::joined();
        assert_eq!(table.get(0), Lookup::Older);
        fill(&mut table, 1, 10_000);
        assert_eq!(table.get(0), Lookup::Found(wanted(0)));
        assert_eq!(table.get(1), Lookup::Older);
        table.resize(40_000);
        assert_eq!(table.get(1), Lookup::Older);
        fill(&mut table, 4, 9_968);
        assert_eq!(table.get(3), Lookup::Found(wanted(0)));
        assert_eq!(
            table.get(4),
            Lookup::Beyond,
            "ten thousand bytes of newer entries, four times"
        );
    }

    #[test]
    fn emptied_by_the_encoder_is_known_whole() {
        let mut table = DynamicTable::joined();
        fill(&mut table, 3, 10);
        table.resize(0);
        assert_eq!(table.get(0), Lookup::Beyond);
        table.resize(4096);
        fill(&mut table, 1, 10);
        assert_eq!(table.get(1), Lookup::Beyond);
    }

    #[test]
    fn more_entries_than_held() {
        let mut table = DynamicTable::new(u32::MAX);
        fill(&mut table, 5_000, 1);
        assert_eq!(
            table.get(MAX_HELD_ENTRIES - 1),
            Lookup::Found(wanted(5_000 - 1024))
        );
        assert_eq!(table.get(MAX_HELD_ENTRIES), Lookup::Older);
        assert!(table.memory() <= 2 * MAX_HELD_ENTRIES * 8);
    }

    #[test]
    fn all_contents_come_back() {
        let mut table = DynamicTable::new(4096);
        let contents = [
            wanted(u32::MAX),
            Content::Unwanted { name_length: 77 },
            Content::Unknown,
        ];
        for content in contents {
            table.insert(content, 40);
            assert_eq!(table.get(0), Lookup::Found(content));
        }
    }
}
