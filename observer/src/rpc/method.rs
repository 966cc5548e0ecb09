//! The methods of one connection, by number.
//!
//! A path becomes a number when its bytes are decoded; the header table and the calls carry the number only.
//! Paths of requests that turn out not to be gRPC must not fill the table for those that are, so a path that no
//! call has used is forgotten when there are many of them, and its number used again; nobody outside has seen it.

use crate::hpack::encode_huffman;

/// Methods of one connection at most, the rest is `_other`. Services have tens; a proxy's connection carries the
/// methods of one upstream. Scanners have millions, hence a bound.
pub const MAX_METHODS: usize = 512;

/// Bytes of all paths of a connection at most, each in two forms.
pub const MAX_METHOD_BYTES: usize = 64 * 1024;

/// Paths no call has used, before they are swept.
const MAX_UNUSED: usize = 64;

/// A method of one connection. Numbers are small and dense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MethodIndex(u16);

impl MethodIndex {
    /// The path is older than what was seen, or was not seen.
    pub const UNKNOWN: Self = Self(0);
    /// Above the ceilings.
    pub const OTHER: Self = Self(1);

    /// For tables beside the connection's own.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The other way.
    #[must_use]
    pub fn from_index(index: usize) -> Self {
        u16::try_from(index).map_or(Self::OTHER, Self)
    }

    pub(super) fn token(self) -> u32 {
        u32::from(self.0)
    }

    pub(super) fn from_token(token: u32) -> Self {
        Self(u16::try_from(token).unwrap_or(0))
    }

    fn place(self) -> Option<usize> {
        self.index().checked_sub(RESERVED)
    }

    fn at(place: usize) -> Self {
        u16::try_from(place + RESERVED).map_or(Self::OTHER, Self)
    }
}

const RESERVED: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Free,
    /// Decoded, but no call has shown it yet.
    Seen,
    /// Told to the outside.
    Told,
}

#[derive(Debug)]
struct Slot {
    hash: u32,
    uses: Use,
    path: Box<[u8]>,
    /// The Huffman form; empty where that is longer, as no peer would send it then.
    coded: Box<[u8]>,
}

impl Slot {
    fn free() -> Self {
        Self {
            hash: 0,
            uses: Use::Free,
            path: Box::default(),
            coded: Box::default(),
        }
    }

    fn new(hash: u32, path: &[u8]) -> Self {
        let mut coded = encode_huffman(path);
        if coded.len() > path.len() {
            coded = Vec::new();
        }
        Self {
            hash,
            uses: Use::Seen,
            path: path.into(),
            coded: coded.into(),
        }
    }

    fn bytes(&self) -> usize {
        self.path.len() + self.coded.len()
    }
}

#[derive(Debug, Default)]
pub struct Methods {
    slots: Vec<Slot>,
    /// The slot found last: most connections repeat themselves.
    recent: usize,
    bytes: usize,
    unused: usize,
    /// Unused paths that survived the last sweep, being still referred to.
    pinned: usize,
}

