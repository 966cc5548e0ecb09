//! Where members of the running kernel's types are, from its own description of them (BTF). Programs in Rust cannot be
//! relocated by the loader, so they are told.

use observer_ebpf::change::SocketPlaces;
use observer_ebpf::plaintext::KernelPlaces;

/// Where the kernel describes itself.
const DESCRIPTION: &str = "/sys/kernel/btf/vmlinux";
/// Kernels have some 6 MiB of it.
const MAX_DESCRIPTION: u64 = 64 << 20;
/// How deep a member may lie in types without a name.
const MAX_DEPTH: u32 = 4;

/// From a task to a socket that it has open, of the running kernel; `None`: it does not describe itself, or otherwise
/// than is known here.
pub fn of_tasks() -> Option<KernelPlaces> {
    let bytes = described()?;
    let types = Description::parse(&bytes)?;
    Some(KernelPlaces {
        known: 1,
        task_files: types.place("task_struct", "files")?,
        files_table: types.place("files_struct", "fdt")?,
        table_size: types.place("fdtable", "max_fds")?,
        table_files: types.place("fdtable", "fd")?,
        file_private: types.place("file", "private_data")?,
        socket_file: types.place("socket", "file")?,
        socket_sock: types.place("socket", "sk")?,
        sock_cookie: types.place("sock_common", "skc_cookie")?,
    })
}

/// From a socket to its namespace, likewise.
pub fn of_sockets() -> Option<SocketPlaces> {
    let bytes = described()?;
    let types = Description::parse(&bytes)?;
    Some(SocketPlaces {
        sock_net: types.place("sock_common", "skc_net")?,
        net_entry: types.place("net", "proc_net_stat")?,
        entry_number: types.place("proc_dir_entry", "low_ino")?,
        sock_port: types.place("sock_common", "skc_dport")?,
    })
}

fn described() -> Option<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(DESCRIPTION).ok()?;
    file.take(MAX_DESCRIPTION).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Kinds of types (`linux/btf.h`).
mod kind {
    pub const INT: u32 = 1;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const PROTOTYPE: u32 = 13;
    pub const VARIABLE: u32 = 14;
    pub const SECTION: u32 = 15;
    pub const DECLARATION_TAG: u32 = 17;
    pub const ENUM64: u32 = 19;
}

const HEAD: usize = 24;
const TYPE: usize = 12;
const MAGIC: u16 = 0xeb9f;

/// Types by their number, each at its place in the bytes.
struct Description<'a> {
    bytes: &'a [u8],
    strings: usize,
    types: Vec<usize>,
}

