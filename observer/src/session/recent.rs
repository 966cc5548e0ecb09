//! The header blocks that one direction of a connection repeats, with what they say: most calls of a connection have the
//! same bytes for their response and trailers, and often for their request, as long as the header table stands still.
//!
//! Whose bytes they are and what a table is others know; here is a key, a number that tells when all keys are void, and
//! the fields.

use crate::rpc::Fields;

/// Blocks of a direction. A server's are two or three; a client's as many as it calls methods.
const MAX_BLOCKS: usize = 8;
/// Bytes of a block. What is longer has much metadata, which is rarely the same twice.
const MAX_BLOCK: usize = 256;
/// The last so many blocks that were not known are recognised when they come again.
const MAX_CANDIDATES: usize = 8;

/// Bounded: 2.5 KiB for a direction that is used, nothing for one that rests.
#[derive(Debug, Default)]
pub(super) struct RecentBlocks {
    /// That of the table for which the rest holds.
    generation: u64,
    blocks: Vec<(Vec<u8>, Fields)>,
    /// Where the last was found. Blocks take turns, as response and trailers do: the one behind it is likely the next.
    found: usize,
    /// Which is replaced next, where there is no room.
    next: usize,
    /// Hashes of blocks that were seen once, and which is replaced next. What never comes again must not cost a copy.
    candidates: [u32; MAX_CANDIDATES],
    next_candidate: usize,
    /// Whether any was found since it was last asked.
    is_used: bool,
}

impl RecentBlocks {
    /// What the block said when it was decoded before, if the table is the same.
    #[inline]
    pub(super) fn find(&mut self, block: &[u8], generation: u64) -> Option<Fields> {
        if self.generation != generation {
            return None;
        }
        let count = self.blocks.len();
        let mut place = self.found + 1;
        for _ in 0..count {
            if place >= count {
                place = 0;
            }
            let (known, fields) = self.blocks.get(place)?;
            if *known == *block {
                self.found = place;
                self.is_used = true;
                return Some(*fields);
            }
            place += 1;
        }
        None
    }

    /// A block that was decoded without a change of the table. It is kept when it comes for the second time.
    pub(super) fn offer(&mut self, block: &[u8], generation: u64, fields: &Fields) {
        if self.generation != generation {
            self.clear();
            self.generation = generation;
        }
        if block.len() > MAX_BLOCK {
            return;
        }
        let hash = hash(block);
        if !self.candidates.contains(&hash) {
            if let Some(candidate) = self.candidates.get_mut(self.next_candidate) {
                *candidate = hash;
            }
            self.next_candidate = (self.next_candidate + 1) % MAX_CANDIDATES;
            return;
        }
        self.is_used = true;
        if self.blocks.len() < MAX_BLOCKS {
            self.blocks.push((block.to_vec(), *fields));
        } else if let Some((oldest, said)) = self.blocks.get_mut(self.next) {
            oldest.clear();
            oldest.extend_from_slice(block);
            *said = *fields;
            self.next = (self.next + 1) % MAX_BLOCKS;
        }
    }

    /// What the fields refer to has changed its meaning.
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.candidates = [0; MAX_CANDIDATES];
        self.next = 0;
    }

    /// To be called now and then: gives back the memory of a direction that was not used since the last time.
    pub(super) fn release(&mut self) {
        if !std::mem::take(&mut self.is_used) && self.blocks.capacity() > 0 {
            self.clear();
            self.blocks = Vec::new();
        }
    }

    /// Bytes on the heap.
    pub(super) fn memory(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(|(block, _)| block.capacity()).sum();
        self.blocks.capacity() * size_of::<(Vec<u8>, Fields)>() + blocks
    }
}

/// Not against attackers: what has the same hash as another block is kept one time too early, no more. Never 0.
fn hash(block: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = FACTOR ^ u64::try_from(block.len()).unwrap_or_default();
    let mut words = block.chunks_exact(8);
    for word in &mut words {
        let word = <[u8; 8]>::try_from(word).map_or(0, u64::from_le_bytes);
        state = (state ^ word).wrapping_mul(FACTOR).rotate_left(29);
    }
    for &byte in words.remainder() {
        state = (state ^ u64::from(byte)).wrapping_mul(FACTOR).rotate_left(29);
    }
    u32::try_from(state >> 32).unwrap_or_default() | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(unknown: u32) -> Fields {
        let mut fields = Fields::default();
        fields.unknown = unknown;
        fields
    }

    #[track_caller]
    fn check(recent: &mut RecentBlocks, block: &[u8], generation: u64, expected: Option<u32>) {
        assert_eq!(recent.find(block, generation), expected.map(fields));
    }

    fn repeat(recent: &mut RecentBlocks, block: &[u8], generation: u64, unknown: u32) {
        for _ in 0..2 {
            recent.offer(block, generation, &fields(unknown));
        }
    }

    #[test]
    fn kept_from_the_second_time() {
        let mut recent = RecentBlocks::default();
        check(&mut recent, b"a", 3, None);
        recent.offer(b"a", 3, &fields(1));
        check(&mut recent, b"a", 3, None);
        recent.offer(b"a", 3, &fields(1));
        check(&mut recent, b"a", 3, Some(1));
        check(&mut recent, b"b", 3, None);
        check(&mut recent, b"", 3, None);
    }

    #[test]
    fn blocks_that_take_turns() {
        let mut recent = RecentBlocks::default();
        let all: Vec<[u8; 1]> = (0..u8::try_from(MAX_BLOCKS).unwrap())
            .map(|byte| [byte])
            .collect();
        for block in all.iter().chain(&all) {
            recent.offer(block, 0, &fields(block[0].into()));
        }
        for block in all.iter().chain(&all).chain(all.iter().rev()) {
            check(&mut recent, block, 0, Some(block[0].into()));
        }
    }

    #[test]
    fn another_table() {
        let mut recent = RecentBlocks::default();
        repeat(&mut recent, b"a", 0, 1);
        check(&mut recent, b"a", 1, None);
        recent.offer(b"b", 1, &fields(2));
        check(&mut recent, b"a", 1, None);
        recent.offer(b"a", 1, &fields(3));
        check(&mut recent, b"a", 1, None);
        recent.offer(b"a", 1, &fields(3));
        check(&mut recent, b"a", 1, Some(3));
    }

    #[test]
    fn bounded() {
        let mut recent = RecentBlocks::default();
        for number in 0..1_000_u32 {
            repeat(&mut recent, &number.to_be_bytes().repeat(64), 0, number);
            repeat(&mut recent, &number.to_be_bytes().repeat(65), 0, number);
        }
        assert_eq!(recent.blocks.len(), MAX_BLOCKS);
        check(&mut recent, &999_u32.to_be_bytes().repeat(64), 0, Some(999));
        check(&mut recent, &999_u32.to_be_bytes().repeat(65), 0, None);
        assert!(recent.memory() < 2_560, "{}", recent.memory());
    }

    #[test]
    fn a_direction_that_rests_holds_nothing() {
        let mut recent = RecentBlocks::default();
        repeat(&mut recent, b"a", 0, 1);
        recent.release();
        check(&mut recent, b"a", 0, Some(1));
        recent.release();
        recent.release();
        assert_eq!(recent.memory(), 0);
        check(&mut recent, b"a", 0, None);
    }
}