impl Methods {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            recent: 0,
            bytes: 0,
            unused: 0,
            pinned: 0,
        }
    }

    /// The path; empty for the reserved numbers.
    #[must_use]
    pub fn path(&self, method: MethodIndex) -> &[u8] {
        method
            .place()
            .and_then(|place| self.slots.get(place))
            .map_or(&[], |slot| &slot.path)
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.bytes
    }

    /// The number and the length of the path that was resolved last, if this is its Huffman form. There is but one
    /// such form of a text, so equal forms are equal paths.
    #[inline]
    pub(super) fn recent(&self, huffman: &[u8]) -> Option<(MethodIndex, u32)> {
        let slot = self.slots.get(self.recent)?;
        let is_it = !huffman.is_empty() && *slot.coded == *huffman;
        let length = u32::try_from(slot.path.len()).ok()?;
        is_it.then_some((MethodIndex::at(self.recent), length))
    }

    /// The number of a path, a new one where it has none.
    pub(super) fn resolve(&mut self, path: &[u8]) -> MethodIndex {
        let hash = hash(path);
        let same = |slot: &Slot| slot.hash == hash && slot.uses != Use::Free && *slot.path == *path;
        if self.slots.get(self.recent).is_some_and(same) {
            return MethodIndex::at(self.recent);
        }
        if let Some(place) = self.slots.iter().position(same) {
            self.recent = place;
            return MethodIndex::at(place);
        }
        self.add(hash, path)
    }

    fn add(&mut self, hash: u32, path: &[u8]) -> MethodIndex {
        let slot = Slot::new(hash, path);
        let bytes = slot.bytes();
        if self.bytes + bytes > MAX_METHOD_BYTES {
            return MethodIndex::OTHER;
        }
        let place = self
            .slots
            .iter()
            .position(|slot| slot.uses == Use::Free)
            .unwrap_or(self.slots.len());
        match self.slots.get_mut(place) {
            Some(free) => *free = slot,
            None if place < MAX_METHODS => self.slots.push(slot),
            None => return MethodIndex::OTHER,
        }
        self.bytes += bytes;
        self.unused += 1;
        self.recent = place;
        MethodIndex::at(place)
    }

    /// A call shows this method to the outside: its number is fixed from now on.
    pub(super) fn tell(&mut self, method: MethodIndex) {
        if let Some(slot) = method.place().and_then(|place| self.slots.get_mut(place))
            && slot.uses == Use::Seen
        {
            slot.uses = Use::Told;
            self.unused -= 1;
        }
    }

    /// Whether it is time for [`Methods::sweep`].
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.unused >= MAX_UNUSED + 2 * self.pinned
    }

    /// Forgets paths that no call has shown, except those still referred to by `kept` tokens.
    pub fn sweep(&mut self, kept: impl Iterator<Item = u32>) {
        let mut referred = [false; MAX_METHODS];
        for token in kept {
            if let Some(place) = MethodIndex::from_token(token)
                .place()
                .and_then(|place| referred.get_mut(place))
            {
                *place = true;
            }
        }
        for (slot, referred) in self.slots.iter_mut().zip(referred) {
            if slot.uses == Use::Seen && !referred {
                self.bytes -= slot.bytes();
                self.unused -= 1;
                *slot = Slot::free();
            }
        }
        self.pinned = self.unused;
    }
}

/// Not against attackers: equal hashes cost a comparison, and there are few paths to compare.
fn hash(path: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = FACTOR;
    let mut words = path.chunks_exact(8);
    for word in &mut words {
        let word = <[u8; 8]>::try_from(word).map_or(0, u64::from_le_bytes);
        state = (state ^ word).wrapping_mul(FACTOR).rotate_left(29);
    }
    for &byte in words.remainder() {
        state = (state ^ u64::from(byte)).wrapping_mul(FACTOR).rotate_left(29);
    }
    u32::try_from(state >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_path_same_number() {
        let mut methods = Methods::new();
        let first = methods.resolve(b"/a.A/One");
        let second = methods.resolve(b"/a.A/Two");
        assert_ne!(first, second);
        assert_eq!(methods.resolve(b"/a.A/One"), first);
        assert_eq!(methods.path(first), b"/a.A/One");
        assert_eq!(methods.path(MethodIndex::UNKNOWN), b"");
    }

    #[test]
    fn unused_paths_do_not_crowd_out_methods() {
        let mut methods = Methods::new();
        let told = methods.resolve(b"/a.A/One");
        methods.tell(told);
        let pinned = methods.resolve(b"/pinned");
        for count in 0..100_000 {
            methods.resolve(format!("/page/{count}").as_bytes());
            if methods.is_crowded() {
                methods.sweep([pinned.token()].into_iter());
            }
        }
        assert_eq!(methods.path(told), b"/a.A/One");
        assert_eq!(methods.path(pinned), b"/pinned");
        assert_ne!(methods.resolve(b"/a.A/New"), MethodIndex::OTHER);
        assert!(methods.slots.len() < 100, "{}", methods.slots.len());
    }

    #[test]
    fn more_methods_than_allowed() {
        let mut methods = Methods::new();
        for count in 0..1_000 {
            let method = methods.resolve(format!("/a.A/M{count}").as_bytes());
            methods.tell(method);
            assert_eq!(method == MethodIndex::OTHER, count >= MAX_METHODS);
        }
        let mut methods = Methods::new();
        for count in 0..1_000 {
            methods.resolve(format!("/{count:01000}").as_bytes());
        }
        assert!(methods.bytes <= MAX_METHOD_BYTES);
    }
}