impl<'a> Description<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        if u16::from_ne_bytes(*bytes.first_chunk()?) != MAGIC {
            return None;
        }
        let field = |at| word(bytes, at).and_then(|value| usize::try_from(value).ok());
        let head = field(4)?;
        let begin = head.checked_add(field(8)?)?;
        let end = begin.checked_add(field(12)?)?;
        let strings = head.checked_add(field(16)?)?;
        if head < HEAD || end > bytes.len() {
            return None;
        }
        // Numbers begin at 1; 0 is nothing.
        let mut types = vec![usize::MAX];
        let mut at = begin;
        while at + TYPE <= end {
            types.push(at);
            at = at
                .checked_add(TYPE)?
                .checked_add(length_behind(word(bytes, at + 4)?)?)?;
        }
        Some(Self {
            bytes,
            strings,
            types,
        })
    }

    /// Where in the structure of that name the member is, in bytes.
    fn place(&self, structure: &str, member: &str) -> Option<u32> {
        let found = self.types.iter().skip(1).find(|&&at| {
            let is_structure = word(self.bytes, at + 4).is_some_and(|info| kind_of(info) == kind::STRUCT);
            // Declared only, elsewhere, it has no members.
            is_structure && self.members(at) > 0 && self.is_named(at, structure)
        });
        self.place_in(*found?, member, MAX_DEPTH)
    }

    fn place_in(&self, structure: usize, member: &str, depth: u32) -> Option<u32> {
        let info = word(self.bytes, structure + 4)?;
        (0..self.members(structure)).find_map(|index| {
            let at = structure + TYPE + index * TYPE;
            let place = word(self.bytes, at + 8)?;
            // With bit fields in the structure, the upper byte is the size of one.
            let bits = if info >> 31 == 1 {
                place & 0x00ff_ffff
            } else {
                place
            };
            if self.is_named(at, member) {
                return Some(bits / 8);
            }
            if word(self.bytes, at)? != 0 || depth == 0 {
                return None;
            }
            let inner = *self.types.get(usize::try_from(word(self.bytes, at + 4)?).ok()?)?;
            let inner_kind = kind_of(word(self.bytes, inner.checked_add(4)?)?);
            if !matches!(inner_kind, kind::STRUCT | kind::UNION) {
                return None;
            }
            Some(bits / 8 + self.place_in(inner, member, depth - 1)?)
        })
    }

    fn members(&self, at: usize) -> usize {
        word(self.bytes, at + 4).map_or(0, count_of)
    }

    fn is_named(&self, at: usize, name: &str) -> bool {
        let Some(offset) = word(self.bytes, at).and_then(|offset| usize::try_from(offset).ok()) else {
            return false;
        };
        let text = self
            .strings
            .checked_add(offset)
            .and_then(|from| self.bytes.get(from..));
        text.and_then(|text| text.strip_prefix(name.as_bytes()))
            .is_some_and(|rest| rest.first() == Some(&0))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

const fn kind_of(info: u32) -> u32 {
    info >> 24 & 0x1f
}

const fn count_of(info: u32) -> usize {
    (info & 0xffff) as usize
}

/// What follows the head of a type; `None`: it is of a kind that is newer than this (the newest here is of 6.0).
const fn length_behind(info: u32) -> Option<usize> {
    Some(match kind_of(info) {
        kind::INT | kind::VARIABLE | kind::DECLARATION_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::SECTION | kind::ENUM64 => 12 * count_of(info),
        kind::ENUM | kind::PROTOTYPE => 8 * count_of(info),
        0..=kind::ENUM64 => 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A description of `struct a { int x; struct { int y; int z; }; }`.
    fn sample() -> Vec<u8> {
        let strings = b"\0a\0x\0y\0z\0int\0";
        let info = |kind: u32, count: u32| kind << 24 | count;
        let words = [
            // 1: int
            9,
            info(kind::INT, 0),
            4,
            32,
            // 2: the inner structure
            0,
            info(kind::STRUCT, 2),
            8,
            5,
            1,
            0,
            7,
            1,
            32,
            // 3: struct a
            1,
            info(kind::STRUCT, 2),
            12,
            3,
            1,
            0,
            0,
            2,
            32,
        ];
        let types: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        let length = u32::try_from(types.len()).unwrap();
        for field in [24, 0, length, length, u32::try_from(strings.len()).unwrap()] {
            bytes.extend(field.to_ne_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn members_also_in_types_without_a_name() {
        let bytes = sample();
        let types = Description::parse(&bytes).unwrap();
        assert_eq!(types.place("a", "x"), Some(0));
        assert_eq!(types.place("a", "y"), Some(4));
        assert_eq!(types.place("a", "z"), Some(8));
        assert_eq!(types.place("a", "w"), None);
        assert_eq!(types.place("b", "x"), None);
    }

    #[test]
    fn this_kernel() {
        if !std::path::Path::new(DESCRIPTION).exists() {
            return crate::skip::skipped("kernel_types::this_kernel", "the kernel does not describe itself");
        }
        let places = of_tasks().unwrap();
        assert!(places.task_files > 0 && places.socket_sock > 0, "{places:?}");
        let places = of_sockets().unwrap();
        assert!(places.sock_net > 0 && places.net_entry > 0, "{places:?}");
    }

    proptest! {
        #[test]
        fn any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), damage in any::<(usize, u8)>()) {
            let _ = Description::parse(&bytes).and_then(|types| types.place("a", "x"));
            bytes = sample();
            let at = damage.0 % bytes.len();
            bytes[at] = damage.1;
            let _ = Description::parse(&bytes).and_then(|types| types.place("a", "z"));
        }
    }
}
